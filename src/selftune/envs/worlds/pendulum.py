"""A pendulum, to be swung up and held by a torque that is too weak to lift it at once."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from selftune.envs.native import Environment
from selftune.envs.worlds import drawing
from selftune.spaces import Box
from selftune.types import Array, Bool, Float, Int, PRNGKey, Scalar


class Params(NamedTuple):
    """Physics of `pendulum`, in units of metre, kilogram and second."""

    gravity: float = 10.0
    mass: float = 1.0
    length: float = 1.0
    max_torque: float = 2.0
    """What the motor gives at most; actions beyond it are clipped. They reach 2 in size, so that more changes
    nothing."""
    max_speed: float = 8.0
    tau: float = 0.05
    """Time between two steps."""
    max_steps: int = 200


class State(NamedTuple):
    """How the pendulum swings."""

    angle: Scalar
    """From upright, in [-π, π)."""
    velocity: Scalar
    time: Int[Array, ""]


def pendulum() -> Environment:
    """Swing a pendulum up and keep it there.

    The dynamics of Gymnasium's Pendulum-v1. A step costs angle² + 0.1 velocity² + 0.001 torque², all before the
    step. No episode terminates; each is truncated after `max_steps`.

    Returns:
        An environment that observes [3]: cosine and sine of the angle, velocity; and acts by a torque [1].
    """
    return Environment("pendulum", Params(), Box((3,)), Box((1,), low=(-2.0,), high=(2.0,)), _reset, _step, _render)


def _reset(key: PRNGKey, params: Params) -> tuple[Float[Array, " 3"], State]:
    angle, velocity = jax.random.uniform(key, (2,), jnp.float32, -1.0, 1.0)
    state = State(math.pi * angle, velocity, jnp.int32(0))
    return _observe(state), state


def _step(key: PRNGKey, state: State, action: Float[Array, " 1"], params: Params):
    torque = jnp.clip(action[0], -params.max_torque, params.max_torque)
    cost = state.angle**2 + 0.1 * state.velocity**2 + 0.001 * torque**2
    fall = 1.5 * params.gravity / params.length * jnp.sin(state.angle)
    drive = 3.0 / (params.mass * params.length**2) * torque
    velocity = jnp.clip(state.velocity + params.tau * (fall + drive), -params.max_speed, params.max_speed)
    angle = state.angle + params.tau * velocity
    state = State((angle + math.pi) % (2.0 * math.pi) - math.pi, velocity, state.time + 1)
    return _observe(state), state, -cost, _never(), state.time >= params.max_steps, {}


def _never() -> Bool[Array, ""]:
    return jnp.zeros((), bool)


def _observe(state: State) -> Float[Array, " 3"]:
    return jnp.stack([jnp.cos(state.angle), jnp.sin(state.angle), state.velocity])


def _render(state: State, params: Params) -> drawing.Image:
    on = drawing.canvas((-1.3, 1.3), (-1.3, 1.3))
    angle, length = float(state.angle), float(params.length)
    # Gymnasium's angle grows counterclockwise as it is drawn.
    drawing.line(on, (0.0, 0.0), (-length * math.sin(angle), length * math.cos(angle)), 0.2, drawing.RED)
    drawing.disc(on, (0.0, 0.0), 0.05, drawing.BLACK)
    return on.image
