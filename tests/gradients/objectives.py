"""Objectives of the gradient matrix: small, and between them all that a loss can do to a meta-gradient.

Each is a function that builds its row, called in double precision. To add a row, write a function and name it in
`OBJECTIVES`. Every network has a unit that is always off, so that some gradients are exactly zero.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from selftune.learning import LearnerState, Memory
from selftune.learning.inner_loop import NO_MEMORY
from selftune.metaparams import MetaParam, contextual, interval, one_minus, simplex, unit
from selftune.objectives import (
    ActorCritic,
    Outer,
    actor_critic_loss,
    actor_critic_meta_loss,
    cut_at_boundaries,
    lambda_returns,
)
from selftune.types import Transitions

UPDATES = 3
"""The longest window of the matrix."""

T = 4
"""Length of a trajectory, or examples in a batch."""


class Objective(NamedTuple):
    """A row of the matrix."""

    spec: dict[str, MetaParam]
    params: Any
    batches: Any
    """Leading axis `UPDATES + 1`; the last is the validation batch."""
    loss: Callable
    meta_loss: Callable
    freeze: Callable[[LearnerState], Any] = lambda state: state.params
    memory: Memory = NO_MEMORY
    context: Callable = lambda batch: None
    through: tuple[str, ...] = ()


def regression() -> Objective:
    """Two supervised tasks with learned weights, and weight decay in the loss."""

    def loss(params, frozen, eta, batch):
        x, y = batch
        tasks = jnp.stack([_mean_square(_value(params, x) - y), _mean_square(_logits(params, x)[:, 0] + y)])
        return eta["task_weights"] @ tasks + eta["penalty"] * jnp.square(params["head"]).sum(), tasks

    def meta_loss(params, frozen, eta, batch):
        x, y = batch
        return _mean_square(_value(params, x) - y), None

    spec = {"task_weights": MetaParam(jnp.array([0.7, 0.3]), simplex), "penalty": MetaParam(0.1)}
    return Objective(spec, _params(), _examples(), loss, meta_loss)


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
        _params(),
        _transitions(),
        loss,
        meta_loss,
        context=lambda batch: jnp.stack([batch.reward.mean(), batch.reward[0]]),
    )


def target_network() -> Objective:
    """Slow memory of the parameters, and a judge that is differentiated through all it sees."""

    def loss(params, frozen, eta, batch):
        target = batch.reward + eta["discount"] * _value(frozen, batch.next_observation)
        return _mean_square(target - _value(params, batch.observation)), None

    def mix(eta, memory, params, batch):
        return jax.tree.map(lambda old, new: old + eta["target_mix"] * (new - old), memory, params)

    spec = {"discount": MetaParam(0.9, one_minus()), "target_mix": MetaParam(0.3, unit)}
    return Objective(
        spec,
        _params(),
        _transitions(),
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
        return _mean_square(_value(params, scaled) - eta["target_scale"] * y), None

    def meta_loss(params, frozen, eta, batch):
        x, y = batch
        return _mean_square(_value(params, x) - y), None

    def follow(eta, memory, params, batch):
        mean = memory["mean"] + eta["normaliser_rate"] * (batch[0].mean(axis=0) - memory["mean"])
        return {"mean": mean, "count": memory["count"] + 1}

    spec = {"normaliser_rate": MetaParam(0.2, unit), "target_scale": MetaParam(1.5, interval(0.5, 3.0))}
    return Objective(
        spec,
        _params(),
        _examples(),
        loss,
        meta_loss,
        freeze=lambda state: state.memory,
        memory=Memory(lambda params, eta: {"mean": jnp.zeros(2), "count": jnp.asarray(0)}, follow),
    )


def actor_critic() -> Objective:
    """The library's own: a policy, its critic and the judge's critic."""
    model, outer = ActorCritic(_logits, _value), Outer(discount=0.95, trace_decay=0.9, entropy_cost=0.01)
    spec = {
        "discount": MetaParam(0.9, one_minus()),
        "trace_decay": MetaParam(0.8, one_minus(1e-3, 1.0)),
        "entropy_cost": MetaParam(0.1),
        "value_cost": MetaParam(2.0),
        "reward_scale": MetaParam(5.0),
    }
    params = {name: _params(seed) for seed, name in enumerate(("policy", "critic", "outer_critic"))}
    batches = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf[::-1]], axis=2), _transitions())
    loss, meta_loss = actor_critic_loss(model, outer), actor_critic_meta_loss(model, outer)
    return Objective(spec, params, batches, loss, meta_loss)


OBJECTIVES = {row.__name__: row for row in (regression, td_lambda, target_network, normaliser, actor_critic)}


def _params(seed: int = 0):
    """Two tanh units and one that is always off; a value and two logits."""
    body, head = jax.random.split(jax.random.key(seed))
    return {"body": jax.random.normal(body, (3, 3)), "head": jax.random.normal(head, (3, 3))}


def _network(params, x):
    """[..., 2] -> [..., 3]."""
    first = x @ params["body"][:2] + jnp.broadcast_to(params["body"][2], (*x.shape[:-1], 3))
    hidden = jnp.concatenate([jnp.tanh(first[..., :2]), jax.nn.relu(first[..., 2:] - 100.0)], axis=-1)
    return hidden @ params["head"]


def _value(params, x):
    return _network(params, x)[..., 0]


def _logits(params, x):
    return _network(params, x)[..., 1:]


def _mean_square(error):
    return jnp.square(error).mean()


def _td_error(params, frozen, discount, trace_decay, batch):
    discount_t, lambda_t = cut_at_boundaries(discount, trace_decay, batch.terminated, batch.truncated)
    target = lambda_returns(batch.reward, discount_t, _value(frozen, batch.next_observation), lambda_t)
    return _mean_square(target - _value(params, batch.observation)), None


def _examples():
    """Inputs [K + 1, T, 2] and targets [K + 1, T]."""
    x = jax.random.normal(jax.random.key(2), (UPDATES + 1, T, 2))
    return x, jnp.sin(2.0 * x[..., 0]) + x[..., 1] ** 2


def _transitions() -> Transitions:
    """[K + 1, T], with one end and one time limit."""
    x, reward, action = jax.random.split(jax.random.key(3), 3)
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
