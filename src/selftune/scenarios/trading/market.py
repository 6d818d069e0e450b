"""A portfolio that pays for what it trades: weights, cash, costs, slippage, limits; pure functions.

    cash    = 1 - sum(weights) - cost
    wealth' = wealth * (1 + sum(weights * returns) - cost)

Weights are fractions of the wealth before the trade. Cash earns nothing. Whoever is short can lose more than there is:
at most `LOST` goes in one row, then all positions are closed, and what remains is cash.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp

from selftune.errors import SettingError
from selftune.types import Array, Float, Scalar

LOST = 0.999
"""Part of the wealth that one row can cost at most: a logarithm of what remains is finite."""


class Market(NamedTuple):
    """What trading costs, and what is allowed."""

    cost: float = 0.0005
    """Of each unit traded, in units of wealth: fees and half of the spread."""
    slippage: float = 0.05
    """Of each unit traded, as a part of the volatility of one period: prices run away when they are restless."""
    short: float = 0.25
    """How much may be sold short in all, as a part of the wealth; what is held long may be all of it, and no more."""


class Tape(NamedTuple):
    """What happens, row by row: on row `t` weights are chosen, and held until row `t + 1`."""

    signals: Float[Array, "T A F"]
    """What the trader sees of each asset."""
    returns: Float[Array, "T A"]
    """Of the assets from row `t` to row `t + 1`; nobody sees them on row `t`."""
    volatility: Float[Array, "T A"]
    """Standard deviation of the returns of one period, from the past."""
    listed: Float[Array, "T A"]
    """1 where the asset is known to be traded, else 0: then what is held is sold at its last price."""
    context: Float[Array, "T C"]
    """What the metaparameters may depend on."""


class Ledger(NamedTuple):
    """What came of it, row by row."""

    weights: Float[Array, "... T A"]
    """After the trade, as fractions of the wealth; what is missing to 1 is cash."""
    held: Float[Array, "... T A"]
    """Before the trade."""
    gross: Float[Array, "... T"]
    """Return of the portfolio before costs."""
    turnover: Float[Array, "... T"]
    """Units of wealth bought and sold."""
    cost: Float[Array, "... T"]
    net: Float[Array, "... T"]
    """Return after costs, `gross - cost`; `-LOST` where that is less."""


Chooser: TypeAlias = Callable[[Float[Array, " A"], Tape], Float[Array, " A"]]
"""`chooser(held, row) -> weights`; `row.returns` are not for its eyes."""


def checked(market: Market) -> Market:
    """The market as it is.

    Raises:
        SettingError: Trading is free, or a cost or limit is out of range.
    """
    if not (0 < market.cost < 0.1 and 0 <= market.slippage < 1 and 0 <= market.short <= 1):
        raise SettingError(
            f"{market}: expected 0 < cost < 0.1 (0.0005 is 5 basis points of what is traded), 0 <= slippage < 1 and "
            "0 <= short <= 1. Trading is never free; give what your broker takes and half of the spread."
        )
    return market


def limited(weights: Float[Array, " A"], short: float) -> Float[Array, " A"]:
    """The weights, with all that is long scaled down to 1 and all that is short to the limit, where they are beyond."""
    long, sold = jnp.maximum(weights, 0.0), jnp.maximum(-weights, 0.0)
    return long / jnp.maximum(long.sum(), 1.0) - sold * (short / jnp.maximum(sold.sum(), max(short, 1e-9)))


def survived(net: Float[Array, "*T"]) -> Float[Array, "*T"]:
    """Returns that leave something: those below `-LOST` are that, and no gradient moves them."""
    return jnp.maximum(net, -LOST)


def trade(market: Market, held: Float[Array, " A"], wanted: Float[Array, " A"], row: Tape) -> tuple[Array, Ledger]:
    """Trade from `held` to `wanted` within the limits, pay, and hold for one period.

    Returns:
        What is held when the period ends, as fractions of the new wealth, nothing after a ruin; and the entries of the
        ledger.
    """
    weights = limited(wanted * row.listed, market.short)
    traded = jnp.abs(weights - held)
    cost = (traded * (market.cost + market.slippage * row.volatility)).sum()
    gross = (weights * row.returns).sum()
    net = survived(gross - cost)
    after = weights * (1.0 + row.returns) / (1.0 + net)
    return jnp.where(net > -LOST, after, 0.0), Ledger(weights, held, gross, traded.sum(), cost, net)


def replay(chooser: Chooser, market: Market, tape: Tape, held: Float[Array, " A"]) -> tuple[Array, Ledger]:
    """Let a chooser trade along a tape.

    Args:
        chooser: Chooses weights, [A].
        market: Costs and limits.
        tape: `T` rows.
        held: What is held before the first trade, [A].

    Returns:
        What is held at the end, and the ledger of `T` rows.
    """
    return jax.lax.scan(lambda now, row: trade(market, now, chooser(now, row), row), held, tape)


def utility(net: Float[Array, " T"], aversion: float) -> Scalar:
    """Utility of the wealth that remains of 1, with constant relative risk aversion: `(W**(1 - a) - 1) / (1 - a)`.

    Pratt 1964 (https://doi.org/10.2307/1913738); `aversion` 1 is the logarithm.
    """
    growth = jnp.log1p(net).sum()
    return growth if aversion == 1 else jnp.expm1((1.0 - aversion) * growth) / (1.0 - aversion)
