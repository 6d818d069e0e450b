"""A researcher's own loss and rule: any number in them can be meta-learned, by any estimator.

The task is the 19-state random walk of Sutton and Barto (example 7.1), predicted by TD(lambda) from a table of values.
Two names of our own, `trace` and `rate`, are tuned: on the error against the Monte Carlo return of episodes the update
has not seen. The estimator is one argument; `audit` says whether each meta-gradient arrives, and how much of it is
noise.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from rich.console import Console
from rich.progress import track
from rich.table import Table

import selftune as st
from selftune.objectives import lambda_returns

STATES, LENGTH, EPISODES = 19, 400, 8
TRUTH = jnp.linspace(-0.9, 0.9, STATES)
UPDATES = 300


class Walk(NamedTuple):
    """Episodes [E, T]; after the end `mask` is 0."""

    state: jax.Array
    successor: jax.Array
    reward: jax.Array
    alive: jax.Array
    mask: jax.Array


def walk(key) -> Walk:
    moves = 2 * jax.random.bernoulli(key, shape=(EPISODES, LENGTH)).astype(int) - 1
    path = jnp.concatenate([jnp.full((EPISODES, 1), STATES // 2), STATES // 2 + moves.cumsum(axis=1)], axis=1)
    outside = (path < 0) | (path >= STATES)
    ended = outside.cumsum(axis=1) > 0
    reward = jnp.where(path[:, 1:] < 0, -1.0, jnp.where(path[:, 1:] >= STATES, 1.0, 0.0))
    inside = path.clip(0, STATES - 1)
    return Walk(inside[:, :-1], inside[:, 1:], reward, 1.0 - ended[:, 1:], 1.0 - ended[:, :-1])


def error(values, batch: Walk, target):
    return (batch.mask * jnp.square(target - values[batch.state])).sum() / batch.mask.sum()


def returns(values, batch: Walk, trace):
    return jax.vmap(lambda r, d, v: lambda_returns(r, d, v, trace))(batch.reward, batch.alive, values[batch.successor])


def loss(values, frozen, eta, batch: Walk):
    """TD(lambda): `frozen` is the bootstrap. Its gradient with respect to `values` alone is the semi-gradient."""
    return error(values, batch, returns(frozen, batch, eta["trace"])), None


def meta_loss(values, frozen, eta, batch: Walk):
    """The error against what came of it: the Monte Carlo return."""
    return error(values, batch, returns(frozen, batch, jnp.asarray(1.0))), None


SPEC = {
    "trace": st.MetaParam(0.2, st.one_minus(1e-3, 1.0), doc="trace decay, lambda"),
    "rate": st.MetaParam(0.05, st.positive, st.per_parameter, doc="one step size for each state"),
}
LEARNER = st.learner(loss, lambda eta: st.optim.sgd(eta["rate"]))
ESTIMATORS = {
    "truncated(1)": st.truncated(1),
    "truncated(4, mixed)": st.truncated(4, mode="mixed"),
    "bootstrapped(1, 4)": st.bootstrapped(1, 4, st.matching.squared_distance),
}


def follow(estimator, optimizer):
    """Root mean squared error against the true values after every window, and the last metaparameters."""
    tuner = st.tuner(SPEC, LEARNER, meta_loss, estimator, optimizer, [st.guards.range(), st.guards.numeric()])
    state = LEARNER.init(jnp.zeros(STATES), st.values(SPEC))

    @jax.jit
    def run(meta, state):
        def step(carry, key):
            meta, state = carry
            keys = jax.random.split(key, estimator.window + 2)
            meta, state, info = tuner.update(meta, state, jax.vmap(walk)(keys[2:]), walk(keys[0]), keys[1])
            return (meta, state), (jnp.sqrt(jnp.square(state.params - TRUTH).mean()), info.eta)

        windows = jax.random.split(jax.random.key(0), UPDATES // estimator.window)
        return jax.lax.scan(step, (meta, state), windows)

    meta = tuner.init(state)
    (meta, state), (errors, eta) = run(meta, state)
    batches = jax.vmap(walk)(jax.random.split(jax.random.key(1), 16))
    return errors, eta, st.audit(tuner, meta, state, batches)


def main():
    console = Console()
    table = Table("", "mean error", "last error", "trace", "rates", title=f"19-state random walk, {UPDATES} updates")
    report = None
    for name, estimator in track([("fixed", st.truncated(1)), *ESTIMATORS.items()], "learning", console=console):
        still = name == "fixed"
        errors, eta, audit = follow(estimator, optax.set_to_zero() if still else optax.adam(0.03))
        report = report or (None if still else audit)
        rates = np.asarray(eta["rate"][-1])
        table.add_row(
            name,
            f"{errors.mean():.3f}",
            f"{errors[-1]:.3f}",
            f"{eta['trace'][-1]:.3f}",
            f"{rates.min():.2f} to {rates.max():.2f}",
        )
    console.print(table)
    console.print("What the audit says of truncated(1) at the end:\n", str(report), sep="", highlight=False)


if __name__ == "__main__":
    main()
