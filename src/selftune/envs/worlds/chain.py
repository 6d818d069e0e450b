"""A chain of states: a small reward at hand, a large one far upstream."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from selftune.envs.native import Environment
from selftune.errors import SettingError
from selftune.spaces import Discrete
from selftune.types import Array, Int, PRNGKey


class Params(NamedTuple):
    """Physics of `chain`."""

    small_reward: float = 0.005
    """For a move to the left at the left end."""
    large_reward: float = 1.0
    """For a move to the right at the right end."""
    slip_probability: float = 0.1
    """Of moving the other way."""
    max_steps: int = 100


class State(NamedTuple):
    """How far along the chain."""

    position: Int[Array, ""]
    time: Int[Array, ""]


def chain(length: int = 6) -> Environment:
    """Walk along a chain, where only a long way to the right is worth while.

    After RiverSwim (Strehl & Littman 2008, An Analysis of Model-based Interval Estimation), with its rewards of
    5 and 10000 brought nearer each other and slips that are the same in both directions. One starts at the left end;
    a move against an end stays there and earns that end's reward. No episode terminates; each is truncated after
    `max_steps`.

    Args:
        length: number of states, at least 2.

    Returns:
        An environment that observes the state's number, and has two actions: left, right.

    Raises:
        SettingError: if the chain is shorter than 2.
    """
    if length < 2:
        raise SettingError(f"Got a chain of length {length}, expected at least 2: a left and a right end.")

    def reset(key: PRNGKey, params: Params) -> tuple[Int[Array, ""], State]:
        return jnp.int32(0), State(jnp.int32(0), jnp.int32(0))

    def step(key: PRNGKey, state: State, action: Int[Array, ""], params: Params):
        slips = jax.random.bernoulli(key, params.slip_probability)
        to_the_right = (action == 1) ^ slips
        small = params.small_reward * (~to_the_right & (state.position == 0))
        large = params.large_reward * (to_the_right & (state.position == length - 1))
        position = jnp.clip(state.position + jnp.where(to_the_right, 1, -1), 0, length - 1)
        state = State(position, state.time + 1)
        reward = jnp.asarray(small + large, jnp.float32)
        return position, state, reward, jnp.zeros((), bool), state.time >= params.max_steps, {}

    return Environment("chain", Params(), Discrete(length), Discrete(2), reset, step)
