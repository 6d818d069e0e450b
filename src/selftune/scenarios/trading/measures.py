"""What is said of a series of returns, and how sure it is: intervals by resampling blocks of it.

Returns of neighbouring days depend on each other, so days are not resampled one by one but in blocks, from a series
closed to a ring (the circular block bootstrap, Politis and Romano 1992).
"""

import math
from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike

from selftune.errors import SettingError
from selftune.experiments.statistics import Interval, rank_correlation


def certainty_equivalent(
    net: Float[np.ndarray, "... T"], periods_per_year: float, aversion: float
) -> Float[np.ndarray, "..."]:
    """The sure growth a year, as a logarithm, that is worth as much as these returns one by one.

    With constant relative risk aversion `a`: `log(mean((1 + net) ** (1 - a))) / (1 - a)`, a year; about the mean less
    `a / 2` times the variance.
    """
    if aversion == 1:
        return np.asarray(periods_per_year * np.log1p(net).mean(axis=-1))
    power = 1.0 - aversion
    return np.asarray(periods_per_year * np.log(np.exp(power * np.log1p(net)).mean(axis=-1)) / power)


def growth(net: Float[np.ndarray, "... T"], periods_per_year: float) -> Float[np.ndarray, "..."]:
    """Compound return a year."""
    return np.asarray(np.expm1(periods_per_year * np.log1p(net).mean(axis=-1)))


def volatility(net: Float[np.ndarray, "... T"], periods_per_year: float) -> Float[np.ndarray, "..."]:
    """Standard deviation a year."""
    return np.asarray(net.std(axis=-1) * np.sqrt(periods_per_year))


def sharpe(net: Float[np.ndarray, "... T"], periods_per_year: float) -> Float[np.ndarray, "..."]:
    """Mean over standard deviation, a year, over cash that earns nothing (Sharpe 1994); 0 of returns that are all 0."""
    return _ratio(net.mean(axis=-1), net.std(axis=-1), periods_per_year)


def sortino(net: Float[np.ndarray, "... T"], periods_per_year: float) -> Float[np.ndarray, "..."]:
    """Mean over the root mean square of the losses, a year (Sortino and Price 1994); 0 where nothing was lost."""
    return _ratio(net.mean(axis=-1), np.sqrt(np.square(np.minimum(net, 0.0)).mean(axis=-1)), periods_per_year)


def drawdown(net: Float[np.ndarray, "... T"]) -> Float[np.ndarray, "..."]:
    """The deepest fall of the wealth from its highest so far, as a part of it, in [0, 1]."""
    return np.asarray(-fallen(net).min(axis=-1))


def fallen(net: Float[np.ndarray, "... T"]) -> Float[np.ndarray, "... T"]:
    """How far the wealth is below its highest so far, at most 0; it begins at 1."""
    wealth = np.cumsum(np.log1p(net), axis=-1)
    return np.expm1(wealth - np.maximum(np.maximum.accumulate(wealth, axis=-1), 0.0))


def by_chance(one: Float[np.ndarray, "S N"], other: Float[np.ndarray, "1 N"], least: int) -> float:
    """How often the two are as correlated, by rank and on average, either way, when one is shifted in time on a ring.

    Slow series swing a few times only, and two of them go together easily: this counts how easily. An interval over
    resampled blocks does not, where a swing is longer than a block.

    Args:
        one: Some series.
        other: What they are compared with.
        least: Rows of the shortest shift; at most half of all.

    Returns:
        A share, in (0, 1], of the series as they are and all that are shifted; NaN where a series holds one.
    """
    count = one.shape[-1]
    shifts = (0, *range(least, count - least + 1))
    sizes = np.abs([rank_correlation(one, np.roll(other, k, axis=1)).mean() for k in shifts])
    return math.nan if np.isnan(sizes).any() else float(np.mean(sizes >= sizes[0]))


def rings(length: int, block: int, resamples: int, chance: np.random.Generator) -> Int[np.ndarray, "R T"]:
    """Rows of resampled series: blocks of neighbours, from a ring.

    Raises:
        SettingError: The series is shorter than two blocks.
    """
    if not 1 <= block <= length // 2:
        raise SettingError(
            f"Got {length} rows for blocks of {block}; expected at least two blocks. Give a longer series."
        )
    begins = chance.integers(0, length, (resamples, -(-length // block)))
    rows = (begins[:, :, None] + np.arange(block)) % length
    return rows.reshape(resamples, -1)[:, :length]


def interval(
    statistic: Callable[..., float],
    *series: Float[np.ndarray, "... T"],
    block: int,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval:
    """A percentile interval of a statistic of one or several series, resampled together.

    Args:
        statistic: From the series to a number.
        series: Their last axis is time; leading axes, such as that of seeds, stay together.
        block: Rows that stay together; longer than what depends on each other.
        resamples: How many.
        confidence: In (0, 1).
        seed: Of the resampling; equal seeds give equal intervals.
    """
    chance = np.random.default_rng(seed)
    picked = rings(series[0].shape[-1], block, resamples, chance)
    values = [statistic(*(one[..., rows] for one in series)) for rows in picked]
    low, high = np.quantile(values, [0.5 - confidence / 2, 0.5 + confidence / 2])
    return Interval(float(statistic(*series)), float(low), float(high))


def _ratio(mean: ArrayLike, deviation: ArrayLike, periods_per_year: float) -> Float[np.ndarray, "..."]:
    mean, deviation = np.asarray(mean), np.asarray(deviation)
    return np.where(deviation > 0, mean / np.where(deviation > 0, deviation, 1.0) * np.sqrt(periods_per_year), 0.0)
