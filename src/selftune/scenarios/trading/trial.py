"""A trial: traders and their rivals, on the same prices, under the same costs, walking forward."""

import math
from collections.abc import Mapping
from datetime import date
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Float, Shaped

from selftune.errors import SettingError, did_you_mean
from selftune.metaparams import contextual
from selftune.scenarios.story import Say
from selftune.scenarios.trading.features import tape as taped
from selftune.scenarios.trading.market import Ledger, Market, Tape, checked, replay
from selftune.scenarios.trading.prices import Prices, checked as checked_prices
from selftune.scenarios.trading.rivals import rivals
from selftune.scenarios.trading.teaching import Goal, as_they_came, taught
from selftune.scenarios.trading.walking import Clock, walker
from selftune.tuning import Tuner
from selftune.types import Eta

PERIODS = 10
"""That are reported, at least: with fewer there is nothing to resample."""
OFF = 1.5
"""Factor between the periods a year of a goal and those of the prices from which on they are refused."""
TUNED, FIXED = "self-tuned", "fixed"
CONTEXTUAL, BARE = "self-tuned, shown volatility", "self-tuned, judged by bare returns"
TRADERS = (TUNED, FIXED, CONTEXTUAL, BARE)


class Trial(NamedTuple):
    """What is tried, on what."""

    prices: Prices
    market: Market
    clock: Clock = Clock()
    goal: Goal = Goal()
    since: np.datetime64 | date | str | None = None
    """Results are counted from here on, or from the beginning of the next period; from the first trade when omitted.
    Traders trade and learn before it too. A time of numpy's or Python's, or such as "2015-11-01"."""


class Track(NamedTuple):
    """What came of one way to trade; `S` first policies, one for ways that do not learn."""

    net: Float[np.ndarray, "S T"]
    """Returns after costs."""
    turnover: Float[np.ndarray, "S T"]
    invested: Float[np.ndarray, "S T"]
    """Wealth in assets: long less short."""
    eta: Mapping[str, Float[np.ndarray, "S T"]]
    """Metaparameters in force; none for ways that do not learn."""


class Tracks(NamedTuple):
    """Of one trial, all from the same day on."""

    trial: Trial
    times: Shaped[np.ndarray, " T"]
    """When each row's return is there."""
    volatility: Float[np.ndarray, " T"]
    """Realised over the 20 periods before each row, mean over the assets, a year."""
    by_name: Mapping[str, Track]


def traders(trial: Trial) -> dict[str, Tuner]:
    """The trader that tunes itself, the same one fixed, and two variants that say why it does what it does."""
    market, goal = trial.market, trial.goal
    return {
        TUNED: taught(market, goal),
        FIXED: taught(market, goal, optimizer=optax.set_to_zero()),
        CONTEXTUAL: taught(market, goal, scope=contextual(1, ())),
        BARE: taught(market, goal, view=as_they_came),
    }


def tried(
    trial: Trial, names: tuple[str, ...] = (TUNED, FIXED), seeds: int = 4, seed: int = 0, say: Say = print
) -> Tracks:
    """Let the named traders and all rivals trade.

    Args:
        trial: What is tried.
        names: Keys of `traders`.
        seeds: First policies of each trader.
        seed: Of all of them.
        say: Where a line goes whenever a trader is done.

    Raises:
        SettingError: Before anything is learned: there are too few prices, or fewer than `PERIODS` periods since
            `trial.since`; there is no such trader; or prices, costs, limits or the goal make no sense, or the goal's
            year is not that of the prices.
    """
    market, clock = checked(trial.market), trial.clock
    checked_prices(trial.prices, longest_gap=math.inf)
    _check_year(trial.goal.checked(), trial.prices)
    made, tape = traders(trial), taped(trial.prices)
    if unknown := set(names) - made.keys():
        raise SettingError(f"There is no trader {min(unknown)!r}; {did_you_mean(min(unknown), made)}")
    count = clock.periods(len(tape.returns), PERIODS) * clock.period
    traded = slice(clock.start, clock.start + count)
    times = trial.prices.times[1:][traded]
    counted = slice(_first(times, trial.since, clock.period), None)
    if (left := len(times) - counted.start) < PERIODS * clock.period:
        raise SettingError(
            f"since={trial.since}: trading ends at {times[-1]}, which leaves {left} rows; expected at least "
            f"{PERIODS} periods of {clock.period}. Give an earlier time, or more prices."
        )
    by_name = {}
    for name in names:
        walked = walker(made[name], market, clock)(tape, jax.random.split(jax.random.key(seed), seeds))
        by_name[name] = _track(walked.ledger, counted, _in_force(walked.eta, clock.period, counted))
        say(f"{trial.prices.name}: {name}, {seeds} traders, {count:,} rows")
    rows = jax.tree.map(lambda leaf: leaf[traded], tape)
    nothing = jnp.zeros(len(trial.prices.assets))
    for name, choose in rivals(trial.goal.periods_per_year).items():
        _, ledger = replay(choose, market, rows, nothing)
        by_name[name] = _track(jax.tree.map(lambda leaf: leaf[None], ledger), counted, {})
    return Tracks(trial, times[counted], realised(rows, trial.goal.periods_per_year)[counted], by_name)


def _check_year(goal: Goal, prices: Prices) -> None:
    got, there = goal.periods_per_year, prices.periods_per_year
    if not 1.0 / OFF <= got / there <= OFF:
        raise SettingError(
            f"Got Goal(periods_per_year={got:g}), but {prices.name} has {there:.6g} prices a year; expected about as "
            "many, for premium, risk and returns are told a year. Give the prices' own `periods_per_year`."
        )


def _first(times: Shaped[np.ndarray, " T"], since: np.datetime64 | date | str | None, period: int) -> int:
    """The first row of the first whole period from a time on."""
    if since is None:
        return 0
    try:
        begins = np.datetime64(since)
    except (TypeError, ValueError):
        begins = np.datetime64("NaT")
    if np.isnat(begins):
        raise SettingError(f"Got since={since!r}, expected a time such as '2015-11-01', or None for the first trade.")
    return -(-int(np.searchsorted(times, begins)) // period) * period


def _in_force(eta: Eta, period: int, counted: slice) -> dict[str, Float[np.ndarray, "S T"]]:
    """What is tuned, row by row."""
    tuned = {name: np.asarray(eta[name], float) for name in ("risk_aversion", "turnover_cost")}
    return {name: np.repeat(values, period, axis=1)[:, counted] for name, values in tuned.items()}


def _track(ledger: Ledger, counted: slice, eta: Mapping[str, Float[np.ndarray, "S T"]]) -> Track:
    series = (ledger.net, ledger.turnover, ledger.weights.sum(axis=-1))
    net, turnover, invested = (np.asarray(part, float)[:, counted] for part in series)
    return Track(net, turnover, invested, eta)


def realised(rows: Tape, periods_per_year: float) -> Float[np.ndarray, " T"]:
    """Volatility over the periods before each row, mean over what is listed, a year."""
    listed = np.asarray(rows.listed, float)
    mean = (np.asarray(rows.volatility, float) * listed).sum(axis=1) / np.maximum(listed.sum(axis=1), 1.0)
    return mean * np.sqrt(periods_per_year)
