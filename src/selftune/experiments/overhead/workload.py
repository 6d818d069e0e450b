"""What is measured: a value network of three dense layers, trained by Adam on temporal-difference targets.

Six numbers of it can be metaparameters; the first `metaparameters` of `VALUES` are. Two of them stand in the loss, the
others in the update rule, so that a single one (the learning rate) needs no second derivative of the network.
"""

import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from selftune.learning import Learner, LearnerState, learner
from selftune.metaparams import Constraint, MetaParam, Spec, one_minus, positive, unit, values
from selftune.optim import adam
from selftune.types import Array, Eta, Float, Frozen, Params, PRNGKey, Scalar

VALUES: dict[str, tuple[float, Constraint]] = {
    "learning_rate": (1e-3, positive),
    "discount": (0.9, one_minus()),
    "cost": (0.1, positive),
    "adam_b1": (0.9, unit),
    "adam_b2": (0.999, unit),
    "adam_eps": (1e-5, positive),
}
IN_LOSS = ("discount", "cost")
LAYERS = 3


class Batch(NamedTuple):
    """Transitions with the successor's value already looked up."""

    observation: Float[Array, "*K B D"]
    reward: Float[Array, "*K B 1"]
    next_value: Float[Array, "*K B 1"]


class Workload(NamedTuple):
    """One size of the problem, ready to run."""

    width: int
    batch: int
    spec: Spec
    learner: Learner
    state: LearnerState
    batches: Batch
    """[K, B, ...]"""
    validation: Batch


def layer_sizes(width: int) -> list[tuple[int, int]]:
    """Inputs and outputs of each layer: observations are as wide as the hidden layers, the output is one value."""
    sizes = [width] * LAYERS + [1]
    return list(itertools.pairwise(sizes))


def network(params: Params, observation: Float[Array, "B D"]) -> Float[Array, "B 1"]:
    """The value of each observation."""
    *hidden, output = params
    activation = observation
    for layer in hidden:
        activation = jnp.tanh(activation @ layer["weight"] + layer["bias"][None])
    return activation @ output["weight"] + output["bias"][None]


def loss(params: Params, frozen: Frozen, eta: Eta, batch: Batch) -> tuple[Scalar, tuple]:
    """The inner loss: temporal-difference errors, and a cost of large values."""
    value = network(params, batch.observation)
    target = batch.reward + eta["discount"] * batch.next_value
    return jnp.mean((value - target) ** 2) + eta["cost"] * jnp.mean(value**2), ()


def other_loss(params: Params, frozen: Frozen, eta: Eta, batch: Batch) -> tuple[Scalar, tuple]:
    """An outer loss unlike the inner one, so that no compiler can merge their gradients."""
    return jnp.mean((network(params, batch.observation) - batch.reward) ** 2), ()


def rule(eta: Eta) -> optax.GradientTransformation:
    """Adam, all constants of which may be metaparameters."""
    return adam(eta["learning_rate"], b1=eta["adam_b1"], b2=eta["adam_b2"], eps=eta["adam_eps"])


def first_tuned(count: int) -> Spec:
    """The first `count` numbers as metaparameters, the others as constants."""
    return {
        name: MetaParam(value, constraint) if index < count else value
        for index, (name, (value, constraint)) in enumerate(VALUES.items())
    }


def build(width: int, batch: int, unroll: int, spec: Spec) -> Workload:
    """Parameters, data and a learner of one size."""
    *keys, data_key, validation_key = jax.random.split(jax.random.key(0), LAYERS + 2)
    params = [
        {"weight": jax.random.normal(key, (n, m)) / n**0.5, "bias": jnp.zeros(m)}
        for key, (n, m) in zip(keys, layer_sizes(width), strict=True)
    ]
    learning = learner(loss, rule)
    state = learning.init(params, values(spec))
    batches = _batch(data_key, unroll, batch, width)
    return Workload(width, batch, spec, learning, state, batches, _batch(validation_key, batch, width))


def _batch(key: PRNGKey, *shape: int) -> Batch:
    observation_key, reward_key, value_key = jax.random.split(key, 3)
    column = (*shape[:-1], 1)
    return Batch(
        jax.random.normal(observation_key, shape),
        jax.random.normal(reward_key, column),
        jax.random.normal(value_key, column),
    )
