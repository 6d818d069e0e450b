"""A pole on a cart, to be kept upright by pushing the cart left or right."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from selftune.envs.native import Environment
from selftune.envs.worlds import drawing
from selftune.spaces import Box, Discrete
from selftune.types import Array, Float, Int, PRNGKey, Scalar


class Params(NamedTuple):
    """Physics of `cartpole`, in units of metre, kilogram and second."""

    gravity: float = 9.8
    cart_mass: float = 1.0
    pole_mass: float = 0.1
    half_length: float = 0.5
    """Half the length of the pole."""
    force: float = 10.0
    """How hard a push is."""
    tau: float = 0.02
    """Time between two steps."""
    position_threshold: float = 2.4
    angle_threshold: float = math.radians(12.0)
    max_steps: int = 500


class State(NamedTuple):
    """Where cart and pole are."""

    position: Scalar
    velocity: Scalar
    angle: Scalar
    """From the vertical, in radians; positive to the right."""
    angular_velocity: Scalar
    time: Int[Array, ""]


def cartpole() -> Environment:
    """Balance a pole on a cart.

    The dynamics of Gymnasium's CartPole-v1 (Euler's method; Barto, Sutton & Anderson 1983, equations as corrected
    by R. Florian, https://coneural.org/florian/papers/05_cart_pole.pdf). Every step pays 1, the last one too. An
    episode terminates where position or angle leave their thresholds, and is truncated after `max_steps`.

    Returns:
        An environment that observes [4]: position, velocity, angle, angular velocity; and has two actions: push
        left, push right.
    """
    return Environment("cartpole", Params(), Box((4,)), Discrete(2), _reset, _step, _render)


def _reset(key: PRNGKey, params: Params) -> tuple[Float[Array, " 4"], State]:
    state = State(*jax.random.uniform(key, (4,), jnp.float32, -0.05, 0.05), time=jnp.int32(0))
    return _observe(state), state


def _step(key: PRNGKey, state: State, action: Int[Array, ""], params: Params):
    velocity, angular_velocity = state.velocity, state.angular_velocity
    acceleration, angular_acceleration = _accelerations(state, jnp.where(action == 1, 1.0, -1.0), params)
    state = State(
        position=state.position + params.tau * velocity,
        velocity=velocity + params.tau * acceleration,
        angle=state.angle + params.tau * angular_velocity,
        angular_velocity=angular_velocity + params.tau * angular_acceleration,
        time=state.time + 1,
    )
    fallen = jnp.abs(state.angle) > params.angle_threshold
    terminated = fallen | (jnp.abs(state.position) > params.position_threshold)
    return _observe(state), state, jnp.float32(1.0), terminated, state.time >= params.max_steps, {}


def _accelerations(state: State, push: Scalar, params: Params) -> tuple[Scalar, Scalar]:
    """Of the cart and of the pole's angle, for a push of -1 or 1."""
    sine, cosine = jnp.sin(state.angle), jnp.cos(state.angle)
    mass = params.cart_mass + params.pole_mass
    moment = params.pole_mass * params.half_length
    drive = (push * params.force + moment * state.angular_velocity**2 * sine) / mass
    inertia = params.half_length * (4.0 / 3.0 - params.pole_mass * cosine**2 / mass)
    angular = (params.gravity * sine - cosine * drive) / inertia
    return drive - moment * angular * cosine / mass, angular


def _observe(state: State) -> Float[Array, " 4"]:
    return jnp.stack([state.position, state.velocity, state.angle, state.angular_velocity])


def _render(state: State, params: Params) -> drawing.Image:
    on = drawing.canvas((-2.4, 2.4), (-0.6, 2.0))
    cart, angle, length = float(state.position), float(state.angle), 2.0 * float(params.half_length)
    drawing.line(on, (-2.4, 0.0), (2.4, 0.0), 0.04, drawing.GREY)
    drawing.rectangle(on, (cart, 0.0), (0.5, 0.3), drawing.BLACK)
    tip = (cart + length * math.sin(angle), length * math.cos(angle))
    drawing.line(on, (cart, 0.0), tip, 0.1, drawing.BROWN)
    drawing.disc(on, (cart, 0.0), 0.05, drawing.BLUE)
    return on.image
