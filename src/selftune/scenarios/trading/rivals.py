"""What the trader is shown beside: ways to trade that learn nothing, under the same costs and limits."""

from collections.abc import Mapping

import jax.numpy as jnp

from selftune.scenarios.trading.market import Chooser, Tape
from selftune.types import Array, Float

TARGET = 0.10
"""Volatility a year that is aimed at."""
BAND = 0.05
"""Wealth that may be in the wrong place before volatility targeting trades."""


def equally(row: Tape) -> Float[Array, " A"]:
    """All wealth, spread evenly over what is listed."""
    return row.listed / jnp.maximum(row.listed.sum(), 1.0)


def buy_and_hold(held: Float[Array, " A"], row: Tape) -> Float[Array, " A"]:
    """Spread everything evenly once, and never trade again while anything of it is held."""
    return jnp.where(held.sum() > 0.0, held, equally(row))


def equal_weight_with_cash(held: Float[Array, " A"], row: Tape) -> Float[Array, " A"]:
    """The same part of the wealth in each asset and in cash, restored every period (DeMiguel et al. 2009)."""
    return row.listed / (1.0 + row.listed.sum())


def volatility_targeting(periods_per_year: float) -> Chooser:
    """As much of an even spread as has the volatility aimed at, and never more than all (Moreira and Muir 2017).

    The volatility is that of the mean asset over the last 20 periods: what diversification takes off is left out.
    """

    def choose(held: Float[Array, " A"], row: Tape) -> Float[Array, " A"]:
        now = (equally(row) * row.volatility).sum() * jnp.sqrt(periods_per_year)
        wanted = equally(row) * jnp.minimum(TARGET / jnp.maximum(now, 1e-6), 1.0)
        return jnp.where(jnp.abs(wanted - held).sum() > BAND, wanted, held)

    return choose


def rivals(periods_per_year: float) -> Mapping[str, Chooser]:
    """All of them, by name."""
    return {
        "buy and hold": buy_and_hold,
        "equal weight with cash": equal_weight_with_cash,
        "volatility targeting": volatility_targeting(periods_per_year),
    }
