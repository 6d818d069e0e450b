"""`selftune bench drift`: protocol N, row after row, each written when it is there.

for each world and kind of change
    random, best_fixed, oracle      what 0, 1 and the most mean; the oracle's regimes are rows of their own
    every method                    its score between them
"""

import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from selftune import __version__
from selftune.envs.drift.standards import SUBJECTS, USUAL, WAYS, kinds
from selftune.errors import SettingError, did_you_mean
from selftune.experiments.contest.cell import Cell, Extent, Lab
from selftune.experiments.contest.changing import OFF
from selftune.experiments.contest.methods import KNOWN, METHODS, changed_since, constants
from selftune.experiments.measures import Stream, by_regime, normalised, told
from selftune.experiments.nonstationary.scoring import References, mean_levels, scored
from selftune.experiments.records import Records, Row, significant
from selftune.experiments.sweep import Curves


class Host(NamedTuple):
    """What is measured on the host at most, of the usual subject alone."""

    seeds: int
    draws: int


class Task(NamedTuple):
    """Who learns in a world."""

    agent: str
    continuing: bool = False
    """Whether there are no episodes: the level is a reward per step."""
    host: Host | None = None
    """What less is done where the environments are on the host, one run after another."""

    def extent(self, asked: Extent) -> Extent:
        """How much is measured here."""
        if self.host is None:
            return asked
        seeds, draws = min(asked.seeds, self.host.seeds), min(asked.draws, self.host.draws)
        return replace(asked, seeds=seeds, draws=draws, width=asked.members)

    def kinds(self, name: str, ways: Sequence[str], subjects: Sequence[str]) -> list[str]:
        """The kinds of change that are measured here, the world that stands still last."""
        subjects = (USUAL[name],) if self.host or not subjects else subjects
        moving = [kind for kind in kinds(name) if kind.split()[0] in ways and kind.split()[1] in subjects]
        return [*moving, *([OFF] if OFF in ways else [])]


TASKS: Mapping[str, Task] = {
    "cartpole": Task("a2c"),
    "acrobot": Task("a2c"),
    "pendulum": Task("ppo"),
    "two_colors": Task("a2c", continuing=True),
    "HalfCheetah-v5": Task("ppo", host=Host(seeds=3, draws=16)),
}
REFERENCES = ("random", "best_fixed", "oracle")
IN_REGIME = "oracle in regime "
"""Rows of the oracle's parts, in the order of `Stream.regimes`' numbers."""
FULL = Extent(steps=400_000, regimes=4, seeds=10, draws=32)
REDUCED = Extent(steps=200_000, regimes=4, seeds=4, draws=8, members=4, width=8, points=12)
REDUCED_ENVS = ("cartpole", "two_colors")
REDUCED_WAYS = ("abrupt", OFF)


def bench_drift(
    out: Path,
    envs: Sequence[str],
    ways: Sequence[str],
    subjects: Sequence[str],
    methods: Sequence[str],
    extent: Extent,
    command: str = "selftune bench drift",
    say: Callable[[str], None] = print,
    settings: Mapping[str, Any] | None = None,
) -> list[Row]:
    """Measure whatever is not in the results yet.

    Args:
        out: The results, a JSON file of rows.
        envs: Keys of `TASKS`.
        ways: `"abrupt"`, `"gradual"`, `"periodic"`, and `"none"` for a world that does not change.
        subjects: `"dynamics"`, `"reward"`, `"observation"`; where there are none, the usual one of each world.
        methods: Names that `contest.methods` knows.
        extent: How much of everything.
        command: What measures it again, as it is written into every row.
        say: Where a line after each row goes.
        settings: Changes to the agents' own settings.

    Returns:
        The rows of what was asked for, in its order.
    """
    records, rows = Records(out), []
    for name in envs:
        task = TASKS[name]
        lab = Lab(name, task.agent, task.continuing, task.extent(extent), settings or {})
        for kind in task.kinds(name, ways, subjects):
            bench = _Bench(Cell(lab, kind), records, command, say)
            rows += [bench.row(one) for one in (*REFERENCES, *methods)]
    return rows


class Asked(NamedTuple):
    """What is to be measured."""

    envs: tuple[str, ...]
    ways: tuple[str, ...]
    subjects: tuple[str, ...]
    methods: tuple[str, ...]
    extent: Extent


def asked(only: Sequence[str], full: bool, seeds: int | None = None, steps: int | None = None) -> Asked:
    """Worlds, ways and subjects of change, and methods, from their names in any order; what is not named, as usual.

    Raises:
        SettingError: An unknown name.
    """
    everything = {"envs": tuple(TASKS), "ways": (*WAYS, OFF), "subjects": SUBJECTS, "methods": tuple(KNOWN)}
    usual = {**everything, "methods": tuple(name for name, method in METHODS.items() if method.ray is None)}
    usual |= {} if full else {"envs": REDUCED_ENVS, "ways": REDUCED_WAYS, "subjects": ()}
    known = [name for names in everything.values() for name in names]
    for name in only:
        if name not in known:
            raise SettingError(
                f"The bench has no world, way or subject of change, or method {name!r}; {did_you_mean(name, known)}"
            )
    chosen = {part: tuple(name for name in names if name in only) for part, names in everything.items()}
    extent = FULL if full else REDUCED
    extent = replace(extent, seeds=seeds or extent.seeds, steps=steps or extent.steps)
    return Asked(**{part: chosen[part] or usual[part] for part in everything}, extent=extent)


def command(only: Sequence[str], full: bool, seeds: int | None, steps: int | None) -> str:
    """The line that measures it again."""
    words = ["selftune bench drift", *(["--only", *only] if only else []), *(["--full"] if full else [])]
    numbers = {"--seeds": seeds, "--steps": steps}
    return " ".join([*words, *(f"{name} {value}" for name, value in numbers.items() if value is not None)])


class _Bench:
    """The rows of one cell; what they are measured against is read from the rows before them."""

    def __init__(self, cell: Cell, records: Records[Row], command: str, say: Callable[[str], None]):
        self._cell, self._records, self._command, self._say = cell, records, command, say
        self._experiment = f"{cell.lab.name} {cell.kind}"

    def row(self, name: str) -> Row:
        """The row of that name, measured unless it is there."""
        known, lab = self._records.find(self._experiment, name, self._cell.steps), self._cell.lab
        if known is not None and self._is_as_large(known, lab):
            if changed := changed_since(known.details, lab.agent, lab.actions, name):
                self._say(
                    f"{self._experiment} {name}: kept, but of an earlier recipe ({', '.join(changed)}); it is measured "
                    f"again when its row is taken out of {self._records.path}"
                )
            return known
        row = self._written(name, self._measured(name))
        self._records.add(row)
        self._say(f"{self._experiment} {name}: {row.ours:.3f} [{row.ci_low:.3f}, {row.ci_high:.3f}]")
        return row

    def _is_as_large(self, known: Row, lab: Lab) -> bool:
        """Whether it has the seeds and draws that are asked for; with fewer it is measured again, in its place.

        Raises:
            SettingError: It has more than is asked for, or an agent of other settings, and would be written over.
        """
        if (settings := known.details.get("settings", {})) != _plain(lab.settings):
            raise SettingError(
                f"{self._records.path} holds {known.experiment} {known.row} of an agent with the settings {settings}, "
                f"and {_plain(lab.settings)} were asked for. Give another file to --out."
            )
        has, asked = (known.seeds, known.details["draws"]), (lab.extent.seeds, lab.extent.draws)
        if any(more > less for more, less in zip(has, asked, strict=True)):
            raise SettingError(
                f"{self._records.path} holds {known.experiment} {known.row} of {has[0]} seeds and {has[1]} draws, and "
                f"{asked[0]} and {asked[1]} were asked for: it is not written over. Give another file to --out."
            )
        return has == asked

    def _measured(self, name: str) -> dict[str, Any]:
        match name:
            case "random":
                levels = self._by_regime(self._cell.random())
                nothing = np.zeros(len(levels))
                return {**told(nothing), "scores": significant(nothing), "levels": significant(levels.mean(axis=0))}
            case "best_fixed":
                setting = self._cell.best_setting()
                curves = self._cell.fixed(setting)
                best = mean_levels(curves, self._cell.stream, self._cell.lab.continuing)
                return self._scored(curves, References(self._levels("random"), best, best)) | {"setting": setting}
            case "oracle":
                return self._oracle()
        if name.startswith(IN_REGIME):
            return self._oracle_in(int(name.removeprefix(IN_REGIME)))
        return self._scored(self._cell.method(name), self._references())

    def _oracle(self) -> dict[str, Any]:
        random, best = self._levels("random"), self._levels("best_fixed")
        if self._cell.kind == OFF:  # one regime: the oracle is the best fixed setting
            row = self.row("best_fixed")
            scores = np.asarray(row.details["scores"])
            return {**told(scores), "scores": significant(scores), "levels": significant(best)}
        columns = [self.row(f"{IN_REGIME}{regime}").details["level"] for regime in range(len(best))]
        levels = np.stack(columns, axis=1)
        scores = normalised(levels, random, best, self._shares())
        return {**told(scores), "scores": significant(scores), "levels": significant(levels.mean(axis=0))}

    def _oracle_in(self, regime: int) -> dict[str, Any]:
        """A row of its own, since each regime's search takes as long as that for the best fixed setting.

        Where the same world stood still in a regime of another kind of change, the level is that row's.
        """
        random, best = self._levels("random"), self._levels("best_fixed")
        world = self._cell.standing(regime)
        known = next((row for row in self._records.rows if row.details.get("world") == world), None)
        level = self._cell.oracle(regime) if known is None else np.asarray(known.details["level"])
        everywhere = np.repeat(best[None], len(level), axis=0)
        everywhere[:, regime] = level
        scores = normalised(everywhere, random, best, np.eye(len(best))[regime])
        source = {} if known is None else {"measured_in": known.experiment}
        return {**told(scores), "scores": significant(scores), "level": significant(level), "world": world, **source}

    def _scored(self, curves: Curves, references: References) -> dict[str, Any]:
        return scored(curves, self._cell.stream, self._cell.lab.continuing, references)

    def _references(self) -> References:
        return References(*(self._levels(name) for name in REFERENCES))

    def _levels(self, name: str) -> np.ndarray:
        return np.asarray(self.row(name).details["levels"])

    def _by_regime(self, curves: Curves) -> np.ndarray:
        return by_regime(curves.level(self._cell.lab.continuing), curves.steps, self._cell.stream)[0]

    def _shares(self) -> np.ndarray:
        return shares(self._cell.stream, self._cell.steps)

    def _written(self, name: str, measured: dict[str, Any]) -> Row:
        numbers = {key: measured.pop(key) for key in ("ours", "ci_low", "ci_high")}
        lab = self._cell.lab
        details = {
            **measured,
            "agent": lab.agent,
            "changes": list(self._cell.stream.changes),
            "regimes": list(self._cell.stream.regimes),
            "draws": lab.extent.draws,
            **({"settings": _plain(lab.settings)} if lab.settings else {}),
            **constants(lab.agent, lab.actions(), name),
            "versions": {"selftune": __version__, "jax": jax.__version__},
            "machine": f"{platform.machine()} {jax.default_backend()}",
        }
        return Row(
            self._experiment,
            name,
            self._cell.steps,
            lab.extent.seeds,
            **numbers,
            command=self._command,
            details=details,
        )


def _plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as they come back from a file."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in settings.items()}


def shares(stream: Stream, steps: int) -> np.ndarray:
    """Each regime's share of the time."""
    lengths = np.diff([0, *stream.changes, steps])
    return np.bincount(np.asarray(stream.regimes), weights=lengths) / steps
