"""Gymnax's environments (https://github.com/RobertTLange/gymnax) as worlds that never reset by themselves.

Gymnax's `step` begins a new episode in the call that ends one and returns its first observation in place of the true
successor; `step_env` and `reset_env`, which it wraps, do not. Since gymnax 1.0 one asks for the time limit apart;
before, `done` stands for either end.
"""

from functools import partial
from typing import Any

import jax.numpy as jnp

from selftune.envs.encoding import describe_actions, describe_observations
from selftune.envs.extras import making, require
from selftune.envs.native import Environment
from selftune.errors import SettingError, did_you_mean
from selftune.spaces import Box, Space
from selftune.types import Array, PRNGKey, PyTree

FOREVER = 2**31 - 1
"""More steps than any episode has."""


def from_gymnax(name: str) -> Environment:
    """An environment of gymnax, from 0.0.9 or from 1.0 on.

    Args:
        name: Gymnax's own, such as "Breakout-MinAtar".

    Returns:
        A world whose `params` are gymnax's. A Box is observed as float32, whatever gymnax declares. An episode that
        reaches `max_steps_in_episode` is truncated.

    Raises:
        SettingError: Gymnax has no such environment, or cannot make it.
        UnsupportedSpaceError: A space is neither Discrete nor a Box (of one axis, for actions).
        MissingExtraError: Gymnax, or a package that this environment needs, is not installed.
    """
    gymnax = require("gymnax", "gymnax")
    translate = require("gymnax.environments.spaces", "gymnax").gymnax_space_to_gym_space
    if name not in gymnax.registered_envs:
        raise SettingError(f"Gymnax has no environment {name!r}; {did_you_mean(name, gymnax.registered_envs)}")
    with making(f"gymnax:{name}"):
        env, params = gymnax.make(name)
    observation_space = _observed(describe_observations(translate(env.observation_space(params))))
    action_space = describe_actions(translate(env.action_space(params)))
    dtype = observation_space.dtype if isinstance(observation_space, Box) else "int32"
    move = partial(_move if hasattr(env, "is_truncated") else _move_before_1_0, env)

    def reset(key: PRNGKey, params: PyTree) -> tuple[Array, PyTree]:
        observation, state = env.reset_env(key, params)
        return jnp.asarray(observation, dtype), state

    def step(key: PRNGKey, state: PyTree, action: Array, params: PyTree) -> tuple:
        observation, state, reward, terminated, truncated, info = move(key, state, action, params)
        ends = jnp.asarray(terminated, bool), jnp.asarray(truncated, bool)
        return jnp.asarray(observation, dtype), state, jnp.asarray(reward, jnp.float32), *ends, info

    return Environment(f"gymnax:{name}", params, observation_space, action_space, reset, step)


def _observed(space: Space) -> Space:
    """A few of gymnax's environments give floats where they declare integers, or the other way round."""
    return space._replace(dtype="float32") if isinstance(space, Box) else space


def _move(env: Any, key: PRNGKey, state: PyTree, action: Array, params: PyTree) -> tuple:
    """One step where the environment knows its time limit apart."""
    observation, state, reward, terminated, info = env.step_env(key, state, action, params)
    return observation, state, reward, terminated, env.is_truncated(state, params), info


def _move_before_1_0(env: Any, key: PRNGKey, state: PyTree, action: Array, params: PyTree) -> tuple:
    """One step where `done` may be either end: it terminated if it is done without a time limit as well.

    The state would not tell: MinAtar's keeps `done`, time limit included. What both steps share is compiled once.
    """
    observation, successor, reward, done, info = env.step_env(key, state, action, params)
    terminated = env.step_env(key, state, action, params.replace(max_steps_in_episode=FOREVER))[3]
    return observation, successor, reward, terminated, done & ~terminated, info
