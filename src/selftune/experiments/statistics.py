"""Many runs in a few numbers: interquartile means, and intervals by stratified bootstrap.

Agarwal et al. 2021, Deep reinforcement learning at the edge of the statistical precipice (arXiv:2108.13264). An
interquartile mean hides dead runs; tables show their share beside it.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy.stats import rankdata

from selftune.errors import SettingError

Statistic = Callable[[Float[np.ndarray, " N"]], float]


class Interval(NamedTuple):
    """An estimate and the ends of its interval."""

    estimate: float
    low: float
    high: float


def interquartile_mean(scores: ArrayLike) -> float:
    """The mean of the middle half of the scores; a score on a quartile counts by its part inside.

    Raises:
        SettingError: There are no scores.
    """
    ordered = np.sort(_scores(scores))
    count = len(ordered)
    begins, ends = np.arange(count) / count, np.arange(1, count + 1) / count
    inside = np.clip(np.minimum(ends, 0.75) - np.maximum(begins, 0.25), 0.0, None)
    return float((inside * ordered).sum() / inside.sum())


def mean(scores: ArrayLike) -> float:
    """The plain mean."""
    return float(_scores(scores).mean())


def bootstrap(
    strata: Sequence[ArrayLike],
    statistic: Statistic = interquartile_mean,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """A percentile interval by resampling runs within each stratum, with an explicit generator.

    Args:
        strata: Scores of runs; one stratum for each environment or task, resampled apart.
        statistic: Of all scores together.
        confidence: In (0, 1).
        resamples: How many.
        seed: Of the resampling; equal seeds give equal intervals.

    Raises:
        SettingError: A stratum is empty, or the confidence is not in (0, 1).
    """
    if not 0.0 < confidence < 1.0:
        raise SettingError(f"bootstrap(confidence={confidence}): expected a number between 0 and 1, such as 0.95.")
    groups = [_scores(stratum) for stratum in strata]
    chance = np.random.default_rng(seed)
    drawn = [chance.choice(group, (resamples, len(group))) for group in groups]
    values = np.array([statistic(row) for row in np.concatenate(drawn, axis=1)])
    low, high = np.quantile(values, [0.5 - confidence / 2, 0.5 + confidence / 2])
    return Interval(float(statistic(np.concatenate(groups))), float(low), float(high))


def paired_ratio(
    ours: Float[np.ndarray, " N"], theirs: Float[np.ndarray, " N"], seed: int = 0, resamples: int = 2000
) -> Interval | None:
    """How many times as much, on the average of `N` pairs; a 95 % interval by resampling pairs, both sides at once.

    `None` where theirs, or a resample of it, is not above 0 on average: nothing is any number of times as much as that.
    """
    drawn = np.random.default_rng(seed).integers(0, len(ours), (resamples, len(ours)))
    below = theirs[drawn].mean(axis=1)
    if not ((below > 0).all() and theirs.mean() > 0):
        return None
    low, high = np.quantile(ours[drawn].mean(axis=1) / below, [0.025, 0.975])
    return Interval(float(ours.mean() / theirs.mean()), float(low), float(high))


def rank_correlation(one: Float[np.ndarray, "... N"], other: Float[np.ndarray, "... N"]) -> Float[np.ndarray, "..."]:
    """Spearman's, in [-1, 1], along the last axis; 0 where one of them never changes, NaN where one holds a NaN."""
    a, b = _ranks(one), _ranks(other)
    spread = np.asarray(a.std(axis=-1) * b.std(axis=-1))
    together = (a * b).mean(axis=-1)
    return np.where(spread == 0, 0.0, together / np.where(spread == 0, 1.0, spread))


def _ranks(values: Float[np.ndarray, "... N"]) -> Float[np.ndarray, "... N"]:
    """About their mean; equal values share theirs."""
    ranks = rankdata(values, axis=-1)
    return ranks - ranks.mean(axis=-1, keepdims=True)


def _scores(scores: ArrayLike) -> Float[np.ndarray, " N"]:
    array = np.asarray(scores, float).reshape(-1)
    if not len(array):
        raise SettingError("Got no scores, expected those of at least one run.")
    return array
