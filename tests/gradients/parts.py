"""What the rows of the gradient matrix are made of: what a row is, small networks, transitions.

Every network has a unit that is always off, so that some gradients are exactly zero.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from selftune.learning import LearnerState, Memory
from selftune.learning.inner_loop import NO_MEMORY
from selftune.metaparams import MetaParam
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


def params(seed: int = 0):
    """Two tanh units and one that is always off; a value and two logits."""
    body, head = jax.random.split(jax.random.key(seed))
    return {"body": jax.random.normal(body, (3, 3)), "head": jax.random.normal(head, (3, 3))}


def network(params, x):
    """[..., 2] -> [..., 3]."""
    first = x @ params["body"][:2] + jnp.broadcast_to(params["body"][2], (*x.shape[:-1], 3))
    hidden = jnp.concatenate([jnp.tanh(first[..., :2]), jax.nn.relu(first[..., 2:] - 100.0)], axis=-1)
    return hidden @ params["head"]


def value(params, x):
    return network(params, x)[..., 0]


def logits(params, x):
    return network(params, x)[..., 1:]


def mean_square(error):
    return jnp.square(error).mean()


def transitions() -> Transitions:
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
