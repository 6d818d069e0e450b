"""Wall time of several programs side by side, on a machine that others may use too.

The programs take turns, so that a disturbance falls on all of them; medians are compared, and the interval of a ratio
comes from resampling whole rounds.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from selftune.experiments.statistics import Interval
from selftune.runner.progress import progress

WARM_UP = 2
REST = 0.005
"""Seconds between two programs: threads of the one before may still be waiting for work, and would be in the way."""
RESAMPLES = 2000


def stopwatch(program: Callable, arguments: tuple[Any, ...]) -> Callable[[], float]:
    """Seconds of one call, results computed, not only promised."""

    def run() -> float:
        start = time.perf_counter()
        jax.block_until_ready(program(*arguments))
        return time.perf_counter() - start

    return run


def alternate(
    runs: Mapping[str, Callable[[], float]], rounds: int, title: str, warm_up: int = WARM_UP
) -> dict[str, Float[np.ndarray, " R"]]:
    """Let each run once a round, in turns forwards and backwards: whoever comes first finds a cooler machine.

    Args:
        runs: Each returns its seconds.
        rounds: How often each runs, after the warm-up, `R`.
        title: What the progress bar says.
        warm_up: Rounds that are not counted; 0 where a run warms up by itself.

    Returns:
        Seconds by name.
    """
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for number in progress(range(warm_up + rounds), title):
        for name in reversed(tuple(runs)) if number % 2 else runs:
            time.sleep(REST)
            seconds[name].append(runs[name]())
    return {name: np.asarray(laps[warm_up:]) for name, laps in seconds.items()}


def ratio(seconds: Float[np.ndarray, " R"], reference: Float[np.ndarray, " R"]) -> Interval:
    """Median over median, with a 95 % interval from rounds that are resampled together.

    Args:
        seconds: Of each round.
        reference: Of the same rounds.
    """
    drawn = np.random.default_rng(0).integers(len(seconds), size=(RESAMPLES, len(seconds)))
    ratios = np.median(seconds[drawn], axis=1) / np.median(reference[drawn], axis=1)
    low, high = np.quantile(ratios, [0.025, 0.975])
    return Interval(float(np.median(seconds) / np.median(reference)), float(low), float(high))


def median_milliseconds(seconds: Float[np.ndarray, " R"]) -> float:
    """The median of some laps, in milliseconds."""
    return 1e3 * float(np.median(seconds))
