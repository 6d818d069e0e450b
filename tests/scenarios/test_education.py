"""The pupils do what a hand calculation says, the tutor's derivatives are those of finite differences, and what is
calibrated comes out of the published data."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import selftune as st
from selftune.envs.worlds.curriculum import FRACTIONS, curriculum
from selftune.envs.worlds.tutoring import (
    DIFFICULTIES,
    ILLNESS,
    ITEMS,
    NOTHING,
    SESSIONS,
    SPURT,
    Params,
    tutoring,
)
from selftune.errors import SettingError
from selftune.experiments.statistics import Interval, paired_ratio
from selftune.scenarios.education import belief as beliefs, calibration, figures, telling, wording
from selftune.scenarios.education.belief import Belief, Item
from selftune.scenarios.education.lessons import Answer, Moment, classroom, taught
from selftune.scenarios.education.measures import _correlations, around, worth
from selftune.scenarios.education.rivals import expert_rule, fixed_pace, leitner
from selftune.scenarios.education.tutor import START, USUAL, Judge, _judged, _outer_loss, self_tuning, untuned
from selftune.scenarios.story import Ask

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
    traced, paces, pupils = [], [], jax.random.split(jax.random.key(5), 64)
    room = classroom(TUTOR._replace(begin=lambda: (traced.append(1), TUTOR.begin())[1]), WORLD)
    for learning in (0.1, 0.6):
        course = room(Params()._replace(learning=learning, quitting=0.0), pupils)
        assert np.isfinite(course.shown["pace"]).all()
        paces.append(float(np.median(course.shown["pace"][:, 11])))
    assert paces[1] > 1.3 * paces[0]
    assert len(traced) == 1, "what a class is like is data"


def test_a_tutor_without_an_outer_loop_is_the_self_tuned_one_that_stands_still():
    still = taught(self_tuning(NEEDS, meta_learning_rate=0.0, leak=0.0), WORLD, CLASS)
    fixed = taught(untuned(NEEDS), WORLD, CLASS)
    np.testing.assert_allclose(still.exam, fixed.exam, atol=1e-5)
    np.testing.assert_array_equal(still.right, fixed.right)


@pytest.mark.parametrize(
    ("days", "share", "growth"),
    [
        ([0.0] * 8 + [0.0], 1.0, 0.8 / 9.0),
        ([0.0] * 3 + [2.0] * 6, 0.25, 0.2 / 2.0),
        ([0.0] + [2.0] * 8, 0.0, 0.0),
        ([-1.0] * 8 + [-1.0], 1.0, 0.8 / 9.0),
    ],
    ids=["a long lesson", "a short lesson", "the last item of a lesson", "days below zero"],
)
def test_a_choice_is_judged_by_the_growth_a_minute_until_its_lesson_ends(days, share, growth):
    # Scores 0, .1 ... .8 before nine items; the items took 1 minute, the last of the eight that are remembered 2.
    mind = TUTOR.begin()
    answers = mind.choices.answer._replace(skill=jnp.zeros(8, jnp.int32), minutes=jnp.ones(8).at[-1].set(2.0))
    mind = mind._replace(
        choices=mind.choices._replace(answer=answers, day=jnp.asarray(days[:8]), score=0.1 * jnp.arange(8.0))
    )
    judge, worth = _judged(mind, item(0, 1, 1.0, days[8]), jnp.float32(0.8))
    square = USUAL**2 + 0.02 * share * (growth**2 - USUAL**2)
    assert worth == pytest.approx((0.02 * share * growth, square), abs=1e-7)
    assert float(judge.advantage) == pytest.approx(share * min(3.0, growth / np.sqrt(square)), abs=1e-5)


def test_before_the_first_answer_there_is_no_choice_to_judge():
    for day in (0.0, -1.0):
        judge, worth = _judged(TUTOR.begin(), item(0, 1, 1.0, day), jnp.float32(0.5))
        assert float(judge.advantage) == 0.0
        assert float(worth.mean) == 0.0


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


def test_a_timetable_has_an_item_for_each_skill_or_is_refused():
    asked = chosen(fixed_pace(SESSIONS * ITEMS), lambda skill, level: 0.0, SESSIONS)
    assert [skill for skill, _ in asked] == list(range(480))
    for skills in (0, 481):
        with pytest.raises(SettingError, match=rf"fixed_pace\({skills}\): expected 1 to 480 skills"):
            fixed_pace(skills)


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


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"slip": 0.2}, r"slip=0.2\), expected a guess below 0.8 and a slip below 0.2"),
        ({"guess": 0.9}, "guess=0.9, .*expected a guess below 0.8"),
        ({"guess": -0.1}, "guess=-0.1.*a chance, from 0 to 1"),
        ({"rate_level": 1.1}, "rate_level=1.1.*a correlation, from -1 to 1"),
        ({"half_life": 0.0}, "half_life=0.*a finite number of days above 0"),
        ({"learning": float("nan")}, "learning=nan.*a finite number, at least 0"),
    ],
)
def test_a_class_that_cannot_be_is_refused(wrong, told):
    with pytest.raises(SettingError, match=told):
        classroom(TIMETABLE, WORLD)(Params(**wrong), CLASS)


# What is told.


def test_correlations_by_hand():
    # 1 - 6 sum(d^2) / (n (n^2 - 1)): d^2 sum to 4, 2 and 10 of 60 / 6
    columns = np.array([[1.0, 2.0, 3.0, 4.0], [20.0, 10.0, 40.0, 30.0], [0.1, 0.3, 0.2, 0.4]])
    ab, ac, bc = 0.6, 0.8, 0.0
    found = _correlations(columns)
    assert found[:2] == pytest.approx((ab, ac))
    assert found[2] == pytest.approx((ab - ac * bc) / np.sqrt((1 - ac**2) * (1 - bc**2)))
    columns[2, 1] = np.nan
    assert np.isnan(_correlations(columns)[1:]).all(), "not: no correlation"


def disturbed(*ends):
    """Two pupils to whom nothing happens, and ill ones, who begin with lessons 8, 9 ...: their pace falls step by step
    to an end after their sixth lesson, and is 1 at all other times."""
    pace, begins = np.ones((2 + len(ends), SESSIONS)), np.arange(6, 8 + len(ends))
    for number, end in enumerate(ends, 2):
        pace[number, begins[number] : begins[number] + 6] = np.linspace(1.0, end, 7)[1:]
    event = np.array([NOTHING, NOTHING] + [ILLNESS] * len(ends))
    course = jax.eval_shape(lambda keys: taught(TIMETABLE, WORLD, keys), CLASS)
    pupil = course.pupil._replace(event=event, begins=begins)
    return course._replace(shown={"pace": pace}, pupil=pupil, here=np.ones_like(pace, bool))


def test_the_pace_after_the_sixth_lesson_of_an_event_by_hand():
    estimate, low, high = around(disturbed(0.7, 0.7, 0.8, 0.8), ILLNESS, seed=0)
    assert estimate == pytest.approx(np.sqrt(0.7 * 0.8))
    assert 0.7 <= low < estimate < high <= 0.8
    assert around(disturbed(0.7), ILLNESS, seed=0) == pytest.approx((0.7, 0.7, 0.7))


def test_of_an_event_that_nobody_met_with_nothing_is_told():
    assert around(disturbed(0.7), SPURT, seed=0) is None
    assert wording.interval(None) == "-"
    assert (
        "The pace cannot be said to rise or fall with the pupil: nobody met an illness; nobody met a spurt"
        in wording.moves(None, None)
    )


def test_verdicts_are_those_of_the_intervals():
    ill, spurt, either = ({"estimate": x, "low": x - 0.1, "high": x + 0.1} for x in (0.8, 1.2, 1.0))
    assert "rises and falls with" in wording.moves(ill, spurt)
    assert "falls with the pupil, but cannot be said to rise" in wording.moves(ill, either)
    assert "rises with the pupil, but cannot be said to fall" in wording.moves(either, spurt)
    above, neither, below = (Interval(x, x - 0.1, x + 0.1) for x in (1.2, 1.0, 0.8))
    assert wording.owed(below).endswith("not to self-tuning")
    assert wording.owed(above).endswith("and to self-tuning too")
    assert wording.righted(above) == "self-tuning recovers a part"
    for told in (neither, None):
        assert "cannot be said" in wording.owed(told)
        assert "cannot be said" in wording.righted(told)
    assert "no ratio" in wording.times(None)


def test_the_picture_of_an_event_stands_at_zero_before_its_first_lesson():
    _, line = figures.pace_around_events(disturbed(0.7, 0.7)).data
    at = dict(zip(line.x, line.y, strict=True))
    assert [at[lesson] for lesson in (-1, 0, 6, 7)] == pytest.approx([1.0, 1.0, 0.7, 1.0])


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
    own, learned = worth(course), np.asarray(course.mastered[:, -1]) - np.asarray(course.already)
    np.testing.assert_allclose(own.per_hour, learned / np.asarray(course.minutes[:, -1]) * 60)
    np.testing.assert_allclose(own.gain, np.asarray(course.exam[:, -1]) - np.asarray(course.before))


def test_what_was_mastered_before_is_no_worth_of_the_course():
    knowing = WORLD._replace(params=Params(level=8.0, level_spread=0.0))
    course = taught(TIMETABLE, knowing, CLASS)
    np.testing.assert_array_equal(course.mastered[:, -1], 12.0)
    own = worth(course)
    for told in (own.mastered, own.per_hour, own.retained):
        np.testing.assert_array_equal(told, 0.0)
