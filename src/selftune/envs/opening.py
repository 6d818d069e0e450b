"""From a name to environments, wherever they come from.

cartpole               ours, written in JAX: lower case, no version
CartPole-v1            Gymnasium's id
gymnax:Breakout-MinAtar, brax:ant, envpool:Pong-v5     other people's suites, behind their extra
"""

from selftune.envs.gymnasium_vector import make
from selftune.envs.host import HostEnv
from selftune.envs.native import Environment
from selftune.envs.worlds import WORLDS, world
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
    return make(name, num_envs)


def open_for_filming(name: str) -> HostEnv:
    """One environment on the host that can be drawn.

    Raises:
        SettingError: It cannot be drawn.
    """
    return make(name, 1, render_mode="rgb_array")


def spaces_of(name: str) -> tuple[Space, Space]:
    """The observation space and the action space of an environment, by name."""
    env = open_env(name, 1)
    if isinstance(env, HostEnv):
        env.close()
    return env.observation_space, env.action_space
