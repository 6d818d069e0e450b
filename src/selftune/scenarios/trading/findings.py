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
from selftune.scenarios.trading.trial import FIXED, PERIODS, TRADERS, Track, Tracks

BLOCK, BLOCKS = 120, 10
"""Rows that stay together when they are resampled, half a year of days; and how many blocks there are at least."""
CHANGE = 60
"""Rows over which changes are taken."""
SURE = 200
"""Rows below which nothing is told from luck: a tenth of them, one block, is the 20 rows of one volatility."""
RARE = 0.05
"""Share of shifts up to which two levels are said to go together."""


class Finding(NamedTuple):
    """What is said of one way to trade; means over first policies."""

    growth: float
    volatility: float
    utility: Interval
    """Certainty equivalent a year, as a logarithm."""
    above_fixed: Interval | None
    """How much more utility than the same trader fixed, as a logarithm; nothing where there is none."""
    above_best_rule: Interval | None
    """The same, beside `best_rule`; nothing for rules."""
    sharpe: Interval
    sortino: Interval
    drawdown: Interval
    turnover: Interval
    """Units of wealth traded a year."""
    invested: float
    follows: Mapping[str, Interval]
    """Rank correlation with realised volatility, of each metaparameter, of turnover and of the wealth invested; as
    `changes`, of the changes of risk aversion over `change` rows with those of volatility."""
    by_chance: Mapping[str, float]
    """Of each of these, how often it is as far from 0, above or below, when one of the two is shifted in time."""


def finding(tracks: Tracks, name: str, resamples: int = 1000) -> Finding:
    """What is said of one way to trade.

    Args:
        tracks: Of one trial.
        name: A key of `tracks.by_name`.
        resamples: Of each interval.
    """
    track, goal = tracks.by_name[name], tracks.trial.goal
    together = block(track.net.shape[1])
    year = goal.periods_per_year

    def worth(net: np.ndarray) -> float:
        return float(certainty_equivalent(net, year, goal.aversion).mean())

    def among(statistic, *series: np.ndarray) -> Interval:
        return interval(statistic, *series, block=together, resamples=resamples)

    def above(other: str | None) -> Interval | None:
        if other is None or other not in tracks.by_name or other == name:
            return None
        return among(lambda a, b: worth(a) - worth(b), track.net, tracks.by_name[other].net)

    return Finding(
        growth=float(growth(track.net, year).mean()),
        volatility=float(volatility(track.net, year).mean()),
        utility=among(worth, track.net),
        above_fixed=above(FIXED),
        above_best_rule=above(best_rule(tracks)) if name in TRADERS else None,
        sharpe=among(lambda net: float(sharpe(net, year).mean()), track.net),
        sortino=among(lambda net: float(sortino(net, year).mean()), track.net),
        drawdown=among(lambda net: float(drawdown(net).mean()), track.net),
        turnover=among(lambda traded: float(traded.mean() * year), track.turnover),
        invested=float(track.invested.mean()),
        follows=follows(tracks, track, resamples),
        by_chance=chances(tracks, track),
    )


def best_rule(tracks: Tracks) -> str | None:
    """Of the ways that learn nothing, the one that was worth most; nothing where there is none."""
    year, aversion = tracks.trial.goal.periods_per_year, tracks.trial.goal.aversion
    worth = {
        name: float(certainty_equivalent(track.net, year, aversion).mean())
        for name, track in tracks.by_name.items()
        if name not in TRADERS
    }
    return max(worth, key=worth.__getitem__, default=None)


def block(length: int, longest: int = BLOCK) -> int:
    """How many of so many values stay together when they are resampled: as many as leave `BLOCKS` blocks.

    Few blocks make intervals narrow. Of 95% intervals of the mean of independent normal values, 92% held the true mean
    with 40 values, 90% with 200, 91% with 1200, ten blocks each; 94% with 3000, in blocks of 120. With two blocks it
    was 73 to 75%, from 20 to 200 values. Values that depend on each other over more than a block do worse.

    Args:
        length: Of the series.
        longest: Block where the series is long enough.
    """
    return max(1, min(longest, length // BLOCKS))


def change(tracks: Tracks) -> int:
    """Rows over which changes are taken: whole periods of the clock, about `CHANGE`, at most a quarter of all."""
    return _lag(tracks) * tracks.trial.clock.period


def follows(tracks: Tracks, track: Track, resamples: int) -> dict[str, Interval]:
    """Rank correlations with realised volatility, one value for each period of the clock.

    Whatever never changes is left out, and all of it with fewer than `PERIODS` periods in which something is listed.
    """
    together = block(_level(tracks).shape[1], BLOCK // tracks.trial.clock.period)
    return {
        name: interval(lambda a, b: float(rank_correlation(a, b).mean()), *pair, block=together, resamples=resamples)
        for name, pair in _beside_volatility(tracks, track).items()
    }


def chances(tracks: Tracks, track: Track) -> dict[str, float]:
    """`by_chance` of what `follows` has, shifted by a block at least."""
    least = max(1, min(BLOCK // tracks.trial.clock.period, _level(tracks).shape[1] // 4))
    return {name: by_chance(*pair, least) for name, pair in _beside_volatility(tracks, track).items()}


def _beside_volatility(tracks: Tracks, track: Track) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """What may follow volatility, each with the volatility that it is compared with."""
    level, lag = _level(tracks), _lag(tracks)
    if level.shape[1] < PERIODS:
        return {}
    moving = {**track.eta, "turnover": track.turnover, "invested": track.invested}
    pairs = {name: (_by_period(tracks, one), level) for name, one in moving.items() if np.ptp(one) > 0}
    if "risk_aversion" in pairs:
        pairs["changes"] = (_changes(pairs["risk_aversion"][0], lag), _changes(level, lag))
    return pairs


def _level(tracks: Tracks) -> Float[np.ndarray, "1 P"]:
    """Realised volatility."""
    return _by_period(tracks, tracks.volatility[None])


def _lag(tracks: Tracks) -> int:
    """Periods over which changes are taken."""
    return max(1, min(CHANGE // tracks.trial.clock.period, _level(tracks).shape[1] // 4))


def _by_period(tracks: Tracks, series: Float[np.ndarray, "S T"]) -> Float[np.ndarray, "S P"]:
    """Means over the periods of the clock, those left out in which nothing is listed."""

    def means(one: np.ndarray) -> np.ndarray:
        return one[:, : count * every].reshape(len(one), count, every).mean(axis=2)

    every = tracks.trial.clock.period
    count = series.shape[1] // every
    return means(series)[:, means(tracks.volatility[None])[0] > 0]


def _changes(series: Float[np.ndarray, "S P"], lag: int) -> Float[np.ndarray, "S Q"]:
    return np.log(series[:, lag:] / series[:, :-lag])
