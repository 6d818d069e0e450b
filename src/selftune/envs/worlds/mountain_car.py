"""A car between two hills, too weak to climb the right one without a run-up."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from selftune.envs.native import Environment
from selftune.envs.worlds import drawing
from selftune.spaces import Box, Discrete
from selftune.types import Array, Bool, Float, Int, PRNGKey, Scalar


class Params(NamedTuple):
    """Physics of `mountain_car`; the continuous one differs in `force`, `goal_position` and `max_steps`."""

    force: float = 0.001
    """What full throttle adds to the velocity in one step."""
    gravity: float = 0.0025
    min_position: float = -1.2
    """A wall that takes all velocity; the valley lies at -π/6."""
    max_position: float = 0.6
    max_speed: float = 0.07
    goal_position: float = 0.5
    goal_velocity: float = 0.0
    """What the car must have at least when it arrives."""
    max_steps: int = 200


class State(NamedTuple):
    """Where the car is."""

    position: Scalar
    velocity: Scalar
    time: Int[Array, ""]


def mountain_car() -> Environment:
    """Drive a weak car out of a valley, by three positions of the throttle.

    The dynamics of Gymnasium's MountainCar-v0 (Moore 1990, Efficient Memory-based Learning for Robot Control).
    Every step costs 1. An episode terminates at the goal, and is truncated after `max_steps`.

    Returns:
        An environment that observes [2]: position and velocity; and has three actions: left, coast, right.
    """
    return Environment("mountain_car", Params(), Box((2,)), Discrete(3), _reset, _step, _render)


def mountain_car_continuous() -> Environment:
    """Drive a weak car out of a valley, by a throttle in [-1, 1].

    The dynamics of Gymnasium's MountainCarContinuous-v0. The goal pays 100 and every step costs a tenth of the
    throttle squared. An episode terminates at the goal, and is truncated after `max_steps`.

    Returns:
        An environment that observes [2]: position and velocity; and acts by a throttle [1].
    """
    params = Params(force=0.0015, goal_position=0.45, max_steps=999)
    throttle = Box((1,), low=(-1.0,), high=(1.0,))
    return Environment("mountain_car_continuous", params, Box((2,)), throttle, _reset, _step_continuous, _render)


def _reset(key: PRNGKey, params: Params) -> tuple[Float[Array, " 2"], State]:
    state = State(jax.random.uniform(key, (), jnp.float32, -0.6, -0.4), jnp.float32(0.0), jnp.int32(0))
    return _observe(state), state


def _step(key: PRNGKey, state: State, action: Int[Array, ""], params: Params):
    state, arrived = _drive(state, (action - 1).astype(jnp.float32), params)
    return _observe(state), state, jnp.float32(-1.0), arrived, state.time >= params.max_steps, {}


def _step_continuous(key: PRNGKey, state: State, action: Float[Array, " 1"], params: Params):
    state, arrived = _drive(state, jnp.clip(action[0], -1.0, 1.0), params)
    reward = jnp.where(arrived, jnp.float32(100.0), jnp.float32(0.0)) - 0.1 * action[0] ** 2
    return _observe(state), state, reward, arrived, state.time >= params.max_steps, {}


def _drive(state: State, throttle: Scalar, params: Params) -> tuple[State, Bool[Array, ""]]:
    """Where the car is next, and whether that is the goal."""
    velocity = state.velocity + throttle * params.force - params.gravity * jnp.cos(3.0 * state.position)
    velocity = jnp.clip(velocity, -params.max_speed, params.max_speed)
    position = jnp.clip(state.position + velocity, params.min_position, params.max_position)
    stopped = (position == params.min_position) & (velocity < 0.0)
    velocity = jnp.where(stopped, 0.0, velocity)
    arrived = (position >= params.goal_position) & (velocity >= params.goal_velocity)
    return State(position, velocity, state.time + 1), arrived


def _observe(state: State) -> Float[Array, " 2"]:
    return jnp.stack([state.position, state.velocity])


def _render(state: State, params: Params) -> drawing.Image:
    on = drawing.canvas((float(params.min_position), float(params.max_position)), (0.0, 1.2))
    car, goal = float(state.position), float(params.goal_position)
    drawing.fill(on, on.y <= 0.55 + 0.45 * np.sin(3.0 * on.x), drawing.GREY)
    drawing.line(on, (goal, _height(goal)), (goal, _height(goal) + 0.15), 0.01, drawing.BLACK)
    drawing.rectangle(on, (goal + 0.03, _height(goal) + 0.13), (0.06, 0.04), drawing.RED)
    drawing.disc(on, (car, _height(car) + 0.04), 0.04, drawing.BLUE)
    return on.image


def _height(position: float) -> float:
    return 0.55 + 0.45 * math.sin(3.0 * position)
