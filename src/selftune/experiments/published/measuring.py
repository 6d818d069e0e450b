"""What the experiments share: rows from runs, and what was measured already."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from selftune.experiments.records import Row
from selftune.experiments.statistics import bootstrap, mean

Found: TypeAlias = Callable[[str, int, int], bool]
"""`found(row, steps, runs)`: whether a row was measured already, with so many runs or more."""


def row_of_runs(
    experiment: str,
    row: str,
    steps: int,
    scores: ArrayLike,
    published: str | None = None,
    details: Mapping[str, Any] | None = None,
) -> Row:
    """A row of the mean over runs and its 95 % bootstrap interval.

    Args:
        experiment: Its name.
        row: The method and what was measured.
        steps: Of a run.
        scores: One for each run.
        published: The figure to stand beside, with its source.
        details: Numbers, arrays or texts.
    """
    runs = np.asarray(scores, float).reshape(-1)
    told = {key: six_digits(value) for key, value in (details or {}).items()}
    estimate, low, high = bootstrap([runs], mean)
    return Row(experiment, row, steps, len(runs), estimate, low, high, "", published, told)


def six_digits(value: Any) -> Any:
    """A value as JSON takes it, floats with six digits; `None` for what is no number."""
    if isinstance(value, str):
        return value
    if np.ndim(value):
        return [six_digits(entry) for entry in value]
    number = np.asarray(value).item()
    if not isinstance(number, float):
        return number
    return float(f"{number:.6g}") if np.isfinite(number) else None
