"""From a name to environments, wherever they come from.

cartpole               ours, written in JAX: lower case, no version
CartPole-v1            Gymnasium's id; "module:Name-v0" imports the module first
gymnax:Breakout-MinAtar, brax:ant, envpool:Pong-v5     other people's suites, behind their extra
"""

from selftune.envs.brax_suite import from_brax
from selftune.envs.envpool_suite import make_envpool
from selftune.envs.gymnasium_vector import make
from selftune.envs.gymnax_suite import from_gymnax
from selftune.envs.host import HostEnv
from selftune.envs.native import Environment
from selftune.envs.worlds import WORLDS, world
from selftune.errors import SettingError
from selftune.spaces import Space


def open_env(name: str, num_envs: int) -> Environment | HostEnv:
    """Open environments by name.

    Args:
        name: See above.
        num_envs: How many copies; a world written in JAX is batched by its driver instead.

    Raises:
        SettingError: There is no such environment.
        MissingExtraError: It needs a package that is not installed.
    """
    if name in WORLDS:
        return world(name)
    match name.split(":", 1):
        case ["gymnax", inner]:
            return from_gymnax(inner)
        case ["brax", inner]:
            return from_brax(inner)
        case ["envpool", inner]:
            return make_envpool(inner, num_envs)
    return make(name, num_envs)


def open_for_filming(name: str) -> HostEnv:
    """One environment on the host that can be drawn.

    Raises:
        SettingError: It cannot be drawn.
    """
    match name.split(":", 1):
        case ["gymnax" | "brax" as suite, _]:
            raise SettingError(f"{name} cannot be drawn: {suite}'s environments come without pictures.")
        case ["envpool", inner]:
            return make_envpool(inner, 1, render_mode="rgb_array")
    return make(name, 1, render_mode="rgb_array")


def spaces_of(name: str) -> tuple[Space, Space]:
    """The observation space and the action space of an environment, by name."""
    env = open_env(name, 1)
    if isinstance(env, HostEnv):
        env.close()
    return env.observation_space, env.action_space
