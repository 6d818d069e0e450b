"""Wall time of several programs side by side, on a machine that others may use too.

The programs take turns, so that a disturbance falls on all of them; medians are compared, and the interval of a ratio
comes from resampling whole rounds.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

WARM_UP = 2
REST = 0.005
"""Seconds between two programs: threads of the one before may still be waiting for work, and would be in the way."""
RESAMPLES = 2000


class Interval(NamedTuple):
    """A ratio of medians and its 95 % bootstrap interval."""

    middle: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.middle:.2f} [{self.low:.2f}, {self.high:.2f}]"


def stopwatch(program: Callable, arguments: tuple[Any, ...]) -> Callable[[], float]:
    """Seconds of one call, results computed, not only promised."""

    def run() -> float:
        start = time.perf_counter()
        jax.block_until_ready(program(*arguments))
        return time.perf_counter() - start

    return run


def alternate(
    runs: Mapping[str, Callable[[], float]], rounds: int, advance: Callable[[], object] = lambda: None
) -> dict[str, np.ndarray]:
    """Let each run once a round.

    Args:
        runs: Each returns its seconds.
        rounds: How often each runs, after the warm-up.
        advance: Called after every round, for a progress bar.

    Returns:
        Seconds by name, [rounds].
    """
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for lap in range(WARM_UP + rounds):
        for name, run in runs.items():
            time.sleep(REST)
            took = run()
            if lap >= WARM_UP:
                seconds[name].append(took)
        if lap >= WARM_UP:
            advance()
    return {name: np.asarray(laps) for name, laps in seconds.items()}


def ratio(seconds: np.ndarray, reference: np.ndarray) -> Interval:
    """Median over median, rounds resampled together.

    Args:
        seconds: [rounds]
        reference: [rounds], of the same rounds.
    """
    rounds = len(seconds)
    drawn = np.random.default_rng(0).integers(rounds, size=(RESAMPLES, rounds))
    ratios = np.median(seconds[drawn], axis=1) / np.median(reference[drawn], axis=1)
    low, high = np.quantile(ratios, [0.025, 0.975])
    return Interval(float(np.median(seconds) / np.median(reference)), float(low), float(high))
