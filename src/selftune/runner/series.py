"""The rows of a run as columns of numbers, small enough to draw and smooth enough to read."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from selftune.runner.readable import finite
from selftune.runner.run_folder import RunFolder


@dataclass(frozen=True)
class RunSeries:
    """A run as the report reads it."""

    name: str
    config: dict[str, Any]
    columns: dict[str, Float[np.ndarray, " rows"]]
    """Every numeric key of the rows: [rows], NaN where a row says null or nothing."""
    folder: str = ""
    """As it was named."""

    @property
    def settings(self) -> dict[str, Any]:
        """What the run was asked to do; empty where the file does not say."""
        settings = self.config.get("settings")
        return settings if isinstance(settings, dict) else {}

    @property
    def steps(self) -> Float[np.ndarray, " rows"]:
        """[rows] environment steps."""
        return self.columns["step"]

    def named(self, kind: str) -> Iterator[tuple[str, Float[np.ndarray, " rows"]]]:
        """The columns `<kind>/<name>`, by name."""
        return ((key[len(kind) + 1 :], column) for key, column in self.columns.items() if _kind(key) == kind)

    def others(self) -> Iterator[tuple[str, Float[np.ndarray, " rows"]]]:
        """The columns that have no place of their own: losses, and whatever else was logged."""
        return ((key, column) for key, column in self.columns.items() if _kind(key) == "other")


def drift_edges(run: RunSeries, most: int = 60) -> list[float]:
    """Environment steps within the rows at which the world changed, as the run's schedule says.

    No more than `most`: the fields that change oftenest are left out. None where the file does not say.
    """
    drift = run.settings.get("drift")
    changes = drift.get("changes") if isinstance(drift, dict) else None
    told = [change for change in changes if isinstance(change, dict)] if isinstance(changes, list) else []
    last = float(run.steps[-1]) if run.steps.size else 0.0
    edges: set[float] = set()
    for found in sorted((set(islice(_edges(change, last), most + 1)) for change in told), key=len):
        edges |= found if len(edges | found) <= most else set()
    return sorted(edges)


def _edges(change: dict[str, Any], last: float) -> Iterator[float]:
    """Steps in (0, `last`) at which a field jumps, or begins or ends a way to another entry of its table."""
    kind, every, start = change.get("kind"), finite(change.get("every")), finite(change.get("start"))
    table = change.get("values") or change.get("factors")
    if not (every >= 1 and start >= 0 and isinstance(table, list)):
        return
    walks, blended = kind == "random_walk", kind in ("gradual", "periodic")
    entries = finite(change.get("length")) if walks else len(table)
    if not entries > 1 or not (walks or blended or any(entry != table[0] for entry in table)):
        return
    for regime in count(0 if blended else 1):
        step = start + regime * every
        if step >= last or not (change.get("recurring", True) or regime < entries):
            return
        moves = walks or blended or table[regime % len(table)] != table[(regime - 1) % len(table)]
        if step > 0 and moves:
            yield step


_PLACED = ("step", "update", "wall_time", "return_mean", "return_episodes", "reward_mean", "steps_per_second")


def _kind(key: str) -> str:
    kind, slash, _ = key.partition("/")
    if slash and kind in ("eta", "meta_grad", "guard", "drift"):
        return kind
    return key if key in _PLACED else "other"


def read(folders: Sequence[Path]) -> list[RunSeries]:
    """Read runs, each under a name of its own: the folder's, or the path where two folders bear one name.

    Raises:
        RunFolderError: a folder holds no run, or a damaged one.
    """
    paths = [Path(folder).resolve() for folder in folders]
    names = [path.name for path in paths]
    opened = [RunFolder.open(folder) for folder in folders]
    return [
        RunSeries(
            path.name if names.count(path.name) == 1 else str(path),
            folder.config,
            columns(folder.rows()),
            str(folder.path),
        )
        for path, folder in zip(paths, opened, strict=True)
    ]


def columns(rows: Sequence[dict[str, Any]]) -> dict[str, Float[np.ndarray, " rows"]]:
    """Each key that has a number in some row: [rows]. Rows without a number of steps are left out."""
    rows = [row for row in rows if np.isfinite(finite(row.get("step")))]
    keys = dict.fromkeys(key for row in rows for key in row)
    found = {key: np.array([finite(row.get(key)) for row in rows]) for key in keys}
    return {"step": np.zeros(0)} | {key: column for key, column in found.items() if np.isfinite(column).any()}


def thin(values: Float[np.ndarray, " rows"], points: int) -> list[int]:
    """Which rows to draw so that about `points` show what all show: the lowest and highest of each stretch.

    A stretch without a number keeps its gap.
    """
    if len(values) <= points:
        return list(range(len(values)))
    length = math.ceil(2 * len(values) / points)
    stretches = np.append(values, np.full(-len(values) % length, np.nan)).reshape(-1, length)
    starts = length * np.arange(len(stretches))
    lowest = starts + np.where(np.isnan(stretches), np.inf, stretches).argmin(axis=1)
    highest = starts + np.where(np.isnan(stretches), -np.inf, stretches).argmax(axis=1)
    return np.unique([0, *lowest, *highest, len(values) - 1]).tolist()


def running_mean(values: Float[np.ndarray, " rows"], window: int) -> Float[np.ndarray, " rows"]:
    """The mean over the last `window` rows that have a number, the row itself among them; NaN stays NaN."""
    known = np.isfinite(values)
    sums = np.concatenate([[0.0], np.cumsum(values[known])])
    ends = np.arange(1, len(sums))
    starts = np.maximum(ends - window, 0)
    means = np.full(len(values), np.nan)
    means[known] = (sums[ends] - sums[starts]) / (ends - starts)
    return means
