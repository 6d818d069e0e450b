"""`selftune bench drift`: protocol N, row after row, each written when it is there.

for each world and kind of change
    random, best_fixed, oracle      what 0, 1 and the most mean; the oracle's regimes are rows of their own
    every method                    its score between them
"""

import platform
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from selftune import __version__
from selftune.errors import SettingError
from selftune.experiments.contest.cell import Cell, Extent, Lab
from selftune.experiments.contest.changing import OFF
from selftune.experiments.contest.methods import changed_since, constants
from selftune.experiments.measures import Stream, by_regime, normalised, told
from selftune.experiments.nonstationary.asked import TASKS
from selftune.experiments.nonstationary.scoring import References, mean_levels, scored
from selftune.experiments.records import Records, Row, significant, tell_kept
from selftune.experiments.sweep import Curves

REFERENCES = ("random", "best_fixed", "oracle")
IN_REGIME = "oracle in regime "
"""Rows of the oracle's parts, in the order of `Stream.regimes`' numbers."""
OWN_EXTENT = ("regimes", "members", "points", "seed")
"""What a row of the same steps, seeds and draws may differ in."""


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
        say: Where a line after each row goes, and one that tells how many rows were there before.
        settings: Changes to the agents' own settings.

    Returns:
        The rows of what was asked for, in its order.

    Raises:
        SettingError: A world has no change of these ways and subjects; or what the results hold is of another extent or
            of other settings; or no episode ends in so few steps.
    """
    records, rows = Records(out), []
    before = {row.key: row for row in records.rows}
    chosen = [(name, kind) for name in envs for kind in TASKS[name].kinds(name, ways, subjects)]
    labs = {name: _lab(name, extent, settings or {}) for name in envs}
    for name, kind in chosen:
        bench = _Bench(Cell(labs[name], kind), records, command, say)
        rows += [bench.row(one) for one in (*REFERENCES, *methods)]
    tell_kept(sum(before.get(row.key) == row for row in rows), len(rows), out, say)
    return rows


def _lab(name: str, extent: Extent, settings: Mapping[str, Any]) -> Lab:
    task = TASKS[name]
    return Lab(name, task.agent, task.continuing, task.extent(extent), settings)


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
            SettingError: It has more than is asked for, or an agent of other settings, or other seeds or curves, and
                would be written over.
        """
        own = {name: getattr(lab.extent, name) for name in OWN_EXTENT}
        if (other := known.details.get("extent", own)) != own:
            raise SettingError(
                f"{self._records.path} holds {known.experiment} {known.row} with {other}, and {own} were asked for. "
                "Give another file to --out."
            )
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
                if not np.isfinite(levels).all():
                    raise SettingError(
                        f"{self._experiment}: no episode of the random policy ended in {self._cell.steps} steps, so "
                        "that there is nothing to measure by. Give more --steps."
                    )
                nothing = np.zeros(len(levels))
                return {**told(nothing), "scores": significant(nothing), "levels": significant(levels.mean(axis=0))}
            case "best_fixed":
                setting = self._cell.best_setting()
                curves = self._cell.fixed(setting)
                random = self._levels("random")
                best = mean_levels(curves, self._cell.stream, self._cell.lab.continuing, random)
                return self._scored(curves, References(random, best, best)) | {"setting": setting}
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
            "extent": {name: getattr(lab.extent, name) for name in OWN_EXTENT},
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
