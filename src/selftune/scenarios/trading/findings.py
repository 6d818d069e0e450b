"""What tracks say: how ways to trade compare, and what followed volatility; each with its interval."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from selftune.experiments.statistics import Interval, rank_correlation
from selftune.scenarios.trading.measures import (
    by_chance,
    certainty_equivalent,
    drawdown,
    growth,
    interval,
    sharpe,
    sortino,
    volatility,
)
from selftune.scenarios.trading.trial import FIXED, Track, Tracks

BLOCK = 120
"""Rows that stay together when they are resampled: half a year of days."""
QUARTER = 60
"""Rows over which changes are taken."""


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
    """Rank correlation with realised volatility, of each metaparameter, of turnover and of the wealth invested; as
    `changes`, of the changes of risk aversion over a quarter with those of volatility."""
    by_chance: float | None
    """How often risk aversion is as correlated with volatility when it is shifted in time."""


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
        by_chance=chance(tracks, track),
    )


def follows(tracks: Tracks, track: Track, resamples: int) -> dict[str, Interval]:
    """Rank correlations with realised volatility, one value for each period of the clock.

    Whatever never changes is left out.
    """
    every = tracks.trial.clock.period
    level = _by_period(tracks.volatility[None], every)
    block = max(1, min(BLOCK // every, level.shape[1] // 4))
    lag = min(QUARTER // every, level.shape[1] // 4)
    moving = {**track.eta, "turnover": track.turnover, "invested": track.invested}
    pairs = {name: (_by_period(one, every), level) for name, one in moving.items() if np.ptp(one) > 0}
    if "risk_aversion" in pairs:
        pairs["changes"] = (_changes(pairs["risk_aversion"][0], lag), _changes(level, lag))
    return {
        name: interval(lambda a, b: float(rank_correlation(a, b).mean()), *pair, block=block, resamples=resamples)
        for name, pair in pairs.items()
    }


def chance(tracks: Tracks, track: Track) -> float | None:
    """`by_chance` of risk aversion and volatility, shifted by half a year at least; nothing where there is none."""
    risk, every = track.eta.get("risk_aversion"), tracks.trial.clock.period
    if risk is None or np.ptp(risk) == 0:
        return None
    level = _by_period(tracks.volatility[None], every)
    return by_chance(_by_period(risk, every), level, min(BLOCK // every, level.shape[1] // 4))


def _by_period(series: Float[np.ndarray, "S T"], every: int) -> Float[np.ndarray, "S P"]:
    count = series.shape[1] // every
    return series[:, : count * every].reshape(len(series), count, every).mean(axis=2)


def _changes(series: Float[np.ndarray, "S P"], lag: int) -> Float[np.ndarray, "S Q"]:
    return np.log(series[:, lag:] / series[:, :-lag])
