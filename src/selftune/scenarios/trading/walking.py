"""Walking forward: learn from what is past, trade what comes, and never the other way round.

At the decision of row `t` the rows before `t - 1` are known: the order of row `t - 1` is filled, what it earned is not.

1. The update that was made `horizon` rows ago is repeated with the metaparameters of today, and judged by the rows
   since then, which it did not see: a step of the metaparameters.
2. The policy learns from the last `window` rows.
3. It trades the next `period` rows.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from selftune.learning import LearnerState
from selftune.scenarios.trading.market import Ledger, Market, Tape, replay
from selftune.scenarios.trading.trader import Stretch, chooser, drawn
from selftune.tuning.outer_loop import Tuner
from selftune.types import Array, Eta, PRNGKey
import selftune as st


class Clock(NamedTuple):
    """In rows of the tape."""

    period: int = 5
    window: int = 250
    horizon: int = 20

    @property
    def start(self) -> int:
        """The first row that is traded."""
        return self.window + self.horizon + 1


class Walked(NamedTuple):
    ledger: Ledger
    """[T']: rows from `clock.start`, whole periods."""
    eta: Eta
    """[P]: constrained metaparameters in force in each period."""


def walk(tuner: Tuner, market: Market, clock: Clock, tape: Tape, key: PRNGKey) -> Walked:
    length, assets, signals = tape.signals.shape
    periods = (length - clock.start) // clock.period
    lag = clock.horizon // clock.period
    inner = tuner.estimator.window
    state = tuner.learner.init(drawn(key, assets, signals), st.values(tuner.spec))
    meta = tuner.init(state)
    held_at = jnp.zeros((length, assets))

    def rows(begin: Array, count: int) -> Tape:
        return jax.tree.map(lambda leaf: jax.lax.dynamic_slice_in_dim(leaf, begin, count), tape)

    def stretch(held_at: Array, begin: Array, count: int) -> Stretch:
        return Stretch(rows(begin, count), held_at[begin])

    def period(carry, t):
        meta, state, earlier, held, held_at = carry
        known = t - 1
        then = stretch(held_at, known - clock.horizon - clock.window, clock.window)
        since = stretch(held_at, known - clock.horizon, clock.horizon)
        then = then._replace(tape=then.tape._replace(context=then.tape.context))
        repeated = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (inner, *leaf.shape)), then)
        old = jax.tree.map(lambda leaf: leaf[0], earlier)
        meta, _, info = tuner.update(meta, old, repeated, since, key)
        earlier = jax.tree.map(lambda past, now: jnp.concatenate([past[1:], now[None]]), earlier, state)
        window = stretch(held_at, known - clock.window, clock.window)
        for _ in range(inner):
            state, _, _ = tuner.act(meta, state, window)
        eta = tuner.problem(state).eta(meta.meta_params, window)
        held, ledger = replay(chooser(state.params, market.short), market, rows(t, clock.period), held)
        held_at = jax.lax.dynamic_update_slice_in_dim(held_at, ledger.held, t, axis=0)
        return (meta, state, earlier, held, held_at), (ledger, eta, meta.meta_params, info.meta_grad, state.params)

    earlier = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (lag, *leaf.shape)), state)
    starts = clock.start + clock.period * jnp.arange(periods)
    carry = (meta, state, earlier, jnp.zeros(assets), held_at)
    _, (ledger, eta, *more) = jax.lax.scan(period, carry, starts)
    return Walked(jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), ledger), eta), more
