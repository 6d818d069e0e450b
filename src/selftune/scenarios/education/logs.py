"""Answers of real pupils: a table of what was practised when, and what the tutor makes of it.

pupil,day,skill,difficulty,right,minutes
Ada,0,unit fractions,easy,1,1.5
"""

import csv
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
SPAN, FARTHEST = 11_000.0, 2.0**24
"""Days that may lie between the first answer of a pupil and the last, thirty years; and between any day and day 0:
those beyond cannot be told apart in single precision."""


class Heard(NamedTuple):
    """One answer of one pupil."""

    day: float
    lesson: int
    item: int
    """Of the lesson, from 0."""
    skill: int
    level: int
    right: float
    minutes: float


class Next(NamedTuple):
    """What a tutor would ask next."""

    skill: str
    difficulty: str


def read_answers(path: Path, plan: Curriculum) -> dict[str, list[Heard]]:
    """Each pupil's answers, in the order of the file.

    Args:
        path: A table of comma-separated values with a line of `COLUMNS`. A day is a number of days since any first
            one, whose part after the point, the time of day, is left out; a lesson is all that was done on one day.
        plan: Whose skills they are.

    Raises:
        SettingError: The file cannot be read, a column is missing or there twice, or a line makes no sense, with its
            number: an unknown skill or difficulty, a day before the last one of the same pupil, or so far from it
            that it is counted in seconds, minutes that are not positive, an answer that is neither 0 nor 1.
    """
    try:
        with Path(path).open(newline="", encoding="utf-8-sig") as file:
            return _pupils(path, csv.DictReader(file), plan)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SettingError(
            f"The answers of {path} cannot be read ({error}). Give a table of comma-separated values in UTF-8, with a "
            f"first line {','.join(COLUMNS)}"
        ) from error


def follow(tutor: Tutor, record: list[Heard]) -> PyTree:
    """What the tutor knows after a pupil's answers."""
    hear = jax.jit(tutor.hear)
    mind = tutor.begin()
    for one in record:
        moment = Moment(jnp.float32(one.day), jnp.int32(one.lesson), jnp.int32(one.item))
        answer = Answer(jnp.int32(one.skill), jnp.int32(one.level), jnp.float32(one.right), jnp.float32(one.minutes))
        mind = hear(mind, moment, answer)
    return mind


def next_item(tutor: Tutor, record: list[Heard], plan: Curriculum, day: float, seed: int = 0) -> Next:
    """What the tutor would ask first in a lesson on a day, after a pupil's answers.

    Args:
        tutor: Who asks.
        record: The pupil's answers.
        plan: Whose skills they are.
        day: Of the next lesson.
        seed: Of the tutor's choice, which may be drawn.

    Raises:
        SettingError: The day is before that of the last answer.
    """
    if record and not day >= record[-1].day:
        raise SettingError(
            f"The next lesson is on day {day:g}, and there is an answer of day {record[-1].day:g}; expected that "
            "day or a later one."
        )
    mind, lesson = follow(tutor, record), record[-1].lesson + 1 if record else 0
    moment = Moment(jnp.float32(day), jnp.int32(lesson), jnp.int32(0))
    action = int(tutor.choose(mind, moment, jax.random.key(seed)))
    return Next(plan.skills[action // 3], LEVELS[action % 3])


def _pupils(path: Path, lines: csv.DictReader, plan: Curriculum) -> dict[str, list[Heard]]:
    head: list[str] = list(lines.fieldnames or ())
    for name in COLUMNS:
        if head.count(name) != 1:
            told = "has no column" if name not in head else "has more than one column"
            raise SettingError(f"{path} {told} {name}; expected {', '.join(COLUMNS)}, each once.")
    pupils: dict[str, list[Heard]] = {}
    for line in lines:
        where = f"{path}, line {lines.line_num}"
        if None in line.values() or None in line:
            raise SettingError(f"{where} has another number of entries than the first; expected {len(head)}.")
        if not (pupil := line["pupil"].strip()):
            raise SettingError(f"{where} has no pupil; expected a name or a number.")
        record = pupils.setdefault(pupil, [])
        record.append(_heard(line, where, plan, record))
    return pupils


def _heard(line: Mapping[str, str], where: str, plan: Curriculum, record: list[Heard]) -> Heard:
    skill, level = (
        _place(where, "skill", line["skill"], plan.skills),
        _place(where, "difficulty", line["difficulty"], LEVELS),
    )
    day, minutes, right = (_number(where, name, line[name]) for name in ("day", "minutes", "right"))
    if right not in (0.0, 1.0):
        raise SettingError(f"{where}: right = {line['right']}; expected 1 for a right answer and 0 for a wrong one.")
    if minutes <= 0.0:
        raise SettingError(f"{where}: minutes = {line['minutes']}; expected the time that the item took, above 0.")
    day = float(math.floor(day))
    if abs(day) >= FARTHEST or (record and day > record[0].day + SPAN):
        since = f", {day - record[0].day:.0f} after the pupil's first" if record else ""
        raise SettingError(
            f"{where}: day = {line['day']}{since}; expected days since any first one, and not seconds or dates. Divide "
            "by the seconds of a day, 86400, or count from the first day."
        )
    if not record:
        return Heard(day, 0, 0, skill, level, right, minutes)
    before = record[-1]
    if day < before.day:
        raise SettingError(
            f"{where}: day {day:g} comes after day {before.day:g}; expected each pupil's answers in their order."
        )
    lesson, item = (before.lesson, before.item + 1) if day == before.day else (before.lesson + 1, 0)
    return Heard(day, lesson, item, skill, level, right, minutes)


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
