"""What may be known of prices: trends and volatilities of the past, one period late.

An order that is given after the close of a period is filled at the close of the next. So whatever row `t` shows is of
prices up to `t - 1`; the return of row `t` is that from the price at `t`, where the order is filled, to `t + 1`.

An asset that is delisted returns nothing after its last price. That it is gone is seen one row late, like everything:
until then orders are filled at its last price, and then what is held is sold at it.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from selftune.scenarios.trading.market import Tape
from selftune.scenarios.trading.prices import Prices

TRENDS = (60, 250)
"""Periods over which the trader sees a trend."""
SHORT, LONG = 20, 250
"""Periods over which volatility is measured: now, and what one is used to."""
STILL = 1e-6
"""Deviation of prices that do not move: no smaller one is told."""


def tape(prices: Prices) -> Tape:
    """The rows of a tape: one less than there are prices.

    Signals are trends in units of their standard deviation, squeezed into (-1, 1); 0 as long as the past is too short.
    The context is the logarithm of volatility now over what one is used to, mean over the assets that are listed and
    move, within [-1, 1].
    """
    known = ~np.isnan(prices.values)
    growth = np.diff(np.log(np.where(known, prices.values, 1.0)), axis=0, prepend=np.nan)
    growth[0] = 0.0
    growth[1:][~(known[:-1] & known[1:])] = 0.0
    age = np.cumsum(known, axis=0) - 1
    now = deviation(growth, age, SHORT)
    usual = deviation(growth, age, LONG)
    signals = []
    for span in TRENDS:
        trend = trailing_sum(growth, span)
        scale = deviation(growth, age, span) * np.sqrt(span)
        signals.append(
            np.where(known & (age >= span) & (scale > 0), np.tanh(0.5 * trend / np.where(scale > 0, scale, 1.0)), 0.0)
        )
    listed = known & (age >= SHORT)
    moves = listed & (now > STILL)
    ratio = np.where(moves, np.log(np.where(moves, now, 1.0) / np.where(moves, usual, 1.0)), 0.0)
    context = np.clip(ratio.sum(axis=1) / np.maximum(moves.sum(axis=1), 1), -1.0, 1.0)
    late = {
        "signals": np.stack(signals, axis=-1),
        "volatility": np.where(listed, now, 0.0),
        "listed": listed.astype(float),
        "context": context[:, None],
    }
    shown = {name: jnp.asarray(_one_late(array)[:-1], jnp.result_type(float)) for name, array in late.items()}
    return Tape(returns=jnp.asarray(np.expm1(growth[1:]), jnp.result_type(float)), **shown)


def trailing_sum(values: Float[np.ndarray, "T A"], span: int) -> Float[np.ndarray, "T A"]:
    """Of the last `span` rows, this one included; of fewer where there are fewer."""
    total = np.cumsum(values, axis=0)
    return total - np.concatenate([np.zeros_like(total[:span]), total[:-span]])[: len(total)]


def deviation(growth: Float[np.ndarray, "T A"], age: Int[np.ndarray, "T A"], span: int) -> Float[np.ndarray, "T A"]:
    """Standard deviation of the last `span` rows, of fewer where there are fewer; `STILL` at least.

    Args:
        growth: Logarithmic returns.
        age: Returns there are of each asset up to each row.
        span: Rows.
    """
    count = np.clip(age, 1, span)
    mean = trailing_sum(growth, span) / count
    return np.sqrt(np.maximum(trailing_sum(growth**2, span) / count - mean**2, STILL**2))


def _one_late(array: np.ndarray) -> np.ndarray:
    return np.concatenate([np.zeros_like(array[:1]), array[:-1]])
