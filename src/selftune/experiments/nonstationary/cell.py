"""One world, one kind of change: everything that competes there, and what it is measured by."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from selftune.envs.drift import Drift
from selftune.envs.gymnasium_vector import make
from selftune.envs.worlds import WORLDS
from selftune.experiments.drawing_settings import TEST, TUNING, draw
from selftune.experiments.fleet import Fleet, fleet
from selftune.experiments.host_fleet import host_fleet
from selftune.experiments.measures import Stream
from selftune.experiments.nonstationary.changing import (
    OFF,
    changing,
    drift_of,
    middles,
    physics_of,
    standing,
    stream_of,
)
from selftune.experiments.nonstationary.methods import METHODS, SEARCHED, defaults, maker, method, random_policy
from selftune.experiments.population import populations
from selftune.experiments.ray_population import ray_population
from selftune.experiments.sweep import Curves, Physics, runs

FINALISTS = 4
"""Fixed settings that are run again, each with as many other seeds, before one is chosen."""


@dataclass(frozen=True)
class Extent:
    """How much is measured."""

    steps: int
    """Environment steps of each run, about."""
    regimes: int
    """Times between changes, in a run."""
    seeds: int
    draws: int
    """Fixed settings among which the best in hindsight is sought."""
    members: int = 8
    width: int = 16
    """Runs side by side: one program for all that have equal agents."""
    points: int = 20
    """Of a curve, between two changes, about."""


@dataclass(frozen=True)
class Lab:
    """A world with an agent, whose compiled programs are kept from one kind of change to the next."""

    name: str
    agent: str
    continuing: bool
    extent: Extent
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Changes to the agent's own settings."""
    fleets: dict[str, Fleet] = field(default_factory=dict)
    oracles: dict[bytes, Float[np.ndarray, " S"]] = field(default_factory=dict)
    """By the physics of a standing world: the levels of its best setting."""

    @property
    def native(self) -> bool:
        """Whether the world is written in JAX."""
        return self.name in WORLDS

    def spaces(self) -> Any:
        """Whatever has the world's `observation_space` and `action_space`."""
        if self.native:
            return changing(self.name).env
        host = make(self.name, 1)
        host.close()
        return host

    def fleet(self, name: str, kind: str = OFF, drift: Drift | None = None) -> Fleet:
        """The program of a method; fixed ones share one, and so do all kinds of change of a world written in JAX."""
        told = METHODS.get(name)
        chosen = name if told is None or told.tuner != "fixed" else "fixed"
        key = chosen if self.native else f"{chosen} {kind}"
        if key not in self.fleets:
            spaces = self.spaces()
            agent = maker(self.agent, spaces, METHODS.get(chosen, METHODS["fixed"]), self.extent.steps, self.settings)
            agent = random_policy(spaces, agent({})) if name == "random" else agent
            if self.native:
                self.fleets[key] = fleet(agent, spaces)
            else:
                self.fleets[key] = host_fleet(agent, lambda: make(self.name, agent({}).num_envs, drift=drift))
        return self.fleets[key]

    def lengths(self) -> tuple[int, int]:
        """Points of a curve between two changes, and environment steps of each: changes fall between two of them."""
        per_update, length = self.fleet("fixed").steps_per_update, self.extent.steps / self.extent.regimes
        steps = max(1, round(length / self.extent.points / per_update)) * per_update
        return max(1, round(length / steps)), steps


class Cell:
    """A kind of change in a world.

    Args:
        lab: The world and the agent.
        kind: Of the change.

    Attributes:
        steps: Environment steps of a run.
        stream: When the world changes.
    """

    def __init__(self, lab: Lab, kind: str):
        self.lab, self.kind = lab, kind
        points, length = lab.lengths()
        every = points * length
        self.steps = every * lab.extent.regimes
        self._drift = drift_of(lab.name, kind, every)
        self.stream: Stream = stream_of(self._drift, self.steps)
        self._physics: Physics = physics_of(changing(lab.name), self._drift) if lab.native else lambda step: step
        self._points = points * lab.extent.regimes

    def random(self) -> Curves:
        """The random policy."""
        return self._runs("random", {}, self._test(), self._physics)

    def best_setting(self, physics: Physics | None = None) -> dict[str, float]:
        """The best fixed setting in hindsight, over the whole run, chosen with seeds of its own."""
        physics = physics or self._physics
        count = self.lab.extent.draws
        drawn = draw((*SEARCHED[self.lab.agent], "critic_learning_rate"), count, TUNING)
        first = self._area(self._runs("fixed", drawn, range(TUNING, TUNING + count), physics))
        best = np.argsort(-first, kind="stable")[:FINALISTS]
        again = {name: np.repeat(value[best], FINALISTS) for name, value in drawn.items()}
        seeds = TUNING + count + np.arange(len(best) * FINALISTS) % FINALISTS
        second = self._area(self._runs("fixed", again, seeds.tolist(), physics)).reshape(len(best), FINALISTS)
        chosen = best[int(np.argmax(second.mean(axis=1)))]
        return {name: float(value[chosen]) for name, value in drawn.items()}

    def fixed(self, setting: Mapping[str, float], physics: Physics | None = None) -> Curves:
        """One fixed setting, with the test's seeds."""
        return self._runs("fixed", self._all(setting), self._test(), physics or self._physics)

    def oracle(self) -> Float[np.ndarray, "S G"]:
        """In each regime the level of the best setting there, trained in that regime alone, as long as a whole run.

        A regime on the way from one state to another stands still in the middle of the way.
        """
        columns = []
        for middle in middles(self._drift, self.steps):
            still = standing(self._physics, middle)
            key = b"" if self.lab.native else self.kind.encode()
            key += b"".join(np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(still(0.0)))
            if key not in self.lab.oracles:
                self.lab.oracles[key] = self._area(self.fixed(self.best_setting(still), still))
            columns.append(self.lab.oracles[key])
        return np.stack(columns, axis=1)

    def method(self, name: str) -> Curves:
        """One method, from the literature's defaults, or a population."""
        told, extent = method(name), self.lab.extent
        if told.ray is not None:
            return self._through_ray(told.ray)
        if told.strategy is None:
            setting = self._all(defaults(self.lab.agent, self.lab.spaces()))
            return self._runs(name, setting, self._test(), self._physics)
        together = max(1, extent.width // extent.members)
        program, names = self._program(name), SEARCHED[self.lab.agent]
        parts = [
            populations(
                program, self._physics, told.strategy, names, seeds, self.steps, extent.members, self._points,
                self.lab.continuing,
            )
            for seeds in _chunks(self._test(), together)
        ]  # fmt: skip
        return joined(parts, extent.seeds)

    def _through_ray(self, strategy: str) -> Curves:
        """A population whose members are processes, once for each of the test's seeds."""
        lab, extent, names = self.lab, self.lab.extent, SEARCHED[self.lab.agent]
        opened = functools.partial(_opened, replace(lab, fleets={}, oracles={}), self.kind, self._drift)
        parts = [
            ray_population(
                opened, self._physics, strategy, names, seed, self.steps, extent.members, self._points, lab.continuing
            )
            for seed in self._test()
        ]
        return joined(parts, extent.seeds)

    def _runs(self, name: str, settings: Mapping[str, Any], seeds: Any, physics: Physics) -> Curves:
        title = f"{self.lab.name} {self.kind} {name}"
        program, width = self._program(name), self.lab.extent.width if self.lab.native else len(seeds)
        return runs(program, physics, settings, list(seeds), self.steps, self._points, title, width)

    def _program(self, name: str) -> Fleet:
        return self.lab.fleet(name, self.kind, self._drift)

    def _area(self, curves: Curves) -> Float[np.ndarray, " N"]:
        return np.nan_to_num(curves.level(self.lab.continuing).mean(axis=1), nan=-1e9)

    def _all(self, setting: Mapping[str, float]) -> dict[str, Float[np.ndarray, " S"]]:
        return {name: np.full(self.lab.extent.seeds, value, np.float32) for name, value in setting.items()}

    def _test(self) -> range:
        return range(TEST, TEST + self.lab.extent.seeds)


def _opened(lab: Lab, kind: str, drift: Drift) -> Fleet:
    """The fleet of fixed agents, in whatever process this is called."""
    return replace(lab, fleets={}).fleet("fixed", kind, drift)


def joined(parts: list[Curves], count: int) -> Curves:
    """Runs of several groups; those that only filled the last group are left out."""
    return Curves(
        parts[0].steps,
        np.concatenate([part.episodes for part in parts])[:count],
        np.concatenate([part.returns for part in parts])[:count],
        np.concatenate([part.reward for part in parts])[:count],
        {name: np.concatenate([part.eta[name] for part in parts])[:count] for name in parts[0].eta},
    )


def _chunks(seeds: range, size: int) -> list[list[int]]:
    """Groups of equal size; seeds beyond the last fill it."""
    return [[start + more for more in range(size)] for start in range(seeds.start, seeds.stop, size)]
