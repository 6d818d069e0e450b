"""Two links that hang from a pivot, to be swung up by a torque between them."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from selftune.envs.native import Environment
from selftune.envs.worlds import drawing
from selftune.spaces import Box, Discrete
from selftune.types import Array, Float, Int, PRNGKey, Scalar


class Params(NamedTuple):
    """Physics of `acrobot`, in units of metre, kilogram and second."""

    gravity: float = 9.8
    torque: float = 1.0
    """How hard the joint between the links can turn."""
    length_1: float = 1.0
    length_2: float = 1.0
    mass_1: float = 1.0
    mass_2: float = 1.0
    centre_of_mass_1: float = 0.5
    """Distance from the pivot."""
    centre_of_mass_2: float = 0.5
    """Distance from the joint."""
    moment_of_inertia: float = 1.0
    """Of each link."""
    max_velocity_1: float = 4.0 * math.pi
    max_velocity_2: float = 9.0 * math.pi
    goal_height: float = 1.0
    """Above the pivot; the tip must pass it."""
    tau: float = 0.2
    """Time between two steps."""
    max_steps: int = 500


class State(NamedTuple):
    """How the links hang."""

    joints: Float[Array, " 4"]
    """Angle of the first link from hanging down, angle of the second from the first, and their velocities."""
    time: Int[Array, ""]


def acrobot() -> Environment:
    """Swing the tip of a double pendulum above a height.

    The dynamics of Gymnasium's Acrobot-v1 (Sutton 1996; the equations of Sutton & Barto's book, one Runge-Kutta
    step of fourth order). Every step costs 1, but the one that reaches the goal, where an episode terminates; it
    is truncated after `max_steps`.

    Returns:
        An environment that observes [6]: cosine and sine of both angles, both velocities; and has three actions:
        torque of -1, 0 or 1 times `torque`.
    """
    return Environment("acrobot", Params(), Box((6,)), Discrete(3), _reset, _step, _render)


def _reset(key: PRNGKey, params: Params) -> tuple[Float[Array, " 6"], State]:
    state = State(jax.random.uniform(key, (4,), jnp.float32, -0.1, 0.1), jnp.int32(0))
    return _observe(state), state


def _step(key: PRNGKey, state: State, action: Int[Array, ""], params: Params):
    torque = (action - 1) * params.torque
    angle_1, angle_2, velocity_1, velocity_2 = _runge_kutta(state.joints, torque, params)
    joints = jnp.stack(
        [
            _wrap(angle_1),
            _wrap(angle_2),
            jnp.clip(velocity_1, -params.max_velocity_1, params.max_velocity_1),
            jnp.clip(velocity_2, -params.max_velocity_2, params.max_velocity_2),
        ]
    )
    state = State(joints, state.time + 1)
    height = -params.length_1 * jnp.cos(joints[0]) - params.length_2 * jnp.cos(joints[0] + joints[1])
    terminated = height > params.goal_height
    reward = jnp.where(terminated, jnp.float32(0.0), jnp.float32(-1.0))
    return _observe(state), state, reward, terminated, state.time >= params.max_steps, {}


def _runge_kutta(joints: Float[Array, " 4"], torque: Scalar, params: Params) -> Float[Array, " 4"]:
    """One step of the classical method of fourth order over `tau`."""
    slope_1 = _derivative(joints, torque, params)
    slope_2 = _derivative(joints + 0.5 * params.tau * slope_1, torque, params)
    slope_3 = _derivative(joints + 0.5 * params.tau * slope_2, torque, params)
    slope_4 = _derivative(joints + params.tau * slope_3, torque, params)
    return joints + params.tau / 6.0 * (slope_1 + 2.0 * slope_2 + 2.0 * slope_3 + slope_4)


def _derivative(joints: Float[Array, " 4"], torque: Scalar, p: Params) -> Float[Array, " 4"]:
    """Velocities and accelerations (Sutton & Barto, Reinforcement Learning, section 11.3 of the first edition)."""
    angle_1, angle_2, velocity_1, velocity_2 = joints
    sine, cosine = jnp.sin(angle_2), jnp.cos(angle_2)
    lever = p.mass_2 * p.length_1 * p.centre_of_mass_2
    own = p.mass_2 * p.centre_of_mass_2**2 + p.moment_of_inertia
    shared = own + lever * cosine
    both = (
        p.mass_1 * p.centre_of_mass_1**2 + p.mass_2 * p.length_1**2 + p.moment_of_inertia + own + 2.0 * lever * cosine
    )
    weight_2 = p.mass_2 * p.centre_of_mass_2 * p.gravity * jnp.sin(angle_1 + angle_2)
    weight_1 = (p.mass_1 * p.centre_of_mass_1 + p.mass_2 * p.length_1) * p.gravity * jnp.sin(angle_1) + weight_2
    load = weight_1 - lever * sine * velocity_2 * (velocity_2 + 2.0 * velocity_1)
    turned = torque + shared / both * load - lever * velocity_1**2 * sine - weight_2
    acceleration_2 = turned / (own - shared**2 / both)
    acceleration_1 = -(shared * acceleration_2 + load) / both
    return jnp.stack([velocity_1, velocity_2, acceleration_1, acceleration_2])


def _wrap(angle: Scalar) -> Scalar:
    """The same angle in [-π, π)."""
    return (angle + math.pi) % (2.0 * math.pi) - math.pi


def _observe(state: State) -> Float[Array, " 6"]:
    angles, velocities = state.joints[:2], state.joints[2:]
    return jnp.concatenate([jnp.stack([jnp.cos(angles), jnp.sin(angles)], axis=1).reshape(4), velocities])


def _render(state: State, params: Params) -> drawing.Image:
    on = drawing.canvas((-2.4, 2.4), (-2.4, 2.4))
    first, second = float(state.joints[0]), float(state.joints[0] + state.joints[1])
    elbow = (params.length_1 * math.sin(first), -params.length_1 * math.cos(first))
    tip = (elbow[0] + params.length_2 * math.sin(second), elbow[1] - params.length_2 * math.cos(second))
    drawing.line(on, (-2.4, float(params.goal_height)), (2.4, float(params.goal_height)), 0.03, drawing.GREY)
    drawing.line(on, (0.0, 0.0), elbow, 0.2, drawing.BLUE)
    drawing.line(on, elbow, tip, 0.2, drawing.BROWN)
    drawing.disc(on, (0.0, 0.0), 0.08, drawing.BLACK)
    drawing.disc(on, elbow, 0.08, drawing.BLACK)
    return on.image
