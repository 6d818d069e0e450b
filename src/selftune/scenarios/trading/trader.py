"""The trader: a linear policy that goes a part of the way to what it aims at.

Gârleanu and Pedersen 2013 (https://doi.org/10.1111/jofi.12080): where trading costs, the best one can do is to trade
partially towards an aim. Here that part is learned; a price on turnover makes it smaller, and the trading rarer.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from selftune.scenarios.trading.market import Chooser, Ledger, Market, Tape, survived
from selftune.types import Array, Float, PRNGKey, Scalar

AGILITY = 5.0
"""Factor from `speed` to a logit: its gradient is a matter of basis points, and without it nothing moves for years."""
RESTRAINT = 0.1
"""Factor from slopes to scores: what signals foretell is little, and is to be learned slowly."""


class Policy(NamedTuple):
    """Parameters of the trader."""

    slopes: Float[Array, " F"]
    """Of the score of an asset in its signals, times `RESTRAINT`; the same for all."""
    level: Float[Array, " A"]
    """Of the score of each asset."""
    speed: Scalar
    """Of the part of the way to the aim that is gone in one period: `sigmoid(AGILITY * speed)`."""


class Stretch(NamedTuple):
    """Some rows of a tape, and what is held before the first."""

    tape: Tape
    held: Float[Array, " A"]


def drawn(key: PRNGKey, assets: int, signals: int) -> Policy:
    """A policy that begins with everything spread evenly over assets and cash, and small slopes at random."""
    return Policy(0.1 * jax.random.normal(key, (signals,)), jnp.zeros(assets), jnp.asarray(-1.0 / AGILITY))


def aim(policy: Policy, row: Tape, short: float) -> Float[Array, " A"]:
    """Weights that the policy aims at: within the limits whatever its parameters, 0 of what is not listed."""
    scores = RESTRAINT * row.signals @ policy.slopes + policy.level
    unlisted = 1e9 * (1.0 - row.listed)

    def shares(scores: Float[Array, " A"]) -> Float[Array, " A"]:
        return jax.nn.softmax(jnp.append(scores - unlisted, 0.0))[:-1]

    return shares(scores) - short * shares(-scores)


def chooser(policy: Policy, short: float) -> Chooser:
    """The policy as it trades, row by row."""
    return lambda held, row: held + jax.nn.sigmoid(AGILITY * policy.speed) * (aim(policy, row, short) - held)


def imagined(policy: Policy, market: Market, stretch: Stretch) -> Ledger:
    """What the policy would have done on rows of the past, all rows at once.

    Weights are a weighted sum of what was held, of all aims since, and of how far holdings drifted with prices; the
    drift is that of weights that did not drift, so that no row waits for another. `market.replay` goes row by row: it
    is exact, and slower by an order.

    Returns:
        The ledger of `T` rows.
    """
    tape, held = stretch
    aims = jax.vmap(lambda row: aim(policy, row, market.short))(tape)
    speed = jax.nn.sigmoid(AGILITY * policy.speed)
    rows = jnp.arange(len(aims))
    ages = rows[:, None] - rows[None, :]
    left = jnp.where(ages >= 0, (1.0 - speed) ** jnp.maximum(ages, 0), 0.0)

    def followed(drift: Float[Array, "T A"]) -> tuple[Array, Array]:
        late = jnp.concatenate([held[None], drift[:-1]])
        weights = tape.listed * (left @ (speed * aims + (1.0 - speed) * late))
        return weights, jnp.concatenate([held[None], weights[:-1] + drift[:-1]])

    still, _ = followed(jnp.zeros_like(aims))
    weights, before = followed(still * (tape.returns - (still * tape.returns).sum(axis=1, keepdims=True)))
    gross = (weights * tape.returns).sum(axis=1)
    traded = jnp.abs(weights - before)
    cost = (traded * (market.cost + market.slippage * tape.volatility)).sum(axis=1)
    return Ledger(weights, before, gross, traded.sum(axis=1), cost, survived(gross - cost))
