"""From a name to environments, wherever they come from.

cartpole               ours, written in JAX: lower case, no version
CartPole-v1            Gymnasium's id
gymnax:Breakout-MinAtar, brax:ant, envpool:Pong-v5     other people's suites, behind their extra
"""

from selftune.envs.gymnasium_vector import make
from selftune.envs.host import HostEnv
from selftune.envs.native import Environment
from selftune.envs.worlds import WORLDS, world


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
