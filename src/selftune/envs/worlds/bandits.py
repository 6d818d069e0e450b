"""A bandit whose best arm can wander."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from selftune.envs.native import Environment
from selftune.errors import SettingError
from selftune.spaces import Box, Discrete
from selftune.types import Array, Float, Int, PRNGKey


class Params(NamedTuple):
    """Physics of `bandit`."""

    best_arm: float = 0.0
    """Where the best mean is on the circle of arms; between two arms both share it. It counts modulo the arms."""
    best_mean: float = 1.0
    worst_mean: float = 0.0
    """Of the arm opposite the best one; in between, means fall in proportion to the distance."""
    noise: float = 0.5
    """Standard deviation of a reward about its mean."""


class State(NamedTuple):
    """How many arms were pulled."""

    time: Int[Array, ""]


def bandit(arms: int = 10) -> Environment:
    """Pull the arm with the highest mean.

    The arms stand on a circle. A rotation of `best_arm`, sudden or gradual, makes another arm the best; drifts of
    `noise` and of the means change how hard it is to find. There are no episodes.

    Args:
        arms: number of arms, at least 2.

    Returns:
        An environment that observes [1], always 1, and has an action for each arm.

    Raises:
        SettingError: if there are fewer than 2 arms.
    """
    if arms < 2:
        raise SettingError(f"Got {arms} arms, expected at least 2: with one there is nothing to choose.")

    def reset(key: PRNGKey, params: Params) -> tuple[Float[Array, " 1"], State]:
        return jnp.ones(1, jnp.float32), State(jnp.int32(0))

    def step(key: PRNGKey, state: State, action: Int[Array, ""], params: Params):
        mean = means(params, arms)[action]
        reward = mean + params.noise * jax.random.normal(key, (), jnp.float32)
        never = jnp.zeros((), bool)
        return jnp.ones(1, jnp.float32), State(state.time + 1), reward, never, never, {}

    return Environment("bandit", Params(), Box((1,)), Discrete(arms), reset, step)


def means(params: Params, arms: int) -> Float[Array, " arms"]:
    """The mean reward of every arm."""
    apart = jnp.mod(jnp.arange(arms, dtype=jnp.float32) - params.best_arm, arms)
    distance = jnp.minimum(apart, arms - apart) / (arms / 2)
    return jnp.asarray(params.best_mean + (params.worst_mean - params.best_mean) * distance, jnp.float32)
