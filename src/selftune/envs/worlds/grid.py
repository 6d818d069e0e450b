"""Grid worlds: rooms to find a goal in, and two objects whose worth must be found out again and again."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from selftune.envs.native import Environment
from selftune.envs.worlds import drawing
from selftune.spaces import Box, Discrete
from selftune.types import Array, Bool, Float, Int, PRNGKey

MOVES = np.array([(-1, 0), (0, 1), (1, 0), (0, -1)], np.int32)
"""Up, right, down, left, as (row, column)."""

ROOMS = (
    "#############",
    "#     #     #",
    "#     #     #",
    "#           #",
    "#     #     #",
    "#     #     #",
    "## ####     #",
    "#     ### ###",
    "#     #     #",
    "#     #     #",
    "#           #",
    "#     #     #",
    "#############",
)
WALLS = np.array([[cell == "#" for cell in row] for row in ROOMS])
HEIGHT, WIDTH = WALLS.shape

SIDE = 5
"""Rows and columns of `two_colors`."""


class RoomsParams(NamedTuple):
    """Physics of `four_rooms`."""

    slip_probability: float = 1.0 / 3.0
    """Of moving in one of the other three directions."""
    goal_row: int = 11
    goal_column: int = 11
    """The goal must be no wall: rows and columns from 1 to 11."""
    max_steps: int = 500


class RoomsState(NamedTuple):
    """Where one stands."""

    position: Int[Array, " 2"]
    """Row and column."""
    time: Int[Array, ""]


def four_rooms() -> Environment:
    """Find the goal in four rooms with a door between each two neighbours.

    The world of Sutton, Precup & Singh 1999, Between MDPs and semi-MDPs. One starts anywhere but at the goal; walls
    hold. Reaching the goal pays 1 and terminates the episode; it is truncated after `max_steps`.

    Returns:
        An environment that observes the number of the cell, 13 row + column, and has four actions: up, right, down,
        left.
    """
    observations = Discrete(HEIGHT * WIDTH)
    return Environment("four_rooms", RoomsParams(), observations, Discrete(4), _reset_rooms, _step_rooms, _render_rooms)


def _reset_rooms(key: PRNGKey, params: RoomsParams) -> tuple[Int[Array, ""], RoomsState]:
    goal = _number(_goal(params), WIDTH)
    free = jnp.asarray(~WALLS.ravel()) & (jnp.arange(WALLS.size) != goal)
    cell = jnp.argmax(jnp.where(free, jax.random.uniform(key, free.shape, jnp.float32), -1.0))
    state = RoomsState(_position(cell, WIDTH), jnp.int32(0))
    return _number(state.position, WIDTH), state


def _step_rooms(key: PRNGKey, state: RoomsState, action: Int[Array, ""], params: RoomsParams):
    slip_key, turn_key = jax.random.split(key)
    slips = jax.random.bernoulli(slip_key, params.slip_probability)
    turn = jnp.where(slips, jax.random.randint(turn_key, (), 1, 4, jnp.int32), 0)
    target = state.position + jnp.asarray(MOVES)[(action + turn) % 4]
    blocked = jnp.asarray(WALLS)[target[0], target[1]]
    state = RoomsState(jnp.where(blocked, state.position, target), state.time + 1)
    arrived = (state.position == _goal(params)).all()
    reward = arrived.astype(jnp.float32)
    return _number(state.position, WIDTH), state, reward, arrived, state.time >= params.max_steps, {}


def _goal(params: RoomsParams) -> Int[Array, " 2"]:
    return jnp.stack([jnp.asarray(params.goal_row), jnp.asarray(params.goal_column)])


def _render_rooms(state: RoomsState, params: RoomsParams) -> drawing.Image:
    board = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    board[WALLS] = drawing.BLACK
    board[int(params.goal_row), int(params.goal_column)] = drawing.GREEN
    board[tuple(np.asarray(state.position))] = drawing.BLUE
    return drawing.tiles(board)


class ColorsParams(NamedTuple):
    """Physics of `two_colors`."""

    blue_reward: float = 1.0
    """For collecting the blue object; the red one pays its negative. A change of sign swaps the roles."""
    step_cost: float = 0.04
    """Of a step that collects nothing."""
    respawn_all: bool = False
    """Whether a collection places agent and objects anew, all of them, or the collected object alone."""


class ColorsState(NamedTuple):
    """Where agent and objects are, by row and column."""

    agent: Int[Array, " 2"]
    objects: Int[Array, "2 2"]
    """Blue, then red."""
    time: Int[Array, ""]


def two_colors() -> Environment:
    """Collect the one object and avoid the other, without being told which is which.

    The world of Flennerhag et al. 2022 (arXiv:2109.04504, section 5.1), 5 by 5, where the roles of the objects swap
    every 100 000 steps: here a change of `blue_reward`. Observations as in Luketina et al. 2022 (PMLR 199, appendix
    A.2.1), who give no step cost and place everything anew; re-implementations charge 0.04 and replace what was
    collected alone, which is the default. Nobody shares a cell; the borders hold. There are no episodes.

    Returns:
        An environment that observes [30]: row and column of agent, blue and red object, each one-hot; and has four
        actions: up, right, down, left.
    """
    return Environment(
        "two_colors", ColorsParams(), Box((6 * SIDE,)), Discrete(4), _reset_colors, _step_colors, _render_colors
    )


def _reset_colors(key: PRNGKey, params: ColorsParams) -> tuple[Float[Array, " 30"], ColorsState]:
    cells = _position(jax.lax.top_k(jax.random.uniform(key, (SIDE**2,), jnp.float32), 3)[1], SIDE)
    state = ColorsState(cells[0], cells[1:], jnp.int32(0))
    return _observe_colors(state), state


def _step_colors(key: PRNGKey, state: ColorsState, action: Int[Array, ""], params: ColorsParams):
    agent = jnp.clip(state.agent + jnp.asarray(MOVES)[action], 0, SIDE - 1)
    collected = (state.objects == agent[None]).all(axis=1)
    worth = params.blue_reward * (collected[0].astype(jnp.float32) - collected[1])
    reward = jnp.where(collected.any(), worth, -params.step_cost)
    state = _respawn(key, ColorsState(agent, state.objects, state.time + 1), collected, params)
    never = jnp.zeros((), bool)
    return _observe_colors(state), state, reward, never, never, {}


def _respawn(key: PRNGKey, state: ColorsState, collected: Bool[Array, " 2"], params: ColorsParams) -> ColorsState:
    """Place anew what was collected, or everything, in cells that are free."""
    scores = jax.random.uniform(key, (SIDE**2,), jnp.float32)
    everything = _position(jax.lax.top_k(scores, 3)[1], SIDE)
    taken = _number(jnp.concatenate([state.agent[None], state.objects]), SIDE)
    free = _position(jnp.argmax(scores.at[taken].set(-1.0)), SIDE)
    all_anew = collected.any() & params.respawn_all
    replaced = jnp.where(collected[:, None], free[None], state.objects)
    agent = jnp.where(all_anew, everything[0], state.agent)
    return ColorsState(agent, jnp.where(all_anew, everything[1:], replaced), state.time)


def _observe_colors(state: ColorsState) -> Float[Array, " 30"]:
    positions = jnp.concatenate([state.agent[None], state.objects])
    return jax.nn.one_hot(positions, SIDE, dtype=jnp.float32).reshape(6 * SIDE)


def _render_colors(state: ColorsState, params: ColorsParams) -> drawing.Image:
    board = np.full((SIDE, SIDE, 3), 255, np.uint8)
    for position, colour in zip(np.asarray(state.objects), (drawing.BLUE, drawing.RED), strict=True):
        board[tuple(position)] = colour
    board[tuple(np.asarray(state.agent))] = drawing.BLACK
    return drawing.tiles(board)


def _number(position: Int[Array, "... 2"], width: int) -> Int[Array, "..."]:
    """Cells counted row by row."""
    return position[..., 0] * width + position[..., 1]


def _position(number: Int[Array, "..."], width: int) -> Int[Array, "... 2"]:
    """Row and column of a cell."""
    return jnp.stack(jnp.divmod(number.astype(jnp.int32), width), axis=-1)
