"""What tracks say: how ways to trade compare, and what followed volatility; each with its interval."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from selftune.experiments.statistics import Interval
from selftune.scenarios.trading.measures import (
    certainty_equivalent,
    drawdown,
    growth,
    interval,
    rank_correlation,
    sharpe,
    sortino,
    volatility,
)
from selftune.scenarios.trading.trial import FIXED, Track, Tracks

BLOCK = 120
"""Rows that stay together when they are resampled: half a year of days."""


class Finding(NamedTuple):
    """What is said of one way to trade; means over first policies."""

    growth: float
    volatility: float
    utility: Interval
    """Certainty equivalent a year."""
    above_fixed: Interval | None
    """How much more utility than the same trader fixed; nothing where there is none."""
    sharpe: Interval
    sortino: Interval
    drawdown: Interval
    turnover: Interval
    """Units of wealth traded a year."""
    invested: float
    follows: Mapping[str, Interval]
    """Rank correlation with realised volatility, of each metaparameter, of turnover and of the wealth invested."""


def finding(tracks: Tracks, name: str, resamples: int = 1000) -> Finding:
    """What is said of one way to trade.

    Args:
        tracks: Of one trial.
        name: A key of `tracks.by_name`.
        resamples: Of each interval.
    """
    track, goal = tracks.by_name[name], tracks.trial.goal
    block = min(BLOCK, track.net.shape[1] // 2)
    year = goal.periods_per_year

    def worth(net: np.ndarray) -> float:
        return float(certainty_equivalent(net, year, goal.aversion).mean())

    def among(statistic, *series: np.ndarray) -> Interval:
        return interval(statistic, *series, block=block, resamples=resamples)

    fixed = tracks.by_name.get(FIXED)
    return Finding(
        growth=float(growth(track.net, year).mean()),
        volatility=float(volatility(track.net, year).mean()),
        utility=among(worth, track.net),
        above_fixed=None
        if fixed is None or name == FIXED
        else among(lambda a, b: worth(a) - worth(b), track.net, fixed.net),
        sharpe=among(lambda net: float(sharpe(net, year).mean()), track.net),
        sortino=among(lambda net: float(sortino(net, year).mean()), track.net),
        drawdown=among(lambda net: float(drawdown(net).mean()), track.net),
        turnover=among(lambda traded: float(traded.mean() * year), track.turnover),
        invested=float(track.invested.mean()),
        follows=follows(tracks, track, resamples),
    )


def follows(tracks: Tracks, track: Track, resamples: int) -> dict[str, Interval]:
    """Rank correlations with realised volatility, one value for each period of the clock.

    Whatever never changes is left out.
    """
    every = tracks.trial.clock.period
    count = len(tracks.volatility) // every
    block = max(1, min(BLOCK // every, count // 2))

    def by_period(series: Float[np.ndarray, "S T"]) -> Float[np.ndarray, "S P"]:
        return series[:, : count * every].reshape(len(series), count, every).mean(axis=2)

    def among(series: np.ndarray, calm: np.ndarray) -> float:
        return float(rank_correlation(series, calm).mean())

    moving = {**track.eta, "turnover": track.turnover, "invested": track.invested}
    level = by_period(tracks.volatility[None])
    return {
        name: interval(among, by_period(series), level, block=block, resamples=resamples)
        for name, series in moving.items()
        if np.ptp(series) > 0
    }
