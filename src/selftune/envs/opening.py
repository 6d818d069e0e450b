"""From a name to environments, wherever they come from.

cartpole               ours, written in JAX: lower case, no version
CartPole-v1            Gymnasium's id; "module:Name-v0" imports the module first
gymnax:Breakout-MinAtar, brax:ant, envpool:Pong-v5     other people's suites, behind their extra
"""

from typing import Any

from selftune.envs.brax_suite import from_brax
from selftune.envs.drift import Drift, drifting, fields_of, held as still
from selftune.envs.envpool_suite import make_envpool, refuse_drift
from selftune.envs.gymnasium_vector import host_fields, make
from selftune.envs.gymnax_suite import from_gymnax
from selftune.envs.host import HostEnv
from selftune.envs.native import Environment
from selftune.envs.worlds import WORLDS, world
from selftune.errors import SettingError
from selftune.spaces import Space


def open_env(name: str, num_envs: int, drift: Drift | None = None, *, held: int | None = None) -> Environment | HostEnv:
    """Open environments by name.

    Args:
        name: See above.
        num_envs: How many copies; a world written in JAX is batched by its driver instead.
        drift: How they change.
        held: An environment step: the world stays as it is there.

    Raises:
        SettingError: There is no such environment, or it cannot change so.
        MissingExtraError: It needs a package that is not installed.
    """
    env = open_native(name, drift, held=held)
    if env is not None:
        return env
    match name.split(":", 1):
        case ["envpool", inner]:
            if drift is not None and drift.changes:
                refuse_drift(name)
            return make_envpool(inner, num_envs)
    return make(name, num_envs, drift=drift, held=held)


def open_native(name: str, drift: Drift | None = None, *, held: int | None = None) -> Environment | None:
    """A world written in JAX, by name, as `open_env` opens it; `None` where the name belongs to the host."""
    env = _native(name)
    if env is None or drift is None:
        return env
    moving = drifting(env, drift)
    return moving if held is None else still(moving, held)


def _native(name: str) -> Environment | None:
    if name in WORLDS:
        return world(name)
    match name.split(":", 1):
        case ["gymnax", inner]:
            return from_gymnax(inner)
        case ["brax", inner]:
            return from_brax(inner)
    return None


def open_for_filming(name: str, drift: Drift | None = None, *, held: int | None = None) -> HostEnv:
    """One environment on the host that can be drawn; `drift` and `held` as in `open_env`.

    Raises:
        SettingError: It cannot be drawn.
    """
    match name.split(":", 1):
        case ["gymnax" | "brax" as suite, _]:
            raise SettingError(f"{name} cannot be drawn: {suite}'s environments come without pictures.")
        case ["envpool", inner]:
            return make_envpool(inner, 1, render_mode="rgb_array")
    return make(name, 1, drift=drift, held=held, render_mode="rgb_array")


def what_can_drift(name: str) -> dict[str, Any]:
    """Everything that can change in an environment, by name, as it is when nothing does.

    Raises:
        SettingError: There is no such environment, or nothing can change in it.
        MissingExtraError: It needs a package that is not installed.
    """
    env = open_native(name)
    if env is not None:
        return fields_of(env)
    if name.startswith("envpool:"):
        refuse_drift(name)
    return host_fields(name)


def spaces_of(name: str, drift: Drift | None = None) -> tuple[Space, Space]:
    """The observation space and the action space of an environment, by name; announced changes are observed."""
    env = open_env(name, 1, drift)
    if isinstance(env, HostEnv):
        env.close()
    return env.observation_space, env.action_space
