"""One world, one kind of change: everything that competes there, and what it is measured by."""

import functools
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import jax
import numpy as np
from jaxtyping import Float

from selftune.envs import Environment, HostEnv
from selftune.envs.drift import Drift
from selftune.envs.opening import open_env, open_native
from selftune.experiments.contest.changing import (
    OFF,
    changing,
    drift_of,
    middles,
    physics_of,
    standing,
    stream_of,
)
from selftune.experiments.contest.methods import SEARCHED, Method, literature, maker, method, own_start, random_policy
from selftune.experiments.drawing_settings import SEED_STEP, TEST, TUNING, draw
from selftune.experiments.fleet import Fleet, fleet
from selftune.experiments.host_fleet import host_fleet
from selftune.experiments.measures import Stream
from selftune.experiments.population import populations
from selftune.experiments.ray_population import ray_population
from selftune.experiments.records import significant
from selftune.experiments.sweep import Curves, Physics, runs
from selftune.runner.progress import progress
from selftune.spaces import Space

Measure: TypeAlias = Callable[[Curves], Float[np.ndarray, " N"]]
"""How good each run was."""

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
    seed: int = 0
    """Other seeds, other runs: of the test and of the search for the best setting."""

    @property
    def first(self) -> int:
        """Where seeds begin: those of two values of `seed` have none in common."""
        return SEED_STEP * self.seed


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

    @property
    def native(self) -> bool:
        """Whether the world is written in JAX."""
        return open_native(self.name) is not None

    def spaces(self) -> Environment | HostEnv:
        """Whatever has the world's `observation_space` and `action_space`."""
        if self.native:
            return changing(self.name).env
        host = open_env(self.name, 1)
        assert isinstance(host, HostEnv)
        host.close()
        return host

    def actions(self) -> Space:
        """What can be done there."""
        return self.spaces().action_space

    def fleet(self, name: str, kind: str = OFF, drift: Drift | None = None) -> Fleet:
        """The program of a method; fixed ones share one, and so do all kinds of change of a world written in JAX."""
        chosen = "random" if name == "random" else name if method(name).moves else "fixed"
        key = chosen if self.native else f"{chosen} {kind}"
        if key not in self.fleets:
            spaces = self.spaces()
            told = method("fixed" if chosen == "random" else chosen)
            agent = maker(self.agent, spaces, told, self.extent.steps, self.settings)
            agent = random_policy(spaces, agent({})) if chosen == "random" else agent
            if isinstance(spaces, Environment):
                self.fleets[key] = fleet(agent, spaces)
            else:
                self.fleets[key] = host_fleet(agent, lambda: self._opened(agent({}).num_envs, drift))
        return self.fleets[key]

    def _opened(self, num_envs: int, drift: Drift | None) -> HostEnv:
        env = open_env(self.name, num_envs, drift)
        assert isinstance(env, HostEnv)
        return env

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

    def best_settings(self, measures: Sequence[Measure], physics: Physics | None = None) -> list[dict[str, float]]:
        """The best fixed setting in hindsight by each of some measures, chosen with seeds of their own."""
        physics, count, start = physics or self._physics, self.lab.extent.draws, TUNING + self.lab.extent.first
        drawn = self.drawn(count, start)
        first = self._runs("fixed", drawn, range(start, start + count), physics)
        seeds = start + count + np.arange(FINALISTS**2) % FINALISTS

        def best(measure: Measure) -> dict[str, float]:
            finalists = np.resize(np.argsort(-_known(measure(first)), kind="stable")[:FINALISTS], FINALISTS)
            again = {name: np.repeat(value[finalists], FINALISTS) for name, value in drawn.items()}
            second = _known(measure(self._runs("fixed", again, seeds.tolist(), physics)))
            chosen = finalists[int(np.argmax(second.reshape(FINALISTS, FINALISTS).mean(axis=1)))]
            return {name: float(value[chosen]) for name, value in drawn.items()}

        return [best(measure) for measure in measures]

    def best_setting(self, physics: Physics | None = None) -> dict[str, float]:
        """The best fixed setting in hindsight, over the whole run."""
        return self.best_settings([self._area], physics)[0]

    def fixed(self, setting: Mapping[str, float], physics: Physics | None = None) -> Curves:
        """One fixed setting, with the test's seeds."""
        return self._runs("fixed", self._all(setting), self._test(), physics or self._physics)

    def drawn(self, count: int, seed: int) -> dict[str, Float[np.ndarray, " N"]]:
        """Settings that nobody tuned."""
        return draw(SEARCHED[self.lab.agent], count, seed)

    def starts(self) -> dict[str, Float[np.ndarray, " S"]]:
        """The drawn settings that runs of the test begin with, the same for every method."""
        return self.drawn(self.lab.extent.seeds, TEST + self.lab.extent.first)

    def usual_starts(self) -> dict[str, Float[np.ndarray, " S"]]:
        """The literature's defaults, in every run."""
        return self._all(literature(self.lab.agent, self.lab.spaces()))

    def oracle(self, regime: int) -> Float[np.ndarray, " S"]:
        """The level of the best setting of one regime, trained in that regime alone, as long as a whole run.

        A regime on the way from one state to another stands still in the middle of the way; on the host it moves to and
        fro about it by half a chunk.
        """
        still = self._standing(regime)
        return self._area(self.fixed(self.best_setting(still), still))

    def standing(self, regime: int) -> str:
        """A fingerprint of all that an oracle depends on; regimes of other kinds of change may have the same."""
        if self.lab.native:
            world: Any = [significant(leaf) for leaf in jax.tree.leaves(self._standing(regime)(0.0))]
        else:
            levels = self._drift.levels(middles(self._drift, self.steps)[regime])
            world = {name: significant(level) for name, level in levels.items()}
        lab, extent = self.lab, self.lab.extent
        settings = {name: str(value) for name, value in lab.settings.items()}
        run = lab.name, lab.agent, lab.continuing, settings, self.steps, extent.seeds, extent.draws, extent.seed
        return hashlib.sha256(json.dumps([world, run], sort_keys=True).encode()).hexdigest()[:16]

    def _standing(self, regime: int) -> Physics:
        return standing(self._physics, middles(self._drift, self.steps)[regime])

    def method(self, name: str, starts: Mapping[str, Float[np.ndarray, " S"]] | None = None) -> Curves:
        """One method, or a population, which draws its members' settings.

        Args:
            name: Of the method.
            starts: Where each run begins; where the method does when omitted.
        """
        told, extent = method(name), self.lab.extent
        if told.ray is not None:
            return self._through_ray(told.ray, self._title(name))
        if told.strategy is None:
            begin = self._begun(told) if starts is None else starts
            return self._runs(name, begin, self._test(), self._physics)
        together = max(1, extent.width // extent.members)
        program, names = self._program(name), SEARCHED[self.lab.agent]
        groups = _chunks(self._test(), together)
        parts = [
            populations(
                program, self._physics, told.strategy, names, seeds, self.steps, extent.members, self._points,
                self.lab.continuing, f"{self._title(name)}, {number} of {len(groups)}",
            )
            for number, seeds in enumerate(groups, 1)
        ]  # fmt: skip
        return joined(parts, extent.seeds)

    def _begun(self, told: Method) -> dict[str, Float[np.ndarray, " S"]]:
        return self.usual_starts() | (
            self._all(own_start(self.lab.agent, self.lab.spaces(), told)) if told.own_start else {}
        )

    def _through_ray(self, strategy: str, title: str) -> Curves:
        """A population whose members are processes, once for each of the test's seeds."""
        lab, extent, names = self.lab, self.lab.extent, SEARCHED[self.lab.agent]
        opened = functools.partial(_opened, replace(lab, fleets={}), self.kind, self._drift)
        parts = [
            ray_population(
                opened, self._physics, strategy, names, seed, self.steps, extent.members, self._points, lab.continuing
            )
            for seed in progress(self._test(), title)
        ]
        return joined(parts, extent.seeds)

    def _runs(self, name: str, settings: Mapping[str, Any], seeds: Any, physics: Physics) -> Curves:
        program, width = self._program(name), self.lab.extent.width if self.lab.native else len(seeds)
        return runs(program, physics, settings, list(seeds), self.steps, self._points, self._title(name), width)

    def _title(self, name: str) -> str:
        return " ".join([self.lab.name, *([] if self.kind == OFF else [self.kind]), name])

    def _program(self, name: str) -> Fleet:
        return self.lab.fleet(name, self.kind, self._drift)

    def _area(self, curves: Curves) -> Float[np.ndarray, " N"]:
        return _known(curves.level(self.lab.continuing).mean(axis=1))

    def _all(self, setting: Mapping[str, float]) -> dict[str, Float[np.ndarray, " S"]]:
        return {name: np.full(self.lab.extent.seeds, value, np.float32) for name, value in setting.items()}

    def _test(self) -> range:
        first = TEST + self.lab.extent.first
        return range(first, first + self.lab.extent.seeds)


def _known(scores: Float[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
    """A run that is no number any more is the worst of all."""
    return np.nan_to_num(scores, nan=-1e9, neginf=-1e9)


def _opened(lab: Lab, kind: str, drift: Drift) -> Fleet:
    """The fleet of fixed agents, in whatever process this is called."""
    return replace(lab, fleets={}).fleet("fixed", kind, drift)


def joined(parts: list[Curves], count: int) -> Curves:
    """Runs of several groups; those that only filled the last group are left out."""
    rows = [part._replace(steps=()) for part in parts]
    whole = jax.tree.map(lambda *leaves: np.concatenate(leaves)[:count], *rows)
    return whole._replace(steps=parts[0].steps)


def _chunks(seeds: range, size: int) -> list[list[int]]:
    """Groups of equal size; seeds beyond the last fill it."""
    return [[start + more for more in range(size)] for start in range(seeds.start, seeds.stop, size)]
