"""Decision processes drawn at random: one of a few states, and grids that are switched."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from selftune.envs.native import Environment
from selftune.envs.worlds.grid import MOVES
from selftune.errors import SettingError
from selftune.spaces import Discrete
from selftune.types import Array, Bool, Float, Int, PRNGKey


class RandomParams(NamedTuple):
    """Physics of `random_mdp`."""

    seed: int = 0
    """Which process: another seed draws other transitions and rewards."""
    concentration: float = 1.0
    """Of the Dirichlet distribution of transitions; small values make them nearly deterministic."""
    reward_noise: float = 0.1
    """Standard deviation of a reward about its mean."""
    max_steps: int = 100


class RandomState(NamedTuple):
    """Where one is."""

    place: Int[Array, ""]
    time: Int[Array, ""]


def random_mdp(states: int = 10, actions: int = 5) -> Environment:
    """A Markov decision process of a few states whose transitions and rewards are drawn at random.

    As in the toy experiments of Tang et al. 2021 (arXiv:2106.13125): p(.|x, a) is drawn from a symmetric Dirichlet
    distribution, the mean reward of (x, a) uniformly from [0, 1], and every episode starts in state 0. No episode
    terminates; each is truncated after `max_steps`.

    Args:
        states: how many, at least 1.
        actions: how many, at least 2.

    Returns:
        An environment that observes the number of the state, and has `actions` actions.

    Raises:
        SettingError: if there are too few states or actions.
    """
    if states < 1 or actions < 2:
        raise SettingError(f"Got {states} states and {actions} actions, expected at least 1 and 2.")

    def reset(key: PRNGKey, params: RandomParams) -> tuple[Int[Array, ""], RandomState]:
        return jnp.int32(0), RandomState(jnp.int32(0), jnp.int32(0))

    def step(key: PRNGKey, state: RandomState, action: Int[Array, ""], params: RandomParams):
        draw_key, noise_key = jax.random.split(key)
        transition, mean = _drawn(params, states, state.place * actions + action)
        place = jax.random.categorical(draw_key, jnp.log(transition)).astype(jnp.int32)
        reward = mean + params.reward_noise * jax.random.normal(noise_key, (), jnp.float32)
        state = RandomState(place, state.time + 1)
        return place, state, reward, jnp.zeros((), bool), state.time >= params.max_steps, {}

    return Environment("random_mdp", RandomParams(), Discrete(states), Discrete(actions), reset, step)


def tables(
    params: RandomParams, states: int = 10, actions: int = 5
) -> tuple[Float[Array, "X A X"], Float[Array, "X A"]]:
    """Transition probabilities and mean rewards of `random_mdp`, for exact expectations."""
    pairs = jnp.arange(states * actions, dtype=jnp.int32)
    transitions, means = jax.vmap(lambda pair: _drawn(params, states, pair))(pairs)
    return transitions.reshape(states, actions, states), means.reshape(states, actions)


def _drawn(params: RandomParams, states: int, pair: Int[Array, ""]) -> tuple[Float[Array, " X"], Float[Array, ""]]:
    """Transition probabilities and mean reward of one pair of a state and an action."""
    transition_key, reward_key = jax.random.split(jax.random.fold_in(jax.random.key(params.seed), pair))
    concentration = jnp.full(states, params.concentration, jnp.float32)
    transition = jax.random.dirichlet(transition_key, concentration, dtype=jnp.float32)
    return transition, jax.random.uniform(reward_key, (), jnp.float32)


class SwitchingParams(NamedTuple):
    """Physics of `switching_mdps`."""

    mdp: int = 0
    """Which of the processes is in force: the field that a drift switches."""
    seed: int = 0
    """Of the whole family."""
    max_walls: int = 15
    """Of one process; the number is drawn uniformly from 0 to this."""


class SwitchingState(NamedTuple):
    """Where one stands."""

    cell: Int[Array, ""]
    """Counted row by row."""
    time: Int[Array, ""]


def switching_mdps(side: int = 10) -> Environment:
    """A grid whose walls and rewards are switched for others, without announcement.

    The Switching MDPs of Luketina et al. 2022 (PMLR 199): in each of them up to 15 cells are walls, and a move `a` from
    cell `s` pays a number of its own, 0 in half of the cases, 1 and -1 in a fifth each, and else uniform in [-1, 1].
    Theirs switch every 100 000 steps among 4 or 1000 processes: here a change of `mdp`. Walls and borders hold; who
    stands where a switch puts a wall can leave and not return. There are no episodes. The side of the grid is ours.

    Args:
        side: rows and columns, at least 2.

    Returns:
        An environment that observes the number of the cell, and has four actions: up, right, down, left.

    Raises:
        SettingError: if the grid is smaller.
    """
    if side < 2:
        raise SettingError(f"Got a grid of side {side}, expected at least 2.")

    def reset(key: PRNGKey, params: SwitchingParams) -> tuple[Int[Array, ""], SwitchingState]:
        free = ~walls(params, side)
        cell = jnp.argmax(jnp.where(free, jax.random.uniform(key, free.shape, jnp.float32), -1.0)).astype(jnp.int32)
        return cell, SwitchingState(cell, jnp.int32(0))

    def step(key: PRNGKey, state: SwitchingState, action: Int[Array, ""], params: SwitchingParams):
        row, column = jnp.divmod(state.cell, side)
        row, column = jnp.stack([row, column]) + jnp.asarray(MOVES)[action]
        outside = (row < 0) | (row >= side) | (column < 0) | (column >= side)
        target = jnp.clip(row, 0, side - 1) * side + jnp.clip(column, 0, side - 1)
        blocked = outside | walls(params, side)[target]
        reward = _worth(params, state.cell * 4 + action)
        state = SwitchingState(jnp.where(blocked, state.cell, target).astype(jnp.int32), state.time + 1)
        never = jnp.zeros((), bool)
        return state.cell, state, reward, never, never, {}

    return Environment("switching_mdps", SwitchingParams(), Discrete(side**2), Discrete(4), reset, step)


def walls(params: SwitchingParams, side: int = 10) -> Bool[Array, " cells"]:
    """Which cells are walls; at least one is none."""
    count_key, place_key = jax.random.split(_family(params, 0))
    count = jnp.minimum(jax.random.randint(count_key, (), 0, params.max_walls + 1), side**2 - 1)
    rank = jnp.argsort(jnp.argsort(jax.random.uniform(place_key, (side**2,), jnp.float32)))
    return rank < count


def worths(params: SwitchingParams, side: int = 10) -> Float[Array, "cells 4"]:
    """What every move from every cell pays."""
    pairs = jnp.arange(side**2 * 4, dtype=jnp.int32)
    return jax.vmap(lambda pair: _worth(params, pair))(pairs).reshape(side**2, 4)


def _worth(params: SwitchingParams, pair: Int[Array, ""]) -> Float[Array, ""]:
    which_key, value_key = jax.random.split(jax.random.fold_in(_family(params, 1), pair))
    which = jax.random.uniform(which_key, (), jnp.float32)
    value = jax.random.uniform(value_key, (), jnp.float32, -1.0, 1.0)
    return jnp.select([which < 0.5, which < 0.7, which < 0.9], [jnp.float32(0.0), 1.0, -1.0], value).astype(jnp.float32)


def _family(params: SwitchingParams, part: int) -> PRNGKey:
    """The key of one process: of its walls or of its rewards."""
    return jax.random.fold_in(jax.random.fold_in(jax.random.key(params.seed), params.mdp), np.uint32(part))
