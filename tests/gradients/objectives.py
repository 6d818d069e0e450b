"""Objectives of the gradient matrix: small, and between them all that a loss can do to a meta-gradient.

Each is a function that builds its row, called in double precision. To add a row, write a function and name it in
`OBJECTIVES`. Every network has a unit that is always off, so that some gradients are exactly zero.
"""

import jax
import jax.numpy as jnp

from selftune.learning import Memory
from selftune.metaparams import MetaParam, contextual, interval, one_minus, simplex, unit
from selftune.objectives import cut_at_boundaries, lambda_returns

from .action_values import ACTION_VALUES
from .parts import UPDATES, Objective, T, logits, mean_square, params, transitions, value
from .policies import POLICIES


def regression() -> Objective:
    """Two supervised tasks with learned weights, and weight decay in the loss."""

    def loss(params, frozen, eta, batch):
        x, y = batch
        tasks = jnp.stack([mean_square(value(params, x) - y), mean_square(logits(params, x)[:, 0] + y)])
        return eta["task_weights"] @ tasks + eta["penalty"] * jnp.square(params["head"]).sum(), tasks

    def meta_loss(params, frozen, eta, batch):
        x, y = batch
        return mean_square(value(params, x) - y), None

    spec = {"task_weights": MetaParam(jnp.array([0.7, 0.3]), simplex), "penalty": MetaParam(0.1)}
    return Objective(spec, params(), _examples(), loss, meta_loss)


def td_lambda() -> Objective:
    """Values towards lambda-returns of the frozen parameters, with the discount in the hands of a context network."""

    def loss(params, frozen, eta, batch):
        return _td_error(params, frozen, eta["discount"], eta["trace_decay"], batch)

    def meta_loss(params, frozen, eta, batch):
        return _td_error(params, frozen, 0.9, 0.7, batch)

    spec = {
        "discount": MetaParam(0.9, one_minus(), contextual(2, hidden=(2,))),
        "trace_decay": MetaParam(0.8, one_minus(1e-3, 1.0)),
    }
    return Objective(
        spec,
        params(),
        transitions(),
        loss,
        meta_loss,
        context=lambda batch: jnp.stack([batch.reward.mean(), batch.reward[0]]),
    )


def target_network() -> Objective:
    """Slow memory of the parameters, and a judge that is differentiated through all it sees."""

    def loss(params, frozen, eta, batch):
        target = batch.reward + eta["discount"] * value(frozen, batch.next_observation)
        return mean_square(target - value(params, batch.observation)), None

    def mix(eta, memory, params, batch):
        return jax.tree.map(lambda old, new: old + eta["target_mix"] * (new - old), memory, params)

    spec = {"discount": MetaParam(0.9, one_minus()), "target_mix": MetaParam(0.3, unit)}
    return Objective(
        spec,
        params(),
        transitions(),
        loss,
        loss,
        freeze=lambda state: state.memory,
        memory=Memory(lambda params, eta: params, mix),
        through=("eta", "frozen"),
    )


def normaliser() -> Objective:
    """A running mean and a counter, an integer, between the data and the network."""

    def loss(params, frozen, eta, batch):
        x, y = batch
        scaled = (x - frozen["mean"][None]) / (1.0 + 0.1 * frozen["count"])
        return mean_square(value(params, scaled) - eta["target_scale"] * y), None

    def meta_loss(params, frozen, eta, batch):
        x, y = batch
        return mean_square(value(params, x) - y), None

    def follow(eta, memory, params, batch):
        mean = memory["mean"] + eta["normaliser_rate"] * (batch[0].mean(axis=0) - memory["mean"])
        return {"mean": mean, "count": memory["count"] + 1}

    spec = {"normaliser_rate": MetaParam(0.2, unit), "target_scale": MetaParam(1.5, interval(0.5, 3.0))}
    return Objective(
        spec,
        params(),
        _examples(),
        loss,
        meta_loss,
        freeze=lambda state: state.memory,
        memory=Memory(lambda params, eta: {"mean": jnp.zeros(2), "count": jnp.asarray(0)}, follow),
    )


OBJECTIVES = (
    {row.__name__: row for row in (regression, td_lambda, target_network, normaliser)} | POLICIES | ACTION_VALUES
)


def _td_error(params, frozen, discount, trace_decay, batch):
    discount_t, lambda_t = cut_at_boundaries(discount, trace_decay, batch.terminated, batch.truncated)
    target = lambda_returns(batch.reward, discount_t, value(frozen, batch.next_observation), lambda_t)
    return mean_square(target - value(params, batch.observation)), None


def _examples():
    """Inputs [K + 1, T, 2] and targets [K + 1, T]."""
    x = jax.random.normal(jax.random.key(2), (UPDATES + 1, T, 2))
    return x, jnp.sin(2.0 * x[..., 0]) + x[..., 1] ** 2
