"""Brax's robots (https://github.com/google/brax) as worlds with a time limit that never reset by themselves."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from selftune.envs.extras import require
from selftune.envs.native import Environment
from selftune.errors import SettingError, UnsupportedSpaceError
from selftune.spaces import Box
from selftune.types import Array, Int, PRNGKey, PyTree


class Params(NamedTuple):
    """What can change about a robot's world; its body is part of the program."""

    max_steps: int = 1000


class State(NamedTuple):
    """Where a robot is."""

    brax: Any
    """Brax's own state."""
    time: Int[Array, ""]


def from_brax(name: str, backend: str = "generalized") -> Environment:
    """An environment of brax, without the wrappers that reset it and count its steps.

    Args:
        name: Brax's own, such as "ant".
        backend: Its physics: "generalized", "spring", "positional" or "mjx".

    Returns:
        A world that acts by numbers in [-1, 1]. An episode terminates where brax says that it is done, such as a fall,
        and is truncated after `params.max_steps`.

    Raises:
        SettingError: Brax has no such environment, or not with this backend.
        UnsupportedSpaceError: Observations are not one vector.
        MissingExtraError: Brax is not installed.
    """
    envs = require("brax.envs", "brax")
    try:
        env = envs.get_environment(name, backend=backend)
    except (KeyError, ValueError) as error:
        raise SettingError(
            f"Brax cannot make {name!r} with the backend {backend!r} ({error!r}); expected one of its environments, "
            "such as ant, halfcheetah, hopper, humanoid, walker2d, and one of its backends: generalized, spring, "
            "positional, mjx."
        ) from error
    observed = jax.eval_shape(env.reset, jax.random.key(0)).obs
    if len(jax.tree.leaves(observed)) != 1 or len(getattr(observed, "shape", ())) != 1:
        raise UnsupportedSpaceError(f"Got the observations {observed} of brax's {name!r}, expected one vector.")
    size = env.action_size
    action_space = Box((size,), "float32", (-1.0,) * size, (1.0,) * size)

    @jax.jit  # one operation after the other, a robot takes most of a minute to stand up
    def reset(key: PRNGKey, params: Params) -> tuple[Array, State]:
        state = env.reset(key)
        return _observation(state), State(state, jnp.int32(0))

    def step(key: PRNGKey, state: State, action: Array, params: Params) -> tuple:
        moved, time = env.step(state.brax, action), state.time + 1
        reward, terminated = jnp.asarray(moved.reward, jnp.float32), jnp.asarray(moved.done, bool)
        return _observation(moved), State(moved, time), reward, terminated, time >= params.max_steps, {}

    return Environment(f"brax:{name}", Params(), Box(observed.shape), action_space, reset, step)


def _observation(state: PyTree) -> Array:
    return jnp.asarray(state.obs, jnp.float32)
