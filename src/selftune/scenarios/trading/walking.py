"""Walking forward: learn from what is past, trade what comes, never the other way round.

At the decision of row `t` the rows before `t - 1` are known: the order of row `t - 1` is filled, what it earns is not.

1. The update that was made `horizon` rows ago is repeated with the metaparameters of today, and judged by the rows
   since then, which it did not see: a step of the metaparameters.
2. The policy learns from the last `window` rows.
3. It trades the next `period` rows.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from selftune.errors import SettingError
from selftune.learning import Learner
from selftune.metaparams import values
from selftune.scenarios.trading.market import Ledger, Market, Tape, replay
from selftune.scenarios.trading.trader import Stretch, chooser, drawn
from selftune.tuning import Tuner
from selftune.types import Array, Eta, PRNGKey


class Clock(NamedTuple):
    """How long things are, in rows."""

    period: int = 5
    """From one update to the next."""
    window: int = 250
    """That one update learns from."""
    horizon: int = 20
    """That judge the metaparameters; whole periods."""

    @property
    def start(self) -> int:
        """The first row that is traded."""
        return self.window + self.horizon + 1

    def periods(self, rows: int, fewest: int = 1) -> int:
        """Whole periods that are traded of so many rows.

        Args:
            rows: Of a tape: one less than there are prices.
            fewest: Periods that are asked for.

        Raises:
            SettingError: There are fewer, or the horizon is not of whole periods.
        """
        if min(self) < 1 or self.horizon % self.period:
            raise SettingError(f"{self}: expected lengths of at least 1, and a horizon of whole periods.")
        if (count := (rows - self.start) // self.period) < fewest:
            least = self.start + fewest * self.period
            raise SettingError(
                f"Got {rows + 1} prices; expected at least {least + 1}: {self.window} rows to learn from, "
                f"{self.horizon} to judge by, {fewest} whole periods of {self.period} to trade, and 2 that orders and "
                "returns take. Give more prices, or a shorter clock."
            )
        return count


class Walked(NamedTuple):
    """What came of a walk of `P` periods; further axes in front with several seeds."""

    ledger: Ledger
    """Of the rows from `clock.start`, [P * period]."""
    eta: Eta
    """Metaparameters that each period was learned with, [P]."""


class Standing(NamedTuple):
    """Where a walk is."""

    meta: Any
    learner: Any
    earlier: Any
    """The learner's states before each of its last updates, oldest first; as many as periods in the horizon."""
    held: Array
    held_before: Array
    """[T, A] what was held before the trade of each row so far."""


def walk(tuner: Tuner, market: Market, clock: Clock, tape: Tape, key: PRNGKey) -> Walked:
    """One trader along the whole tape.

    Args:
        tuner: From `taught`.
        market: Costs and limits.
        clock: How long things are.
        tape: What happens.
        key: Of the first policy.

    Raises:
        SettingError: The tape is too short.
    """
    length, assets, signals = tape.signals.shape
    periods = clock.periods(length)

    def stretch(standing: Standing, begin: Array, count: int) -> Stretch:
        rows = jax.tree.map(lambda leaf: jax.lax.dynamic_slice_in_dim(leaf, begin, count), tape)
        return Stretch(rows, standing.held_before[begin])

    def period(now: Standing, t: Array) -> tuple[Standing, tuple[Ledger, Eta]]:
        judged = t - 1 - clock.horizon
        learned = jax.tree.map(lambda leaf: leaf[None], stretch(now, judged - clock.window, clock.window))
        since = stretch(now, judged, clock.horizon)
        before = jax.tree.map(lambda past: past[0], now.earlier)
        meta, _, _ = tuner.update(now.meta, before, learned, since, key)
        window = stretch(now, t - 1 - clock.window, clock.window)
        learner, _, _ = tuner.act(meta, now.learner, window)
        rows, _ = stretch(now, t, clock.period)
        held, ledger = replay(chooser(learner.params, market.short), market, rows, now.held)
        held_before = jax.lax.dynamic_update_slice_in_dim(now.held_before, ledger.held, t, axis=0)
        earlier = jax.tree.map(lambda past, one: jnp.concatenate([past[1:], one[None]]), now.earlier, now.learner)
        eta = tuner.problem(learner).eta(meta.meta_params, window)
        return Standing(meta, learner, earlier, held, held_before), (ledger, eta)

    assert isinstance(tuner.learner, Learner)
    learner = tuner.learner.init(drawn(key, assets, signals), values(tuner.spec))
    lag = clock.horizon // clock.period
    earlier = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (lag, *leaf.shape)), learner)
    begin = Standing(tuner.init(learner), learner, earlier, jnp.zeros(assets), jnp.zeros((length, assets)))
    _, (ledger, eta) = jax.lax.scan(period, begin, clock.start + clock.period * jnp.arange(periods))
    return Walked(jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), ledger), eta)


def walker(tuner: Tuner, market: Market, clock: Clock) -> Callable[[Tape, PRNGKey], Walked]:
    """`walk` of several traders, compiled: from a tape and keys [S] to a `Walked` with `S` in front of every axis."""
    return jax.jit(jax.vmap(lambda tape, key: walk(tuner, market, clock, tape, key), (None, 0)))
