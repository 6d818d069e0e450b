"""A world whose every standard change is a change of the numbers it is given: one compiled program serves them all."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from selftune import _tree
from selftune.envs import native
from selftune.envs.drift import Change, Drift, drifting, standard
from selftune.envs.drift.native_worlds import Mapped
from selftune.envs.drift.outer_maps import neutral
from selftune.envs.drift.standards import STANDARDS, kinds
from selftune.envs.native import Environment
from selftune.envs.opening import open_native
from selftune.experiments.measures import Stream
from selftune.experiments.sweep import Physics
from selftune.types import PyTree

OFF = "none"
"""The kind of a world that does not change."""


class Changing(NamedTuple):
    """A world written in JAX, and how to change it from outside."""

    env: Environment
    """Stands still; its `params` hold every map that a standard change needs, each changing nothing."""
    plain: Environment


def changing(name: str) -> Changing:
    """A world written in JAX, by its name, ready for every standard change of it, if there are any."""
    plain = open_native(name)
    assert plain is not None
    own = neutral(plain.observation_space, plain.action_space)
    ways = kinds(name) if name in STANDARDS else ()
    needed = {change.field for kind in ways for change in drift_of(name, kind, 1).changes} & own.keys()
    maps = Drift(tuple(Change(field, values=(float(own[field]),)) for field in sorted(needed)))
    mapped = drifting(plain, maps)
    params = mapped.params if isinstance(mapped.params, Mapped) else Mapped(mapped.params, {}, ())
    if not needed:  # without maps the world's own functions take the world's own physics
        return Changing(plain._replace(params=_tree.strong(plain.params), physics=native.unchanged), plain)
    return Changing(mapped._replace(params=_tree.strong(params), physics=native.unchanged), plain)


def drift_of(name: str, kind: str, every: int) -> Drift:
    """The standard change of a kind, a way and a subject such as `"gradual reward"`; none at all for `OFF`."""
    return Drift() if kind == OFF else standard(name, *kind.split(), every=every)


def physics_of(one: Changing, drift: Drift) -> Physics:
    """What is handed to the program at each step."""
    moved = drifting(one.plain, drift)

    def physics(step: float) -> PyTree:
        now = moved.physics(moved.params, jnp.int32(int(step)))
        if not isinstance(one.env.params, Mapped):
            return _tree.strong(now)
        world, maps = (now.world, now.maps) if isinstance(now, Mapped) else (now, {})
        return _tree.strong(Mapped(world, {**one.env.params.maps, **maps}, ()))

    return physics


def standing(physics: Physics, step: int) -> Physics:
    """The world as it is at one step, for ever."""
    now = physics(float(step))
    return lambda _: now


def stream_of(drift: Drift, steps: int) -> Stream:
    """When a world changes, and which of its regimes are alike: those with equal levels from beginning to end."""
    stretches = drift.regimes(steps)
    met: dict[tuple, int] = {}
    numbers = tuple(met.setdefault(_levels(drift, begin, end), len(met)) for begin, end in stretches)
    return Stream(tuple(begin for begin, _ in stretches[1:]), numbers)


def middles(drift: Drift, steps: int) -> list[int]:
    """For each regime, in the order of `Stream.regimes`' numbers, the middle of its first time."""
    numbers = stream_of(drift, steps).regimes
    stretches = drift.regimes(steps)
    return [sum(stretches[numbers.index(number)]) // 2 for number in range(max(numbers) + 1)]


def _levels(drift: Drift, begin: int, end: int) -> tuple[float, ...]:
    """Of every changing field at the begin, in the middle, and just before the begin of what follows."""
    places = (begin, (begin + end) // 2)
    rising = [np.sign(drift.level(change, end - 1) - drift.level(change, begin)) for change in drift.changes]
    told = [round(float(drift.level(change, place)), 6) for change in drift.changes for place in places]
    return (*told, *map(float, rising))
