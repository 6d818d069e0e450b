"""Objectives of the gradient matrix: small, and between them all that a loss can do to a meta-gradient.

All share parameters of 17 numbers, four of which (a unit that never fires, and what reads it) have a gradient of exactly zero.
Registering an objective is adding a row to `OBJECTIVES`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from selftune.learning import LearnerState, Memory
from selftune.learning.inner_loop import NO_MEMORY
from selftune.metaparams import MetaParam, contextual, free, interval, one_minus, positive, simplex, unit
from selftune.objectives import cut_at_boundaries, generalized_advantage, lambda_returns
from selftune.types import Transitions

UPDATES = 3
"""The longest window of the matrix."""
T = 4
"""Length of a trajectory, or examples in a batch."""


class Objective(NamedTuple):
    """A row of the matrix."""

    spec: dict[str, MetaParam]
    loss: Callable
    meta_loss: Callable
    batches: Any
    """Leading axis `UPDATES + 1`; the last is the validation batch."""
    freeze: Callable[[LearnerState], Any] = lambda state: state.params
    memory: Memory = NO_MEMORY
    context: Callable = lambda batch: None
    through: tuple[str, ...] = ()


def draw_params(key) -> dict:
    """Two tanh units, one that is always off, and linear heads on the three."""
    body, bias, value, policy = jax.random.split(key, 4)
    return {
        "body": {"weight": jax.random.normal(body, (2, 2)), "bias": jax.random.normal(bias, (2,))},
        "dead": jnp.array([0.3, -0.2]),
        "value": jax.random.normal(value, (3,)),
        "policy": jax.random.normal(policy, (3, 2)),
    }


def hidden(params, x):
    """[T, 2] -> [T, 3]; the third unit is a rectifier far below its threshold."""
    alive = jnp.tanh(x @ params["body"]["weight"] + params["body"]["bias"][None])
    dead = jax.nn.relu(x @ params["dead"] - 100.0)
    return jnp.concatenate([alive, dead[:, None]], axis=-1)


def value(params, x):
    """[T, 2] -> [T]."""
    return hidden(params, x) @ params["value"]


def policy(params, x):
    """[T, 2] -> [T, 2] logits."""
    return hidden(params, x) @ params["policy"]


# Supervised: a weight for each of two tasks, and weight decay in the loss.


def regression_batches(key):
    """Inputs [K + 1, T, 2], targets [K + 1, T]."""
    x = jax.random.normal(key, (UPDATES + 1, T, 2))
    return x, jnp.sin(2.0 * x[..., 0]) + x[..., 1] ** 2


def regression_loss(params, frozen, eta, batch):
    x, y = batch
    error = jnp.square(value(params, x) - y)
    tasks = jnp.stack([error.mean(), jnp.square(policy(params, x)[:, 0] + y).mean()])
    penalty = sum(jnp.vdot(leaf, leaf) for leaf in jax.tree.leaves(params["body"]))
    return eta["task_weights"] @ tasks + eta["penalty"] * penalty, error


def regression_meta_loss(params, frozen, eta, batch):
    x, y = batch
    return jnp.square(value(params, x) - y).mean(), None


# Temporal differences: lambda-returns of the frozen parameters, the discount in the hands of a context network.


def transitions(key) -> Transitions:
    """[K + 1, T] of a chain with one end and one time limit."""
    x, reward, action = jax.random.split(key, 3)
    observation = jax.random.normal(x, (UPDATES + 1, T + 1, 2))
    flags = jnp.zeros((UPDATES + 1, T), bool)
    return Transitions(
        observation=observation[:, :-1],
        action=jax.random.bernoulli(action, shape=flags.shape).astype(jnp.int32),
        reward=jax.random.normal(reward, flags.shape),
        terminated=flags.at[1, 1].set(True),
        truncated=flags.at[2, 2].set(True),
        next_observation=observation[:, 1:],
    )


def td_loss(params, frozen, eta, batch):
    discount_t, lambda_t = cut_at_boundaries(eta["discount"], eta["trace_decay"], batch.terminated, batch.truncated)
    target = lambda_returns(batch.reward, discount_t, value(frozen, batch.next_observation), lambda_t)
    return 0.5 * jnp.square(target - value(params, batch.observation)).mean(), None


def td_meta_loss(params, frozen, eta, batch):
    constants = {"discount": jnp.asarray(0.9), "trace_decay": jnp.asarray(0.7)}
    return td_loss(params, frozen, constants, batch)


# A target network: slow memory, and a judge that is differentiated through all it sees.


def target_loss(params, frozen, eta, batch):
    target = batch.reward + eta["discount"] * value(frozen, batch.next_observation)
    return jnp.square(target - value(params, batch.observation)).mean(), None


TARGET_NETWORK = Memory(
    init=lambda params, eta: params,
    update=lambda eta, target, params, batch: jax.tree.map(
        lambda old, new: old + eta["target_mix"] * (new - old), target, params
    ),
)


# A normaliser with a counter: integers in the state.


def normaliser_loss(params, frozen, eta, batch):
    live, memory = params, frozen
    x, y = batch
    scaled = (x - memory["mean"][None]) / (1.0 + memory["count"])
    error = value(live, scaled) - eta["target_scale"] * y
    return jnp.square(error).mean(), None


def normaliser_meta_loss(params, frozen, eta, batch):
    return regression_meta_loss(params, frozen, eta, batch)


NORMALISER = Memory(
    init=lambda params, eta: {"mean": jnp.zeros(2), "count": jnp.asarray(0)},
    update=lambda eta, memory, params, batch: {
        "mean": memory["mean"] + eta["normaliser_rate"] * (batch[0].mean(axis=0) - memory["mean"]),
        "count": memory["count"] + 1,
    },
)

OBJECTIVES = {
    "regression": Objective(
        {"task_weights": MetaParam(jnp.array([0.7, 0.3]), simplex), "penalty": MetaParam(0.1)},
        regression_loss,
        regression_meta_loss,
        regression_batches,
    ),
    "td_lambda": Objective(
        {
            "discount": MetaParam(0.9, one_minus(), contextual(2, hidden=(2,))),
            "trace_decay": MetaParam(0.8, one_minus(1e-3, 1.0)),
        },
        td_loss,
        td_meta_loss,
        transitions,
        context=lambda batch: jnp.stack([batch.reward.mean(), batch.reward[0]]),
    ),
    "target_network": Objective(
        {"discount": MetaParam(0.9, one_minus()), "target_mix": MetaParam(0.3, unit)},
        target_loss,
        target_loss,
        transitions,
        freeze=lambda state: state.memory,
        memory=TARGET_NETWORK,
        through=("eta", "frozen"),
    ),
    "normaliser": Objective(
        {"normaliser_rate": MetaParam(0.2, unit), "target_scale": MetaParam(1.5, interval(0.5, 3.0))},
        normaliser_loss,
        normaliser_meta_loss,
        regression_batches,
        freeze=lambda state: state.memory,
        memory=NORMALISER,
    ),
}
