"""Sweeps: one agent, one world, many initial settings and seeds, and the curves of all of them.

curves = runs(fleet, physics, settings, seeds, steps)       curves.level(): [N, P], a point a chunk
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from itertools import islice
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from selftune.errors import SettingError
from selftune.experiments.fleet import Fleet, Told
from selftune.runner.progress import progress
from selftune.types import PyTree

Physics: TypeAlias = Callable[[float], PyTree]
"""`physics(step)`: the world's physics after so many environment steps. It changes between chunks, so that a change is
no part of the program, and one program serves them all; each chunk has the physics of its middle."""

WIDTH = 64
"""Runs side by side at most: memory and time a chunk grow with it."""


class Curves(NamedTuple):
    """What `N` runs tell at `P` points of their life; each point sums up the steps since the one before."""

    steps: Int[np.ndarray, " P"]
    """Environment steps of a run up to each point."""
    episodes: Float[np.ndarray, "N P"]
    returns: Float[np.ndarray, "N P"]
    """Sum over the episodes that ended."""
    reward: Float[np.ndarray, "N P"]
    """Sum over all steps."""
    eta: Mapping[str, Float[np.ndarray, "N P"]]
    guards: Mapping[str, Int[np.ndarray, "N P"]]
    """How often each fired."""
    finite: Bool[np.ndarray, "N P"]
    """Whether all parameters are numbers."""

    def level(self, continuing: bool = False) -> Float[np.ndarray, "N P"]:
        """How good the run is at each point.

        Args:
            continuing: Reward per step, where there are no episodes; else the mean return of the episodes that ended,
                that of the point before where none did, and of the first that is known before any did.
        """
        if continuing:
            return self.reward / np.diff(self.steps, prepend=0)
        return filled(self.returns / np.where(self.episodes > 0, self.episodes, np.nan))


def runs(
    fleet: Fleet,
    physics: Physics,
    settings: Mapping[str, Any],
    seeds: Sequence[int],
    steps: int,
    points: int = 100,
    title: str | None = None,
    width: int | None = None,
) -> Curves:
    """Make many runs.

    Args:
        fleet: The agent in its world.
        physics: Of the world, as time goes on.
        settings: Initial values by name, `N` each; may be empty.
        seeds: `N` of them.
        steps: Environment steps of each run, rounded up to whole chunks.
        points: Chunks, about; the length of the curves.
        title: What is said to be in progress; nothing is said without it.
        width: Runs side by side, made up with copies of the last one where there are too few, so that one program
            serves any number; equally large groups of at most `WIDTH` when omitted.

    Raises:
        SettingError: Settings and seeds are not equally many.
    """
    count = len(seeds)
    if not count or any(np.shape(values) != (count,) for values in settings.values()):
        shapes = {name: np.shape(values) for name, values in settings.items()}
        raise SettingError(f"runs got {count} seeds and settings of shapes {shapes}; expected one value a seed.")
    chunk, chunks = plan(fleet.steps_per_update, steps, points)
    groups = -(-count // (width or WIDTH))
    size = width or -(-count // groups)
    with ExitStack() as after:
        after.callback(fleet.close)
        laps = after.enter_context(closing(progress(range(groups * chunks), title)))
        told = [
            _group(fleet, physics, settings, seeds, _members(group, size, count), chunk, islice(laps, chunks))
            for group in range(groups)
        ]
    return concatenated(told, count, chunk * fleet.steps_per_update)


def concatenated(groups: Sequence[Sequence[Told]], count: int, taken: int) -> Curves:
    """The curves of groups of runs, each a list of points with leaves [M], one every `taken` steps."""
    stacked = [jax.tree.map(lambda *leaves: np.stack(leaves, axis=1), *points) for points in groups]
    whole: Told = jax.tree.map(lambda *parts: np.concatenate(parts)[:count], *stacked)
    marks = np.arange(1, len(groups[0]) + 1) * taken
    episodes, returns, reward = (np.asarray(part) for part in (whole.episodes, whole.returns, whole.reward))
    eta, guards = ({name: np.asarray(path) for name, path in part.items()} for part in (whole.eta, whole.guards))
    return Curves(marks, episodes, returns, reward, eta, guards, np.asarray(whole.finite))


def plan(steps_per_update: int, steps: int, points: int) -> tuple[int, int]:
    """Updates a chunk, and chunks, of equal length, so that one program serves all."""
    updates = max(1, -(-steps // steps_per_update))
    chunk = -(-updates // points)
    return chunk, -(-updates // chunk)


def keys(seeds: Sequence[int]) -> PyTree:
    """A random key a seed, the one that a single run has."""
    return jax.vmap(jax.random.key)(jnp.asarray(seeds, jnp.uint32))


def filled(values: Float[np.ndarray, "N P"]) -> Float[np.ndarray, "N P"]:
    """Each gap filled by what was known before it, or first after it; gaps only stay gaps."""
    known = np.isfinite(values)
    last = np.maximum.accumulate(np.where(known, np.arange(values.shape[1]), -1), axis=1)
    source = np.where(last >= 0, last, known.argmax(axis=1)[:, None])
    return np.take_along_axis(values, source, axis=1)


def _members(group: int, size: int, count: int) -> Int[np.ndarray, " M"]:
    """Equally many in each group: the last run stands in where there are too few."""
    return np.minimum(np.arange(group * size, (group + 1) * size), count - 1)


def _group(
    fleet: Fleet,
    physics: Physics,
    settings: Mapping[str, Any],
    seeds: Sequence[int],
    members: Int[np.ndarray, " M"],
    chunk: int,
    laps: Iterator[int],
) -> list[Told]:
    """Some of the runs, from beginning to end, a chunk a lap."""
    chosen = {name: jnp.asarray(np.asarray(values)[members], jnp.float32) for name, values in settings.items()}
    sessions = fleet.begin(chosen, keys([seeds[member] for member in members]))
    told = []
    for number, _ in enumerate(laps):
        now = physics((number + 0.5) * chunk * fleet.steps_per_update)
        sessions, point = fleet.advance(chosen, sessions, now, chunk)
        told.append(jax.device_get(point))
    return told
