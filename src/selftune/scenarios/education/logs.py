"""Answers of real pupils: a table of what was practised when, and what the tutor makes of it.

pupil,day,skill,difficulty,right,minutes
Ada,0,unit fractions,easy,1,1.5
"""

import csv
import itertools
import math
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp

from selftune.envs.worlds.curriculum import Curriculum
from selftune.errors import SettingError, did_you_mean
from selftune.scenarios.education.lessons import Answer, Moment, Tutor
from selftune.types import PyTree

COLUMNS = ("pupil", "day", "skill", "difficulty", "right", "minutes")
LEVELS = ("easy", "medium", "hard")


class Heard(NamedTuple):
    """One answer of one pupil."""

    moment: Moment
    answer: Answer


class Next(NamedTuple):
    """What a tutor would ask next."""

    skill: str
    difficulty: str


def read_answers(path: Path, plan: Curriculum) -> dict[str, list[Heard]]:
    """Each pupil's answers, in the order of the file.

    Args:
        path: A table of comma-separated values with a line of `COLUMNS`. A day is a number of days since any first
            one; a lesson is all that was done at the same time of a day.
        plan: Whose skills they are.

    Raises:
        SettingError: A column is missing, or a line makes no sense, with its number: an unknown skill or difficulty, a
            day before the last one of the same pupil, minutes that are not positive, an answer that is neither 0 nor 1.
    """
    with path.open(newline="") as file:
        lines = csv.DictReader(file)
        missing = [name for name in COLUMNS if name not in (lines.fieldnames or ())]
        if missing:
            raise SettingError(f"{path} has no column {', '.join(missing)}; expected {', '.join(COLUMNS)}.")
        pupils: dict[str, list[Heard]] = {}
        for number, line in enumerate(lines, start=2):
            record = pupils.setdefault(line["pupil"], [])
            record.append(_heard(line, f"{path}, line {number}", plan, record))
    return pupils


def follow(tutor: Tutor, record: list[Heard]) -> PyTree:
    """What the tutor knows after a pupil's answers."""
    hear = jax.jit(tutor.hear)
    mind = tutor.begin()
    for heard in record:
        mind = hear(mind, heard.moment, heard.answer)
    return mind


def next_item(tutor: Tutor, mind: PyTree, plan: Curriculum, day: float, seed: int = 0) -> Next:
    """What the tutor would ask on a day."""
    moment = Moment(jnp.float32(day), jnp.int32(0), jnp.int32(0))
    action = int(tutor.choose(mind, moment, jax.random.key(seed)))
    return Next(plan.skills[action // 3], LEVELS[action % 3])


def _heard(line: Mapping[str, str], where: str, plan: Curriculum, before: list[Heard]) -> Heard:
    skill, level = (
        _place(where, "skill", line["skill"], plan.skills),
        _place(where, "difficulty", line["difficulty"], LEVELS),
    )
    day, minutes, right = (_number(where, name, line[name]) for name in ("day", "minutes", "right"))
    if right not in (0.0, 1.0):
        raise SettingError(f"{where}: right = {line['right']}; expected 1 for a right answer and 0 for a wrong one.")
    if minutes <= 0.0:
        raise SettingError(f"{where}: minutes = {line['minutes']}; expected the time that the item took, above 0.")
    last = float(before[-1].moment.day) if before else day
    if day < last:
        raise SettingError(
            f"{where}: day {day:g} comes after day {last:g}; expected each pupil's answers in their order."
        )
    lesson = len(list(itertools.groupby([float(one.moment.day) for one in before] + [day]))) - 1
    item = sum(float(one.moment.day) == day for one in before)
    moment = Moment(jnp.float32(day), jnp.int32(lesson), jnp.int32(item))
    return Heard(moment, Answer(jnp.int32(skill), jnp.int32(level), jnp.float32(right), jnp.float32(minutes)))


def _place(where: str, column: str, name: str, known: tuple[str, ...]) -> int:
    if name not in known:
        raise SettingError(f"{where}: there is no {column} {name!r}; {did_you_mean(name, known)}")
    return known.index(name)


def _number(where: str, column: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise SettingError(f"{where}: {column} = {text!r}; expected a number.")
    return value
