"""The pupils do what a hand calculation says, the tutor's derivatives are those of finite differences, and what is
calibrated comes out of the published data."""

import re
import runpy
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import selftune as st
from selftune.envs.worlds.curriculum import FRACTIONS, curriculum
from selftune.envs.worlds.tutoring import (
    DIFFICULTIES,
    ITEMS,
    SESSIONS,
    Params,
    tutoring,
)
from selftune.errors import SettingError
from selftune.experiments.statistics import paired_ratio
from selftune.scenarios.education import belief as beliefs, calibration, telling
from selftune.scenarios.education.belief import Belief, Item
from selftune.scenarios.education.lessons import Answer, Moment, classroom, taught
from selftune.scenarios.education.logs import next_item, read_answers
from selftune.scenarios.education.measures import _correlations, worth
from selftune.scenarios.education.rivals import expert_rule, fixed_pace, leitner
from selftune.scenarios.education.tutor import START, Judge, _outer_loss, self_tuning, untuned
from selftune.scenarios.story import Ask

DOCS = Path(__file__).parent.parent.parent / "docs" / "education.md"
PLAN = curriculum(FRACTIONS)
NEEDS = jnp.asarray(PLAN.needs)
KEYS = jax.random.split(jax.random.key(5), 24)
WORLD, CLASS = tutoring(), KEYS[:8]
TUTOR, TIMETABLE = self_tuning(NEEDS), fixed_pace(12)
"""The same ones wherever a course is given, so that the compiler's cache knows their programs."""


# What was measured on people.


@pytest.mark.parametrize(("section", "one_slope"), [("LSAT6", True), ("LSAT7", False)])
def test_difficulties_come_out_of_the_published_answers(section, one_slope):
    counts = calibration.SECTIONS[section]
    items, published = calibration.calibrate(counts, one_slope), calibration.PUBLISHED[section]
    slopes, easiness = published[:-5], published[-5:]
    assert sum(counts) == 1000
    np.testing.assert_allclose(items.slope, np.broadcast_to(slopes, 5), atol=0.006)
    np.testing.assert_allclose(items.easiness, easiness, atol=0.003)


def test_the_world_has_the_calibrated_numbers():
    assert calibration.levels() == pytest.approx(DIFFICULTIES, abs=0.011)
    growth, params = calibration.GROWTH, Params()
    assert growth.growth_spread / growth.growth == pytest.approx(params.rate_spread, abs=0.005)
    assert growth.level_spread == pytest.approx(params.level_spread, abs=0.005)
    assert growth.correlation == params.rate_level


def test_the_share_of_right_answers_is_that_of_the_table():
    right = calibration.patterns().T @ np.asarray(calibration.LSAT6) / 1000
    np.testing.assert_allclose(right, [0.924, 0.709, 0.553, 0.763, 0.870])  # Bock and Lieberman 1970


# Tutors.


def item(skill, level, right, day):
    return Item(Answer(jnp.int32(skill), jnp.int32(level), jnp.asarray(right), jnp.asarray(1.0)), jnp.asarray(day))


@pytest.fixture(scope="module")
def slopes():
    """The meta-gradient after four answers, and the same by finite differences, in double precision."""
    with jax.enable_x64(True):
        needs = jnp.asarray(PLAN.needs, jnp.float64)
        spec = {key: st.MetaParam(value, st.unit if key == "discount" else st.positive) for key, value in START.items()}
        stage = Belief(*(jnp.asarray(leaf, jnp.float64) for leaf in beliefs.nothing_known(12)))
        past = [item(0, 1, 1.0, 0.0), item(2, 0, 0.0, 0.0), item(0, 2, 1.0, 2.0), item(2, 1, 1.0, 4.0)]
        judge = Judge(item(2, 1, 0.0, 7.0), stage._replace(gained=stage.own + 0.4), past[3], jnp.asarray(1.5))
        tuner = st.tuner(
            spec,
            lambda eta, state, batch: (beliefs.answered(eta, state, batch, needs), None),
            lambda params, frozen, eta, batch: (_outer_loss(params, eta, batch, needs, 0.3), None),
            st.forward(),
            through=("eta",),
        )
        meta = tuner.init(stage)
        problem = tuner.problem(stage)

        @jax.jit
        def estimated(state, sensitivity, answer):
            batch = jax.tree.map(lambda leaf: leaf[None], answer)
            return tuner.estimator.estimate(problem, meta.meta_params, state, sensitivity, batch, judge, KEYS[0])

        step, judged = jax.jit(problem.step), jax.jit(problem.judge)

        def loss(name, moved):
            coordinates, state = {**meta.meta_params, name: meta.meta_params[name] + moved}, stage
            for one in past:
                state, _ = step(coordinates, state, one)
            return float(judged(coordinates, state, judge)[0])

        sensitivity, state = meta.estimator_state, stage
        for answer in past:
            gradient, state, sensitivity, _ = estimated(state, sensitivity, answer)
        expected = {name: (loss(name, 1e-5) - loss(name, -1e-5)) / 2e-5 for name in START}
        return jax.tree.map(float, gradient), expected


@pytest.mark.parametrize("name", START)
def test_the_meta_gradient_is_that_of_finite_differences(slopes, name):
    gradient, expected = slopes
    assert abs(expected[name]) > 1e-7
    assert gradient[name] == pytest.approx(expected[name], rel=1e-5)


def test_an_answer_moves_its_skill_and_the_level_by_the_surprise():
    eta = {**START}
    then = beliefs.answered(eta, beliefs.nothing_known(12), item(0, 1, 1.0, 0.0), NEEDS)
    # P = .15 + .8 sigmoid(-.5 + .01) = .15 + .8 * .37989 = .45391; surprise .54609
    assert float(then.level) == pytest.approx(-0.5 + 0.2 * 0.54609, abs=1e-4)
    assert float(then.own[0]) == pytest.approx(0.15 * 0.54609, abs=1e-4)
    np.testing.assert_array_equal(then.own[1:], 0.0)
    # challenge(-.49) = exp(-.5 ((.37989 - .8) / .2)^2) = .11006; pace .1
    assert float(then.gained[0]) == pytest.approx(0.1 * 0.11006, abs=1e-5)


def test_the_calendar_may_begin_on_any_day():
    minds = []
    for begin in (0.0, 400.0):
        mind = beliefs.nothing_known(12)
        for skill, right, day in ((0, 1.0, 0.0), (2, 0.0, 0.0), (0, 1.0, 5.0)):
            mind = beliefs.answered(dict(START), mind, item(skill, 1, right, begin + day), NEEDS)
        minds.append(mind._replace(practised=mind.practised - begin * mind.begun))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), *minds)


def test_no_item_changes_nothing():
    belief = beliefs.nothing_known(12)
    then = beliefs.answered(dict(START), belief, item(-1, 0, 0.0, -1.0), NEEDS)
    jax.tree.map(np.testing.assert_array_equal, then, belief)


def test_the_tutors_pace_follows_how_pupils_learn():
    paces, room = [], classroom(TUTOR, WORLD)
    for learning in (0.1, 0.6):
        course = room(Params()._replace(learning=learning, quitting=0.0), CLASS)
        assert np.isfinite(course.shown["pace"]).all()
        paces.append(float(np.median(course.shown["pace"][:, 11])))
    assert paces[1] > 1.3 * paces[0]
    assert room._cache_size() == 1


def test_a_tutor_without_an_outer_loop_is_the_self_tuned_one_that_stands_still():
    still = taught(self_tuning(NEEDS, meta_learning_rate=0.0, leak=0.0), WORLD, CLASS)
    fixed = taught(untuned(NEEDS), WORLD, CLASS)
    np.testing.assert_allclose(still.exam, fixed.exam, atol=1e-5)
    np.testing.assert_array_equal(still.right, fixed.right)


def chosen(tutor, rights, lessons=3):
    """What a tutor asks of a pupil whose answers are given by a function of skill and difficulty."""
    mind, asked = tutor.begin(), []
    choose, hear = jax.jit(tutor.choose), jax.jit(tutor.hear)
    for number in range(lessons * ITEMS):
        moment = Moment(jnp.float32(2 * (number // ITEMS)), jnp.int32(number // ITEMS), jnp.int32(number % ITEMS))
        action = int(choose(mind, moment, KEYS[number % 24]))
        asked.append(divmod(action, 3))
        answer = Answer(
            jnp.int32(action // 3), jnp.int32(action % 3), jnp.float32(rights(*asked[-1])), jnp.float32(1.0)
        )
        mind = hear(mind, moment, answer)
    return asked


def test_the_timetable_gives_each_skill_its_time():
    asked = chosen(fixed_pace(12), lambda skill, level: 0.0, SESSIONS)
    assert [skill for skill, _ in asked] == [number // 40 for number in range(480)]
    assert [level for _, level in asked[:40]] == [0] * 14 + [1] * 13 + [2] * 13


def test_leitner_repeats_what_was_wrong_before_anything_new():
    assert {skill for skill, _ in chosen(leitner(12), lambda skill, level: 0.0, 1)} == {0}
    assert [skill for skill, _ in chosen(leitner(12), lambda skill, level: 1.0, 1)][:12] == list(range(12))


def test_the_expert_goes_on_only_after_five_right_answers_and_never_past_a_prerequisite():
    assert {skill for skill, _ in chosen(expert_rule(NEEDS), lambda skill, level: 0.0)} == {0}
    asked = chosen(expert_rule(NEEDS), lambda skill, level: 1.0)
    assert [skill for skill, _ in asked[:11]] == [0] * 5 + [1] * 5 + [2]
    seen = set()
    for skill, _ in asked:
        assert set(np.flatnonzero(PLAN.needs[skill])) <= seen
        seen.add(skill)


def test_who_gives_up_forgets_like_the_others_and_learns_no_more():
    env = WORLD._replace(params=Params(quitting=1.0, level=-4.0, level_spread=0.0))
    course = taught(TIMETABLE, env, CLASS)
    gone = np.flatnonzero(~np.asarray(course.here[:, -1]))
    assert len(gone)
    for one in gone:
        last = int(np.asarray(course.here[one]).sum()) - 1
        assert np.isnan(course.right[one, last + 1 :]).all()
        assert len(set(np.asarray(course.minutes[one, last:]).tolist())) == 1
        assert (np.diff(np.asarray(course.exam[one, last:])) <= 0).all()
        assert course.kept[one] <= course.exam[one, -1]


# What is told.


def test_correlations_by_hand():
    # 1 - 6 sum(d^2) / (n (n^2 - 1)): d^2 sum to 4, 2 and 10 of 60 / 6
    columns = np.array([[1.0, 2.0, 3.0, 4.0], [20.0, 10.0, 40.0, 30.0], [0.1, 0.3, 0.2, 0.4]])
    ab, ac, bc = 0.6, 0.8, 0.0
    found = _correlations(columns)
    assert found[:2] == pytest.approx((ab, ac))
    assert found[2] == pytest.approx((ab - ac * bc) / np.sqrt((1 - ac**2) * (1 - bc**2)))


def test_a_story_of_eight_pupils(monkeypatch):
    monkeypatch.setattr(telling, "CLASSES", {telling.OWN: Params()})
    story = telling.tell(Ask(quick=True), lambda line: None, pupils=8)
    courses = [told for told in story.rows if "tutor" in told]
    assert len(courses) == 7
    numbers = [value for told in courses for value in told.values() if value is not None and not isinstance(value, str)]
    assert np.isfinite(numbers).all()
    assert [told["tuned"] for told in story.rows if "tuned" in told] == ["self-tuned", "self-tuned, set wrong"]
    assert all(len(row) == len(table.columns) for table in story.tables for row in table.rows)


def test_a_course_is_the_same_each_time():
    first, again = (taught(TUTOR, WORLD, CLASS) for _ in range(2))
    jax.tree.map(np.testing.assert_array_equal, first, again)


def test_ratios_are_of_the_same_pupils():
    theirs = np.linspace(1.0, 2.0, 40)
    assert paired_ratio(2.0 * theirs, theirs, seed=0) == pytest.approx((2.0, 2.0, 2.0))
    assert paired_ratio(theirs, np.zeros(40), seed=0) is None


def test_the_worth_of_a_course_by_hand():
    course = taught(TIMETABLE, WORLD, CLASS)
    own = worth(course)
    np.testing.assert_allclose(
        own.per_hour, np.asarray(course.mastered[:, -1]) / np.asarray(course.minutes[:, -1]) * 60
    )
    np.testing.assert_allclose(own.gain, np.asarray(course.exam[:, -1]) - np.asarray(course.before))


# A user's own pupils.

GOOD = "pupil,day,skill,difficulty,right,minutes\nAda,0,count objects,easy,1,1.5\nAda,2,count objects,hard,0,1\n"


def test_answers_of_real_pupils_move_the_tutor(tmp_path):
    (tmp_path / "answers.csv").write_text(GOOD)
    record = read_answers(tmp_path / "answers.csv", PLAN)["Ada"]
    assert [heard.lesson for heard in record] == [0, 1]
    assert [heard.level for heard in record] == [0, 2]
    assert next_item(self_tuning(NEEDS), record, PLAN, 4.0).skill in PLAN.skills
    assert next_item(fixed_pace(12), record, PLAN, 4.0) == (PLAN.skills[1], "easy")  # the third lesson


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("Ada,2", "Ada,-1", "line 3: day -1 comes after day 0"),
        ("count objects,easy", "count object,easy", "line 2: there is no skill 'count object'; did you mean"),
        ("easy", "simple", "no difficulty 'simple'"),
        (",1,1.5", ",2,1.5", "right = 2; expected 1"),
        (",1.5", ",0", "minutes = 0; expected"),
        ("Ada,0", "Ada,today", "day = 'today'; expected a number"),
        ("minutes", "seconds", "no column minutes"),
    ],
)
def test_answers_that_make_no_sense_are_refused(tmp_path, old, new, told):
    (tmp_path / "answers.csv").write_text(GOOD.replace(old, new, 1))
    with pytest.raises(SettingError, match=re.escape(told)):
        read_answers(tmp_path / "answers.csv", PLAN)


def test_the_tutorials_change_to_a_project_of_ones_own(tmp_path, capsys):
    folder = tmp_path / "own"
    from selftune.scenarios import eject

    eject("education", folder)
    page = DOCS.read_text()
    (skills,), (answers,) = (re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL) for language in ("json", "csv"))
    (folder / "skills.json").write_text(skills)
    (folder / "answers.csv").write_text(answers)
    main = (folder / "main.py").read_text()
    (folder / "main.py").write_text(main.replace("PUPILS = 50", "PUPILS = 4"))
    runpy.run_path(str(folder / "main.py"))
    told = capsys.readouterr().out
    assert "Mia: " in told
    assert "self-tuned: " in told
    assert len(skills.splitlines()) + len(answers.splitlines()) < 20
