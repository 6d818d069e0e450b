"""What the trader learns from, and what judges its risk aversion and its price on turnover.

Inside, mean and variance over a past window (Markowitz 1952) with a price on turnover; outside, the utility of wealth
after real costs on rows that were not learned from. The mean return of a window is noise: over a year its standard
error is the whole volatility of a year, whereas the variance is known well (Merton 1980,
https://doi.org/10.1016/0304-405X(80)90007-0). So both see returns about their mean, with a premium in its place that
does not come from the data.
"""

import math
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import jax.numpy as jnp
import optax

from selftune import guards, optim
from selftune.errors import SettingError
from selftune.estimators import truncated
from selftune.learning import learner
from selftune.metaparams import MetaParam, Scope, Spec, between, positive, scalar
from selftune.scenarios.trading.market import Market, utility
from selftune.scenarios.trading.trader import Policy, Stretch, imagined
from selftune.tuning import Tuner, tuner
from selftune.types import Eta, Loss, Scalar


class Goal(NamedTuple):
    """What is wanted, and what is believed."""

    aversion: float = 3.0
    """Relative risk aversion of the utility of wealth. It stays; the trader's own begins here and moves."""
    premium: float = 0.05
    """What an asset is believed to earn over cash, a year."""
    periods_per_year: float = 252.0

    def checked(self) -> "Goal":
        """The goal as it is, if a trader can pursue it.

        Raises:
            SettingError: An aversion on or beyond the bounds of the trader's own, a premium that is no number, or a
                year without periods.
        """
        lowest, highest = RISK_AVERSION
        if not lowest < self.aversion < highest:
            raise SettingError(
                f"Got Goal(aversion={self.aversion}), expected a number between {lowest:g} and {highest:g}: the "
                "trader's own risk aversion begins there, and is held within."
            )
        if not (math.isfinite(self.premium) and 0.0 < self.periods_per_year < math.inf):
            raise SettingError(
                f"Got {self}, expected a finite premium a year, such as 0.05, and above 0 periods a year, such as 252."
            )
        return self


RISK_AVERSION = 0.3, 100.0
"""Bounds of the trader's own."""

View: TypeAlias = Callable[[Stretch, Goal], Stretch]
"""How the judge sees the returns of a stretch."""


def about_the_premium(stretch: Stretch, goal: Goal) -> Stretch:
    """Returns as they moved about their mean, and the believed premium in place of that mean.

    The mean of an asset is that of the rows in which it is listed, in which alone it can be held.
    """
    returns, listed = stretch.tape.returns, stretch.tape.listed
    mean = (returns * listed).sum(axis=0) / jnp.maximum(listed.sum(axis=0), 1.0)
    moved = returns - mean[None] + goal.premium / goal.periods_per_year
    return stretch._replace(tape=stretch.tape._replace(returns=moved))


def as_they_came(stretch: Stretch, goal: Goal) -> Stretch:
    """Returns untouched."""
    return stretch


def losses(market: Market, goal: Goal, view: View = about_the_premium) -> tuple[Loss, Loss]:
    """The loss that the trader learns from, and the loss that judges its metaparameters, both a year.

    inner = -(mean gross return - risk_aversion / 2 * variance - turnover_cost * mean turnover) * periods_per_year
    outer = -utility(wealth after costs) * periods_per_year / rows
    """

    def loss(policy: Policy, frozen: Policy, eta: Eta, batch: Stretch) -> tuple[Scalar, None]:
        ledger = imagined(policy, market, about_the_premium(batch, goal))
        risk = 0.5 * eta["risk_aversion"] * ledger.gross.var()
        worth = ledger.gross.mean() - risk - eta["turnover_cost"] * ledger.turnover.mean()
        return -worth * goal.periods_per_year, None

    def meta_loss(policy: Policy, frozen: Policy, eta: Eta, batch: Stretch) -> tuple[Scalar, None]:
        net = imagined(policy, market, view(batch, goal)).net
        return -utility(net, goal.aversion) * goal.periods_per_year / len(net), None

    return loss, meta_loss


def bounds(market: Market) -> dict[str, tuple[float, float]]:
    """Of what is tuned; they hold in every context."""
    return {"risk_aversion": RISK_AVERSION, "turnover_cost": (0.1 * market.cost, 200.0 * market.cost)}


def spec(market: Market, goal: Goal, scope: Scope = scalar) -> Spec:
    """Risk aversion and price on turnover, beginning at what is wanted and at what trading costs about."""
    held = {name: between(*positive.coordinates(ends), scope) for name, ends in bounds(market).items()}
    return {
        "risk_aversion": MetaParam(float(goal.aversion), positive, held["risk_aversion"], "price of variance"),
        "turnover_cost": MetaParam(
            2.0 * market.cost, positive, held["turnover_cost"], "price of a unit of wealth traded"
        ),
        "learning_rate": 5.0,
    }


def taught(
    market: Market,
    goal: Goal,
    view: View = about_the_premium,
    scope: Scope = scalar,
    optimizer: optax.GradientTransformation | None = None,
) -> Tuner:
    """A trader that tunes itself.

    Args:
        market: Costs and limits.
        goal: What is wanted.
        view: How the judge of the metaparameters sees returns.
        scope: Of both metaparameters; `contextual(1, ())` lets them depend on volatility.
        optimizer: Of the metaparameters; Adam at 0.05 when omitted, `optax.set_to_zero()` for a trader that is fixed.
    """
    loss, meta_loss = losses(market, goal, view)

    def rule(eta: Eta) -> optax.GradientTransformation:
        return optim.chain(optim.clip_by_global_norm(1.0), optim.sgd(eta["learning_rate"]))

    return tuner(
        spec(market, goal, scope),
        learner(loss, rule),
        meta_loss,
        truncated(1),
        optax.adam(0.05, b2=0.99) if optimizer is None else optimizer,
        [guards.range(bounds(market)), guards.numeric()],
        context=lambda batch: batch.tape.context[-1],
    )
