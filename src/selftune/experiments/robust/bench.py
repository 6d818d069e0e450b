"""`selftune bench robust`: protocol R, method after method, each written when it is there.

for each environment
    random, best_fixed                    what 0 and 1 mean
    every method, from the same draws     scores between them
    some, from the literature's defaults  what self-tuning costs those who had good settings
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from selftune.agents.catalogue import AGENTS
from selftune.envs.drift.standards import STANDARDS, USUAL
from selftune.envs.opening import spaces_of
from selftune.errors import SettingError, UnsupportedSpaceError, did_you_mean
from selftune.experiments.contest.cell import Cell, Extent, Lab
from selftune.experiments.contest.changing import OFF
from selftune.experiments.contest.methods import ABLATIONS, SEARCHED, STARTS, changed_since, constants, method, suits
from selftune.experiments.drawing_settings import SEED_STEP, TUNING
from selftune.experiments.measures import returns
from selftune.experiments.records import Records, circumstances, significant, tell_kept
from selftune.experiments.robust.scores import (
    DEFAULTS,
    DRAWS,
    SCORES,
    Scale,
    Score,
    curve,
    fired,
    numbers,
    paths,
)
from selftune.experiments.sweep import Curves
from selftune.runner.asked import as_typed, settled

ENVS = ("cartpole", "acrobot", "pendulum", "catch", "drifting_two_colors", "drifting_cartpole")
"""Of the protocol. Any other environment can be named; `drifting_` before a name lets it change every 100 000 steps."""
RIVALS = (
    "fixed",
    "kl_adaptive",
    "random_search",
    "pbt",
    "hoof",
    "prodigy",
    "dog",
    "schedule_free",
    "meta_gradient",
)
FROM_DEFAULTS = ("fixed", "kl_adaptive", "meta_gradient")
"""What also begins at the literature's defaults; `fixed` is then the literature's agent itself."""
STEPS = 500_000
LONGER = {"two_colors": 1_000_000, "drifting_two_colors": 1_000_000}
CHANGE_EVERY = 100_000
HINDSIGHT = 64
"""Fixed settings among which the best is sought."""
DRIFTING = "drifting_"
POINTS = 50
"""Of a learning curve."""
REFERENCES = ("random", "best_fixed")
SEEDS = TUNING // SEED_STEP - 1
"""Of the bench, at most: above it the seeds of one search for the best setting would be another's test seeds."""


@cache
def worlds(agent: str) -> tuple[str, ...]:
    """Those of the protocol in which an agent can act."""
    return tuple(name for name in ENVS if _acts(agent, name))


def rivals(agent: str) -> tuple[str, ...]:
    """Those that suit an agent, the recipe last."""
    return tuple(name for name in RIVALS if suits(agent, name))


def _acts(agent: str, env: str) -> bool:
    try:
        AGENTS[agent][0](*spaces_of(standing_name(env)))
    except UnsupportedSpaceError:
        return False
    return True


class Asked(NamedTuple):
    """What is to be measured."""

    envs: tuple[str, ...] = ()
    """Those of the protocol in which the agent can act when there are none."""
    methods: tuple[str, ...] = ()
    """All rivals that suit the agent when there are none."""
    agent: str = "a2c"
    draws: int = 32
    steps: int | None = None
    """Of each run; the protocol's number when omitted."""
    seed: int = 0
    hindsight: int = HINDSIGHT
    settings: Mapping[str, Any] = {}
    """Changes to the agent's own settings."""

    def checked(self) -> "Asked":
        """With its worlds and methods named, if everything in it exists.

        Raises:
            SettingError: An unknown method, agent, environment or setting, a method that does not suit the agent, or
                too few draws, or a seed above `SEEDS`.
            UnsupportedSpaceError: An environment whose actions the agent cannot take.
            MissingExtraError: An environment needs a package that is not installed.
        """
        if self.agent not in SEARCHED:
            raise SettingError(f"bench robust has no agent {self.agent!r}; {did_you_mean(self.agent, SEARCHED)}")
        for name in self.methods:
            if method(name).ray is not None or name in STARTS:
                raise SettingError(f"bench robust does not measure {name!r}, bench drift does; choose another method.")
            if not suits(self.agent, name):
                known = ", ".join(rivals(self.agent))
                raise SettingError(f"The method {name!r} does not suit {self.agent!r}; choose one such as {known}.")
            if clash := sorted(method(name).settings.keys() & self.settings.keys()):
                raise SettingError(f"{name!r} is about the setting {clash[0]!r} itself; leave it out of --set.")
        settled(AGENTS[self.agent][1], self.settings)
        least = {"draws": 2, "hindsight": 1, "seed": 0, "steps": 1}
        for name, lowest in least.items():
            value = getattr(self, name)
            if value is not None and value < lowest:
                raise SettingError(f"bench robust got {name}={value}; expected at least {lowest}.")
        if self.seed > SEEDS:
            raise SettingError(
                f"bench robust got seed={self.seed}; expected at most {SEEDS}, or runs would share seeds."
            )
        for name in self.envs:
            AGENTS[self.agent][0](*spaces_of(standing_name(name)))
        return self._replace(envs=self.envs or worlds(self.agent), methods=self.methods or rivals(self.agent))

    def command(self) -> str:
        """The line that measures it again."""
        usual = Asked(worlds(self.agent), rivals(self.agent))
        words = ["selftune bench robust"]
        for name in ("envs", "methods"):
            words += [f"--{name}", *getattr(self, name)] if getattr(self, name) != getattr(usual, name) else []
        words += ["--agent", self.agent]
        for name in ("draws", "steps", "seed", "hindsight"):
            words += [f"--{name} {getattr(self, name)}"] if getattr(self, name) != getattr(usual, name) else []
        return " ".join([*words, *(["--set", self.changed()] if self.settings else [])])

    def changed(self) -> str:
        """The changes to the agent's settings as the command line writes them."""
        return " ".join(f"{name}={as_typed(value)}" for name, value in sorted(self.settings.items()))


def bench_robust(out: Path, asked: Asked, say: Callable[[str], None] = print) -> list[Score]:
    """Measure whatever is not in the results yet.

    Args:
        out: The results, a JSON file of rows.
        asked: What to measure.
        say: Where a line after each method goes, and one that tells how many rows were there before.

    Returns:
        The rows of what was asked for, in its order.

    Raises:
        SettingError: Something that there is not.
    """
    asked = asked.checked()
    records = Records(out, Score)
    before, found = {row.key: row for row in records.rows}, list[Score]()
    for name in asked.envs:
        bench = _Bench(name, asked, records, say)
        for chosen, start in _measured(asked.methods):
            found += bench.rows(chosen, start)
    tell_kept(sum(before.get(row.key) == row for row in found), len(found), out, say)
    return found


def _measured(methods: Sequence[str]) -> Iterator[tuple[str, str]]:
    """References, then every method from the draws, then some from the defaults."""
    yield from ((name, DRAWS) for name in (*REFERENCES, *methods))
    yield from ((name, DEFAULTS) for name in methods if name in FROM_DEFAULTS or name in ABLATIONS)


class _Bench:
    """The rows of one environment; what they are measured against is read from the rows before them."""

    def __init__(self, name: str, asked: Asked, records: Records[Score], say: Callable[[str], None]):
        self._name, self._asked, self._records, self._say = name, asked, records, say
        self._opened: Cell | None = None
        self.steps = LONGER.get(name, STEPS) if asked.steps is None else asked.steps

    def rows(self, name: str, start: str) -> list[Score]:
        """Final and area of a method, measured unless they are there."""
        known = [self._found(name, start, score) for score in SCORES]
        if all(known):
            there = [row for row in known if row]
            self._remind(there[0])
            return there
        made = self._references() if name in REFERENCES else self._method(name, start)
        for row in made:
            self._records.add(row)
        wanted = [row for row in made if row.method == name]
        told = ", ".join(f"{row.score} {row.iqm:.3f} [{row.ci_low:.3f}, {row.ci_high:.3f}]" for row in wanted)
        self._say(f"{self._name} {self._asked.agent} {name} from {start}: {told}")
        return wanted

    def _remind(self, row: Score) -> None:
        """Say so where a row is of constants that the recipe no longer has."""
        lab = self._cell().lab
        if changed := changed_since(row.details, lab.agent, lab.actions, row.method):
            self._say(
                f"{self._name} {self._asked.agent} {row.method} from {row.start}: kept, but of an earlier recipe "
                f"({', '.join(changed)}); it is measured again when its rows are taken out of {self._records.path}"
            )

    def _references(self) -> list[Score]:
        """The random policy, and the best of many fixed settings by either score, at the test's seeds."""
        cell = self._cell()
        chance = cell.random()
        continuing = not chance.episodes.sum()
        self._opened = cell = replace_continuing(cell, continuing)
        measures = [lambda curves, score=score: returns(curves, continuing)[score] for score in SCORES]
        settings = cell.best_settings(measures)
        made = []
        for score, setting in zip(SCORES, settings, strict=True):
            best = cell.fixed(setting)
            low, high = returns(chance, continuing)[score], returns(best, continuing)[score]
            scale = Scale.between(low, high)
            shared = {"scale": scale._asdict(), "continuing": continuing}
            made.append(self._row("random", DRAWS, score, chance, scale, shared))
            made.append(self._row("best_fixed", DRAWS, score, best, scale, {**shared, "setting": setting}))
        return made

    def _method(self, name: str, start: str) -> list[Score]:
        scales = {score: self._scale(score) for score in SCORES}
        cell = self._cell()
        curves = cell.method(name, cell.starts() if start == DRAWS else cell.usual_starts())
        return [self._row(name, start, score, curves, scales[score], {}) for score in SCORES]

    def _scale(self, score: str) -> Scale:
        row = next(row for row in self.rows("best_fixed", DRAWS) if row.score == score)
        self._opened = replace_continuing(self._cell(), row.details["continuing"])
        return Scale(**row.details["scale"])

    def _cell(self) -> Cell:
        if self._opened is None:
            self._opened = opened(self._name, self._asked, self.steps)
        return self._opened

    def _found(self, name: str, start: str, score: str) -> Score | None:
        return self._records.find(*self._key(name, start, score))

    def _key(self, name: str, start: str, score: str) -> tuple:
        told = self._asked
        extent = told.draws, self.steps, told.seed, told.hindsight
        return self._name, told.agent, name, start, *extent, score, told.changed()

    def _row(
        self, name: str, start: str, score: str, curves: Curves, scale: Scale, details: Mapping[str, Any]
    ) -> Score:
        lab = self._cell().lab
        values = returns(curves, lab.continuing)[score]
        scores = scale.of(values)
        more = {
            "scores": significant(scores),
            "returns": significant(values),
            "finite": bool(np.all(curves.finite)),
            "guards": fired(curves),
            **({"curve": curve(curves, lab.continuing)} if score == "area" else {"eta": paths(curves)}),
            **details,
            **constants(lab.agent, lab.actions(), name),
            **circumstances(),
        }
        *key, changed = self._key(name, start, score)
        return Score(*key, **numbers(scores), command=self._asked.command(), settings=changed, details=more)


def opened(name: str, asked: Asked, steps: int) -> Cell:
    """An environment of the protocol, or any other, as a cell."""
    world = standing_name(name)
    drifts = name != world
    regimes = max(2, round(steps / CHANGE_EVERY)) if drifts else 1
    points = max(1, POINTS // regimes)
    extent = Extent(
        steps=steps, regimes=regimes, seeds=asked.draws, draws=asked.hindsight, width=min(asked.draws, 32),
        points=points, seed=asked.seed,
    )  # fmt: skip
    lab = Lab(world, asked.agent, False, extent, asked.settings)
    return Cell(lab, f"abrupt {USUAL[world]}" if drifts else OFF)


def standing_name(name: str) -> str:
    """The name of the world that drifts, or of one that stands still.

    Raises:
        SettingError: A world that has no standard change is to drift.
    """
    world = name.removeprefix(DRIFTING)
    if name != world and world not in STANDARDS:
        raise SettingError(f"There is no standard change of {world!r}; {did_you_mean(world, STANDARDS)}")
    return world


def replace_continuing(cell: Cell, continuing: bool) -> Cell:
    """The same cell, its level a reward per step where no episode ends."""
    return Cell(replace(cell.lab, continuing=continuing), cell.kind)
