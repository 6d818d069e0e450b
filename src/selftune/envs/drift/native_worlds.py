"""Worlds written in JAX that change: a schedule over the fields of their `params`, evaluated inside the program."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from selftune.envs.drift import outer_maps
from selftune.envs.drift.schedule import Change, Drift
from selftune.envs.native import Environment, unchanged
from selftune.errors import SettingError, did_you_mean
from selftune.types import Array, PRNGKey, PyTree


class Mapped(NamedTuple):
    """The physics of a world that is seen, paid or acted in through maps."""

    world: PyTree
    maps: dict[str, Any]
    """By name; those that change."""
    clock: Any
    """The environment step whose levels observations announce; an empty tuple where they announce nothing."""


def drifting(env: Environment, drift: Drift) -> Environment:
    """The same world, whose physics follow a schedule.

    Whoever drives the world asks for `env.physics(params, step)` before each step, with the environment steps taken so
    far. Fields of `params` keep their types: what a whole number is to become is rounded. The world is wrapped only
    where a map outside of its physics is named, or changes are announced; without any change it is returned as it is.

    Args:
        env: The world.
        drift: What changes, and when.

    Raises:
        SettingError: A field that this world does not have, with the list of those that it has; or one that cannot
            change as asked.
    """
    if not drift.changes:
        return env
    inside, outside = physics_of(env), outer_maps.neutral(env.observation_space, env.action_space)
    for change in drift.changes:
        check(env.name, change, {**outside, **inside})
    maps = {change.field: outside[change.field] for change in drift.changes if change.field not in inside}
    if not maps and not drift.announced:
        return env._replace(physics=lambda params, step: _moved(env.physics(params, step), drift, step))
    return _mapped(env, drift, maps)


def held(env: Environment, step: int) -> Environment:
    """The world as it is at an environment step, standing still."""
    return env._replace(params=env.physics(env.params, jnp.int32(step)), physics=unchanged, ahead=unchanged)


def physics_of(env: Environment) -> dict[str, Any]:
    """The fields of a world's `params` that are numbers or arrays of numbers, by name."""
    params = env.params
    if hasattr(params, "_asdict"):
        told = params._asdict()
    elif is_dataclass(params):
        told = {entry.name: getattr(params, entry.name) for entry in fields(params)}
    else:
        told = {}
    return {name: value for name, value in told.items() if _numeric(value)}


def fields_of(env: Environment) -> dict[str, Any]:
    """Everything that can change about a world, by name, as it is when nothing does."""
    return {**physics_of(env), **outer_maps.neutral(env.observation_space, env.action_space)}


def check(name: str, change: Change, known: Mapping[str, Any]) -> None:
    """Nothing, if a change can be made.

    Raises:
        SettingError: There is no such field, or factors of it mean nothing.
    """
    if change.field not in known:
        advice = did_you_mean(change.field, known)
        raise SettingError(f"Nothing called {change.field!r} can change in {name}; {advice}")
    own = np.asarray(known[change.field])
    if change.factors is not None and (own.dtype == bool or not own.any()):
        raise SettingError(
            f"{change.field} is {known[change.field]!r:.60} in {name}: factors of it would change nothing. Give values."
        )


def _mapped(env: Environment, drift: Drift, maps: dict[str, Any]) -> Environment:
    """The world behind its maps."""
    entries = len(drift.changes) if drift.announced else 0
    space = outer_maps.announced_space(env.observation_space, entries) if entries else env.observation_space

    def see(params: Mapped, observation: Array) -> Array:
        seen = outer_maps.observe(params.maps, observation)
        if not entries:
            return seen
        told = drift.announce(params.clock)
        return jnp.concatenate([seen, jnp.stack([jnp.asarray(one, seen.dtype) for one in told])])

    def reset(key: PRNGKey, params: Mapped) -> tuple[Array, PyTree]:
        observation, state = env.reset(key, params.world)
        return see(params, observation), state

    def step(key: PRNGKey, state: PyTree, action: Any, params: Mapped) -> tuple:
        action = outer_maps.act(params.maps, env.action_space, action, jnp)
        observation, state, reward, *ends = env.step(key, state, action, params.world)
        return see(params, observation), state, outer_maps.earn(params.maps, reward), *ends

    def render(state: PyTree, params: Mapped) -> Any:
        assert env.render is not None
        return env.render(state, params.world)

    def physics(params: Mapped, step: Any) -> Mapped:
        world = _moved(env.physics(params.world, step), drift, step)
        return Mapped(world, _levelled(params.maps, drift, step), step if entries else ())

    def ahead(params: Mapped, steps: Any) -> Mapped:
        clock = params.clock + steps if entries else ()
        return params._replace(world=env.ahead(params.world, steps), clock=clock)

    return env._replace(
        params=Mapped(env.params, maps, 0 if entries else ()),
        observation_space=space,
        reset=reset,
        step=step,
        render=None if env.render is None else render,
        physics=physics,
        ahead=ahead,
    )


def _moved(params: PyTree, drift: Drift, step: Any) -> PyTree:
    """The physics at a step."""
    named = {change.field for change in drift.changes}
    own = {name: getattr(params, name) for name in named if hasattr(params, name)}
    values = _levelled(own, drift, step)
    if not values:
        return params
    return params._replace(**values) if hasattr(params, "_replace") else replace(params, **values)


def _levelled(own: Mapping[str, Any], drift: Drift, step: Any) -> dict[str, Any]:
    """The fields in `own` as they are at a step, in their own types and shapes."""
    return {
        change.field: _typed(jnp.asarray(own[change.field]), change, drift.level(change, step))
        for change in drift.changes
        if change.field in own
    }


def _typed(own: Array, change: Change, level: Any) -> Array:
    value = own * level if change.factors is not None else jnp.broadcast_to(jnp.asarray(level), own.shape)
    if own.dtype == bool:
        return value >= 0.5
    return (jnp.round(value) if jnp.issubdtype(own.dtype, jnp.integer) else value).astype(own.dtype)


def _numeric(value: Any) -> bool:
    return isinstance(value, bool | int | float) or (hasattr(value, "dtype") and np.dtype(value.dtype).kind in "biuf")
