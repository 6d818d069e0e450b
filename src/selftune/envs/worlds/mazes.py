"""Two objects in a room of nine cells: small enough to enumerate."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from selftune.envs.native import Environment
from selftune.envs.worlds.grid import MOVES
from selftune.spaces import Box, Discrete
from selftune.types import Array, Float, Int, PRNGKey

SIDE = 3
LENGTH = 8
"""Steps of an episode."""


class Params(NamedTuple):
    """Physics of `maze`."""

    blue_reward: float = 1.0
    """For reaching the blue object; the green one pays its negative. A change of sign swaps the roles."""
    step_cost: float = 0.04
    """Of a step that reaches nothing."""
    reward_noise: float = 0.0
    """Standard deviation of what is added to every reward."""


class State(NamedTuple):
    """Where agent and objects are, as the numbers of their cells, counted row by row."""

    places: Int[Array, " 3"]
    """Agent, blue, green; all different."""
    time: Int[Array, ""]


def maze() -> Environment:
    """Reach the one object and avoid the other, in a room of 3 by 3 cells and within eight steps.

    The world in which Vuorio et al. 2022 (arXiv:2209.11303, and its code) compare meta-gradients with finite
    differences. An object that is reached is placed anew in a free cell; borders hold; the episode terminates after 8
    steps, whose number is seen.

    Returns:
        An environment that observes [26]: row and column of agent, blue and green object, each one-hot, and the time,
        one-hot; and has four actions: up, right, down, left.
    """
    return Environment("maze", Params(), Box((6 * SIDE + LENGTH,)), Discrete(4), _reset, _step)


def moved(place: Int[Array, ""], action: Int[Array, ""]) -> Int[Array, ""]:
    """The cell that a move leads to."""
    row, column = jnp.clip(jnp.stack(jnp.divmod(place, SIDE)) + jnp.asarray(MOVES)[action], 0, SIDE - 1)
    return (row * SIDE + column).astype(jnp.int32)


def worth(params: Params, agent: Int[Array, ""], objects: Int[Array, " 2"]) -> Float[Array, ""]:
    """What standing in a cell pays, without noise."""
    blue, green = objects == agent
    paid = params.blue_reward * (blue.astype(jnp.float32) - green)
    return jnp.where(blue | green, paid, -jnp.float32(params.step_cost))


def _reset(key: PRNGKey, params: Params) -> tuple[Float[Array, " 26"], State]:
    places = jax.lax.top_k(jax.random.uniform(key, (SIDE**2,), jnp.float32), 3)[1].astype(jnp.int32)
    state = State(places, jnp.int32(0))
    return _observe(state), state


def _step(key: PRNGKey, state: State, action: Int[Array, ""], params: Params):
    place_key, noise_key = jax.random.split(key)
    agent, objects = moved(state.places[0], action), state.places[1:]
    noise = params.reward_noise * jax.random.normal(noise_key, (), jnp.float32)
    reward = worth(params, agent, objects) + noise
    scores = jax.random.uniform(place_key, (SIDE**2,), jnp.float32)
    free = jnp.argmax(scores.at[jnp.append(objects, agent)].set(-1.0)).astype(jnp.int32)
    objects = jnp.where(objects == agent, free, objects)
    state = State(jnp.concatenate([agent[None], objects]), state.time + 1)
    return _observe(state), state, reward, state.time >= LENGTH, jnp.zeros((), bool), {}


def _observe(state: State) -> Float[Array, " 26"]:
    positions = jnp.stack(jnp.divmod(state.places, SIDE), axis=-1)
    seen = jax.nn.one_hot(positions, SIDE, dtype=jnp.float32).reshape(6 * SIDE)
    return jnp.concatenate([seen, jax.nn.one_hot(state.time, LENGTH, dtype=jnp.float32)])
