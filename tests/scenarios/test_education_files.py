"""A user's own skills and answers: what is read, what is refused and how, and what the tutor makes of them."""

import json
import re
import runpy
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from selftune.envs.worlds.curriculum import FRACTIONS, curriculum
from selftune.errors import SettingError
from selftune.scenarios import eject
from selftune.scenarios.education import logs
from selftune.scenarios.education.logs import follow, next_item, read_answers
from selftune.scenarios.education.rivals import expert_rule, fixed_pace
from selftune.scenarios.education.skills import read_skills
from selftune.scenarios.education.tutor import START, self_tuning, untuned

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs" / "education.md"
SKELETON = Path(logs.__file__).parent / "skeleton"
PLAN = curriculum(FRACTIONS)
NEEDS = jnp.asarray(PLAN.needs)

GOOD = "pupil,day,skill,difficulty,right,minutes\nAda,0,count objects,easy,1,1.5\nAda,2,count objects,hard,0,1\n"


def refused(path, told, read=lambda path: read_answers(path, PLAN)):
    with pytest.raises(SettingError, match=re.escape(told)) as error:
        read(path)
    assert str(path) in str(error.value) + "".join(getattr(error.value, "__notes__", []))


# Answers.


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
        ("\nAda,2", "\n\n\nAda,-1", "line 5: day -1 comes after day 0"),
        ("count objects,easy", "count object,easy", "line 2: there is no skill 'count object'; did you mean"),
        ("easy", "simple", "no difficulty 'simple'"),
        (",1,1.5", ",2,1.5", "right = 2; expected 1"),
        (",1.5", ",0", "minutes = 0; expected"),
        ("Ada,0", "Ada,today", "day = 'today'; expected a number"),
        ("Ada,2", "Ada,172800", "line 3: day = 172800, 172800 after the pupil's first; expected days"),
        ("Ada,0", "Ada,1.7e9", "line 2: day = 1.7e9; expected days since any first one, and not seconds"),
        ("minutes", "seconds", "has no column minutes; expected"),
        ("minutes", "minutes,minutes", "has more than one column minutes; expected"),
        (",1.5", "", "line 2 has another number of entries than the first; expected 6"),
        ("Ada,0", "A\xe9a,0", "cannot be read ('utf-8' codec"),
    ],
)
def test_answers_that_make_no_sense_are_refused(tmp_path, old, new, told):
    (tmp_path / "answers.csv").write_text(GOOD.replace(old, new, 1), "latin-1")
    refused(tmp_path / "answers.csv", told)


def test_a_lesson_is_a_whole_day(tmp_path):
    (tmp_path / "answers.csv").write_text(GOOD.replace("Ada,0", "Ada,-0.5").replace("Ada,2", "Ada,-0.49"))
    record = read_answers(tmp_path / "answers.csv", PLAN)["Ada"]
    assert [(heard.day, heard.lesson, heard.item) for heard in record] == [(-1.0, 0, 0), (-1.0, 0, 1)]


def test_answers_that_are_not_there_are_refused(tmp_path):
    refused(tmp_path / "answers.csv", "Give a table of comma-separated values in UTF-8, with a first line pupil,day")


# Skills.


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"a": [], "b": [], "a": ["b"]}', "'a' is there twice; name each skill once"),
        ('{"a": [], "b": [], "c": "ab"}', "the skill 'c' needs 'ab'; expected a list of names"),
        ('{"a": null}', "the skill 'a' needs None; expected a list of names, [] for a skill that needs none"),
        ('{"a": [1]}', "the skill 'a' needs [1]; expected a list of names"),
        ('["a", "b"]', "has ['a', 'b']; expected an object such as"),
        ('{"a": [', "cannot be read (Expecting value"),
        ('{"a": [], "\xe9": []}', "cannot be read ('utf-8' codec"),
        ('{"a": ["b"]}', "The skill 'a' needs 'b', which is none"),
        ("{}", "got no skill"),
    ],
)
def test_skills_that_make_no_sense_are_refused(tmp_path, text, told):
    (tmp_path / "skills.json").write_text(text, "latin-1")
    refused(tmp_path / "skills.json", told, read_skills)


def test_skills_that_are_not_there_are_refused(tmp_path):
    refused(tmp_path / "skills.json", "cannot be read ([Errno 2]", read_skills)


def test_skills_are_read_in_an_order_in_which_each_can_be_taught(tmp_path):
    (tmp_path / "skills.json").write_text('{"rests": ["half notes"], "half notes": []}')
    plan = read_skills(tmp_path / "skills.json")
    assert plan.skills == ("half notes", "rests")
    np.testing.assert_array_equal(plan.needs, [[0, 0], [1, 0]])


# What the tutor makes of them.


@pytest.fixture(scope="module")
def example():
    """The answers that are shipped, six a lesson, and a tutor for their skills."""
    plan = read_skills(SKELETON / "skills.json")
    return read_answers(SKELETON / "answers.csv", plan)["Ada"], self_tuning(jnp.asarray(plan.needs))


def test_lessons_of_six_items_move_every_metaparameter(example):
    record, tutor = example
    assert max(heard.item for heard in record) == 5
    for name, value in tutor.show(follow(tutor, record)).items():
        assert abs(float(value) / START[name] - 1.0) > 0.001, name


@pytest.mark.parametrize("shift", [-1.0, -3.0, 400.0])
def test_days_may_be_counted_from_any_first_one(example, shift):
    record, tutor = example
    shifted = [heard._replace(day=heard.day + shift) for heard in record]
    paths = (tutor.show(follow(tutor, told)) for told in (record, shifted))
    jax.tree.map(np.testing.assert_array_equal, *paths)


def test_the_expert_reviews_the_oldest_skill_on_whatever_day_it_is(tmp_path):
    lines = [f"Ada,{day},{skill},medium,1,1" for day, skill in enumerate(PLAN.skills[:2]) for _ in range(5)]
    (tmp_path / "answers.csv").write_text("\n".join([GOOD.splitlines()[0], *lines]))
    record = read_answers(tmp_path / "answers.csv", PLAN)["Ada"]
    for shift in (0.0, 2e6):
        shifted = [heard._replace(day=heard.day + shift) for heard in record]
        assert next_item(expert_rule(NEEDS), shifted, PLAN, 20.0 + shift) == (PLAN.skills[0], "medium")


def test_a_lesson_before_the_last_answer_and_a_pupil_without_a_name_are_refused(example, tmp_path):
    record, tutor = example
    with pytest.raises(SettingError, match="expected that day or a later one"):
        next_item(tutor, record, PLAN, record[-1].day - 1.0)
    file = tmp_path / "answers.csv"
    head = GOOD.splitlines()[0]
    file.write_text(f"{head}\n Ada ,1,{PLAN.skills[0]},easy,1,1\nAda,2,{PLAN.skills[0]},easy,1,1\n")
    assert {name: len(heard) for name, heard in read_answers(file, PLAN).items()} == {"Ada": 2}
    file.write_text(f"{head}\n ,1,{PLAN.skills[0]},easy,1,1\n")
    with pytest.raises(SettingError, match="line 2 has no pupil"):
        read_answers(file, PLAN)


@pytest.mark.parametrize("start", [{"pase": 0.1}, {"pace": 5.0}, {"discount": 1.0}, {"pace": float("nan")}])
def test_a_tutor_begins_with_what_it_has_and_within_its_bounds(start):
    for make in (self_tuning, untuned):
        with pytest.raises(SettingError, match=r"did you mean 'pace'|expected a number from"):
            make(NEEDS, start)


def test_the_tutorials_change_to_a_project_of_ones_own(tmp_path, capsys):
    folder = tmp_path / "own"
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


# What is told of the simulated ones.


def test_the_pages_figures_are_those_of_the_results():
    page = DOCS.read_text()
    for told in json.loads((ROOT / "results" / "education.json").read_text())["rows"]:
        if "class" in told:
            figures = (
                f"{told['mastered']:.2f}",
                f"{told['mastered_per_hour']:.3f} [{told['ci_low']:.3f}, {told['ci_high']:.3f}]",
                f"{told['gain']:.3f}",
                f"{told['lower_decile_gain']:+.3f}",
                f"{told['retained']:.2f}",
                f"{100 * told['gave_up']:.1f} %",
            )
            row = " | ".join(figures)
            assert row in page, f"docs/education.md has no {row}: {told['class']}, {told['tutor']}"
