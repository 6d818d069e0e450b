"""A course: a tutor and a pupil, item by item and lesson by lesson; many pupils side by side.

course = taught(tutor, env, keys)        each leaf [N, ...]: a pupil a key
"""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.core import Tracer

from selftune.envs.native import Environment
from selftune.envs.worlds.tutoring import ITEMS, MASTERED, SESSIONS, Params, Pupil, State, calendar, exam, mastered
from selftune.errors import SettingError
from selftune.types import Array, Bool, Float, Int, PRNGKey, PyTree

FOUR_WEEKS = 28.0


class Moment(NamedTuple):
    """When something is chosen or answered."""

    day: Float[Array, ""]
    lesson: Int[Array, ""]
    item: Int[Array, ""]
    """Of this lesson, from 0."""


class Answer(NamedTuple):
    """What a tutor learns from an item."""

    skill: Int[Array, ""]
    level: Int[Array, ""]
    """0 easy, 1 medium, 2 hard."""
    right: Float[Array, ""]
    """1 or 0."""
    minutes: Float[Array, ""]


class Tutor(NamedTuple):
    """Who chooses: pure functions for one pupil. A tutor sees answers and the calendar, nothing of the pupil."""

    name: str
    begin: Callable[[], PyTree]
    choose: Callable[[PyTree, Moment, PRNGKey], Int[Array, ""]]
    """`choose(mind, moment, key) -> difficulty + 3 * skill`."""
    hear: Callable[[PyTree, Moment, Answer], PyTree]
    """After each item."""
    show: Callable[[PyTree], dict[str, Float[Array, ""]]] = lambda mind: {}
    """What a person wants to know of it, by name."""


class Course(NamedTuple):
    """What became of a pupil."""

    pupil: Pupil
    exam: Float[Array, " L"]
    """Expected score of an exam on the day of each lesson, after it; also of those who have given up."""
    mastered: Float[Array, " L"]
    """Skills mastered then."""
    minutes: Float[Array, " L"]
    """Spent so far."""
    right: Float[Array, " L"]
    """Share of right answers in each lesson; NaN after the pupil gave up."""
    here: Bool[Array, " L"]
    """Whether the pupil had not given up before the lesson."""
    before: Float[Array, ""]
    """Expected score of an exam before the first lesson."""
    already: Float[Array, ""]
    """Skills mastered then."""
    kept: Float[Array, ""]
    """Expected score of an exam four weeks after the course's last lesson."""
    retained: Float[Array, ""]
    """Skills mastered then."""
    shown: dict[str, Float[Array, " L"]]
    """What the tutor shows after each lesson."""


SHARES = ("guess", "slip", "events", "quitting")
"""Chances among the numbers of a class."""


def checked(params: Params) -> Params:
    """The class as it is, if there can be such pupils.

    Raises:
        SettingError: A chance or a correlation that is none, a half-life that is not above 0, any other number below 0,
            or guesses and slips with which a skill is mastered by nobody or by everybody.
    """
    if any(isinstance(told, Tracer) for told in params):  # inside a compiled program they are no numbers yet
        return params
    for name, told in params._asdict().items():
        value = float(told)
        good, expected = value >= 0.0, "a finite number, at least 0"
        if name in SHARES:
            good, expected = 0.0 <= value <= 1.0, "a chance, from 0 to 1"
        elif name == "half_life":
            good, expected = value > 0.0, "a finite number of days above 0"
        elif name == "rate_level":
            good, expected = -1.0 <= value <= 1.0, "a correlation, from -1 to 1"
        elif name == "level":
            good, expected = True, "a finite number of logits"
        if not (good and math.isfinite(value)):
            raise SettingError(f"Got Params({name}={value:g}), expected {expected}.")
    if params.guess >= MASTERED or params.slip >= 1.0 - MASTERED:
        raise SettingError(
            f"Got Params(guess={params.guess:g}, slip={params.slip:g}), expected a guess below {MASTERED:g} and a slip "
            f"below {1.0 - MASTERED:g}: a skill is mastered when {MASTERED:g} of the medium items would be solved, "
            "which everybody or nobody would."
        )
    return params


def taught(tutor: Tutor, env: Environment, keys: PyTree) -> Course:
    """Give a course to many pupils: the same keys are the same pupils, whoever teaches them.

    Args:
        tutor: Who teaches.
        env: `tutoring`.
        keys: [N], one for each pupil.

    Raises:
        SettingError: There can be no such pupils.
    """
    return classroom(tutor, env)(env.params, keys)


def classroom(tutor: Tutor, env: Environment) -> Callable[[Params, PyTree], Course]:
    """A tutor's course, `course(params, keys)`, compiled once for all classes: what a class is like is data.

    A class of which there can be no such pupils is refused when it is to be taught (`checked`).
    """
    compiled = jax.jit(jax.vmap(functools.partial(_course, tutor, env), in_axes=(None, 0)))
    return lambda params, keys: compiled(checked(params), keys)


def _course(tutor: Tutor, env: Environment, params: Params, key: PRNGKey) -> Course:
    _, state = env.reset(key, params)
    before, already = exam(state, params), mastered(state, params).sum() * 1.0
    days = calendar(state.pupil, params)

    def item(carry: tuple, number: Int[Array, ""]) -> tuple[tuple, Float[Array, ""]]:
        state, mind, gone, minutes = carry
        moment = Moment(state.day, number // ITEMS, number % ITEMS)
        own = jax.random.fold_in(key, number)
        action = tutor.choose(mind, moment, jax.random.fold_in(own, 1))
        _, then, _, ended, _, info = env.step(jax.random.fold_in(own, 2), state, action, params)
        heard = tutor.hear(mind, moment, Answer(action // 3, action % 3, info["right"], info["minutes"]))
        then, heard = _unless(gone, (state, mind), (then, heard))
        minutes = minutes + jnp.where(gone, 0.0, info["minutes"])
        return (then, heard, gone | ended, minutes), info["right"]

    def lesson(carry: tuple, number: Int[Array, ""]) -> tuple[tuple, Any]:
        here = ~carry[2]
        (state, mind, gone, minutes), right = jax.lax.scan(item, carry, number * ITEMS + jnp.arange(ITEMS))
        since = days[number] - state.day  # the state stands at the next lesson already, or where the pupil gave up
        scores = exam(state, params, since), mastered(state, params, since).sum() * 1.0
        now = *scores, minutes, jnp.where(here, right.mean(), jnp.nan), here, tutor.show(mind)
        return (state, mind, gone, minutes), now

    start = state, tutor.begin(), jnp.zeros((), bool), jnp.zeros(())
    (state, *_), (scores, skills, minutes, right, here, shown) = jax.lax.scan(lesson, start, jnp.arange(SESSIONS))
    final: State = state
    later = days[-1] + FOUR_WEEKS - final.day
    kept, retained = exam(final, params, later), mastered(final, params, later).sum() * 1.0
    return Course(final.pupil, scores, skills, minutes, right, here, before, already, kept, retained, shown)


def _unless(stop: Bool[Array, ""], old: PyTree, new: PyTree) -> PyTree:
    return jax.tree.map(lambda a, b: jnp.where(stop, a, b).astype(jnp.asarray(a).dtype), old, new)
