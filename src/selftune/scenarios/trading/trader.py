"""The trader: a linear policy, what it learns from, and what judges its metaparameters.

Inside, mean and variance over a past window (Markowitz 1952), with a price on turnover; outside, the utility of the
wealth that came of it after real costs. Between what is held and what is aimed at, the policy goes a part of the way
(Gârleanu and Pedersen 2013, https://doi.org/10.1111/jofi.12080); that part is learned, and the price on turnover moves
it: how often the trader trades.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

import selftune as st
from selftune.learning import Learner
from selftune.scenarios.trading.market import Chooser, Ledger, Market, Tape, utility
from selftune.tuning.outer_loop import Tuner
from selftune.types import Array, Eta, Float, PRNGKey, Scalar


class Policy(NamedTuple):
    """Parameters of the trader."""

    slopes: Float[Array, " F"]
    """Of the score of an asset in its signals; the same for all."""
    level: Float[Array, " A"]
    """Of the score of each asset."""
    speed: Scalar
    """Logit of the part of the way to the aim that is gone in one period."""


class Stretch(NamedTuple):
    """Some rows of a tape, and what is held before the first."""

    tape: Tape
    held: Float[Array, " A"]


class Goal(NamedTuple):
    """What judges the metaparameters, and how often."""

    aversion: float = 5.0
    """Relative risk aversion of the utility of realised wealth. It stays; the trader's own is what moves."""
    periods_per_year: float = 252.0


def drawn(key: PRNGKey, assets: int, signals: int) -> Policy:
    """A policy that begins with everything spread evenly, and slopes at random."""
    return Policy(0.1 * jax.random.normal(key, (signals,)), jnp.zeros(assets), jnp.asarray(-1.0))


def aim(policy: Policy, row: Tape, short: float) -> Float[Array, " A"]:
    """Weights that the policy aims at, within the limits whatever the scores are, [A]."""
    scores = row.signals @ policy.slopes + policy.level
    unlisted = 1e9 * (1.0 - row.listed)

    def shares(scores: Float[Array, " A"]) -> Float[Array, " A"]:
        return jax.nn.softmax(jnp.append(scores - unlisted, 0.0))[:-1]

    return shares(scores) - short * shares(-scores)


def chooser(policy: Policy, short: float) -> Chooser:
    """The policy as a chooser of weights."""
    return lambda held, row: held + jax.nn.sigmoid(policy.speed) * (aim(policy, row, short) - held)


def imagined(policy: Policy, market: Market, stretch: Stretch) -> Ledger:
    """What the policy would have done on rows of the past, all rows at once.

    The weights are a weighted sum of all aims so far and of what was held. That holdings drift with prices is left out
    of it, and counted as far as it is traded back; `market.replay` is exact and goes row by row.
    """
    tape, held = stretch
    aims = jax.vmap(lambda row: aim(policy, row, market.short))(tape)
    speed = jax.nn.sigmoid(policy.speed)
    rows = jnp.arange(len(aims))
    ages = rows[:, None] - rows[None, :]
    mixing = jnp.where(ages >= 0, speed * (1.0 - speed) ** jnp.maximum(ages, 0), 0.0)
    kept = (1.0 - speed) ** (rows + 1.0)
    weights = mixing @ aims + kept[:, None] * held[None]
    gross = (weights * tape.returns).sum(axis=1)
    drifted = weights[:-1] * (1.0 + tape.returns[:-1] - gross[:-1, None])
    before = jnp.concatenate([held[None], drifted])
    traded = jnp.abs(weights - before)
    cost = (traded * (market.cost + market.slippage * tape.volatility)).sum(axis=1)
    return Ledger(weights, before, gross, traded.sum(axis=1), cost, gross - cost)


def losses(market: Market, goal: Goal):
    """The loss that the trader learns from, and the loss that judges its metaparameters, both a year.

    inner = -(mean gross return - risk_aversion / 2 * variance - turnover_cost * mean turnover) * periods_per_year
    outer = -utility of the wealth after costs * periods_per_year / periods
    """

    def loss(policy: Policy, frozen: Policy, eta: Eta, batch: Stretch) -> tuple[Scalar, None]:
        ledger = imagined(policy, market, batch)
        risk = 0.5 * eta["risk_aversion"] * ledger.gross.var()
        worth = ledger.gross.mean() - risk - eta["turnover_cost"] * ledger.turnover.mean()
        return -worth * goal.periods_per_year, None

    def meta_loss(policy: Policy, frozen: Policy, eta: Eta, batch: Stretch) -> tuple[Scalar, None]:
        ledger = imagined(policy, market, batch)
        return -utility(ledger.net, goal.aversion) * goal.periods_per_year / len(ledger.net), None

    return loss, meta_loss
