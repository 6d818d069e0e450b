"""A ball that falls, and a paddle that is to stand where it lands."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from selftune.envs.native import Environment
from selftune.envs.worlds import drawing
from selftune.spaces import Box, Discrete
from selftune.types import Array, Float, Int, PRNGKey

ROWS, COLUMNS = 10, 5


class Params(NamedTuple):
    """Physics of `catch`."""

    wind: float = 0.0
    """Probability that a falling ball is blown one column aside, to either side alike; the edges hold it."""


class State(NamedTuple):
    """Where ball and paddle are; the ball's row is the time, the paddle's row the last."""

    ball: Int[Array, ""]
    paddle: Int[Array, ""]
    time: Int[Array, ""]


def catch() -> Environment:
    """Catch a falling ball.

    The game of bsuite (Osband et al. 2020, arXiv:1908.03568): the ball starts in a random column of the first row
    and falls one row a step; when it reaches the last row, after 9 steps, the episode terminates and pays 1 if the
    paddle stands in its column and -1 if not. The paddle starts in the middle.

    Returns:
        An environment that observes [10, 5]: 1 where ball and paddle are, 0 elsewhere; and has three actions:
        left, stay, right.
    """
    return Environment("catch", Params(), Box((ROWS, COLUMNS)), Discrete(3), _reset, _step, _render)


def _reset(key: PRNGKey, params: Params) -> tuple[Float[Array, "10 5"], State]:
    ball = jax.random.randint(key, (), 0, COLUMNS, jnp.int32)
    state = State(ball, jnp.int32(COLUMNS // 2), jnp.int32(0))
    return _observe(state), state


def _step(key: PRNGKey, state: State, action: Int[Array, ""], params: Params):
    gust, side = jax.random.split(key)
    blown = jax.random.bernoulli(gust, params.wind) * (2 * jax.random.bernoulli(side) - 1)
    state = State(
        ball=jnp.clip(state.ball + blown, 0, COLUMNS - 1),
        paddle=jnp.clip(state.paddle + action - 1, 0, COLUMNS - 1),
        time=state.time + 1,
    )
    landed = state.time >= ROWS - 1
    outcome = jnp.where(state.ball == state.paddle, jnp.float32(1.0), jnp.float32(-1.0))
    reward = jnp.where(landed, outcome, jnp.float32(0.0))
    return _observe(state), state, reward, landed, jnp.zeros((), bool), {}


def _observe(state: State) -> Float[Array, "10 5"]:
    board = jnp.zeros((ROWS, COLUMNS), jnp.float32)
    return board.at[state.time, state.ball].set(1.0).at[ROWS - 1, state.paddle].set(1.0)


def _render(state: State, params: Params) -> drawing.Image:
    board = np.full((ROWS, COLUMNS, 3), 255, np.uint8)
    board[ROWS - 1, int(state.paddle)] = drawing.BLUE
    board[int(state.time), int(state.ball)] = drawing.RED
    return drawing.tiles(board)
