"""From the id of a Gymnasium environment to `B` copies of it that step together."""

import difflib
import importlib
from typing import Any

from selftune.envs.atari import make_atari
from selftune.envs.host import HostEnv
from selftune.errors import MissingExtraError, SettingError


def make(env_id: str, num_envs: int, **settings: Any) -> HostEnv:
    """Make `num_envs` copies of a registered environment.

    CartPole runs as Gymnasium's own vector implementation, which is about twice as fast, and Atari as ale-py's (see
    `selftune.envs.atari`); every other environment runs one copy after the other.

    Args:
        env_id: Gymnasium's id, such as "CartPole-v1"; "module:Name-v0" imports the module first.
        num_envs: `B`, at least 1.
        settings: passed on to the environment, such as `max_episode_steps`.

    Raises:
        SettingError: if no such environment is registered, or `num_envs` is smaller than 1.
        UnsupportedSpaceError: if a space is neither Discrete nor a Box (of one axis, for actions).
        MissingExtraError: if the environment needs a package that is not installed.
    """
    import gymnasium
    from gymnasium.vector import AutoresetMode

    if num_envs < 1:
        raise SettingError(f"Got num_envs={num_envs}, expected at least one environment.")
    spec = _find(env_id)
    if spec.namespace == "ALE":
        return make_atari(spec, num_envs, **settings)
    reset_where = _NATIVE.get(str(spec.vector_entry_point))
    if reset_where:
        settings["vectorization_mode"] = "vector_entry_point"
    else:
        settings["vectorization_mode"] = "sync"
        settings["vector_kwargs"] = {"autoreset_mode": AutoresetMode.DISABLED}
    try:
        env = gymnasium.make_vec(spec, num_envs, **settings)
    except (gymnasium.error.DependencyNotInstalled, ImportError) as error:
        raise _missing(env_id, str(spec.entry_point), error) from error
    except Exception as error:
        raise SettingError(
            f"{env_id} could not be made ({type(error).__name__}: {error}), expected an environment that "
            "gymnasium.make_vec can make. Mend it, or give another one."
        ) from error
    return HostEnv(env, reset_where)


def _reset_cartpole(env, mask):
    """Begin new episodes in some of a `CartPoleVectorEnv`.

    Its own `reset` knows no mask, and it would reset what ended one step late: `prev_done` tells it not to.
    """
    env.state[:, mask] = env.np_random.uniform(env.low, env.high, (4, mask.sum()))
    env.steps[mask] = 0
    env.prev_done[mask] = False
    return env.state.T[mask]


_NATIVE = {"gymnasium.envs.classic_control.cartpole:CartPoleVectorEnv": _reset_cartpole}


def _find(env_id):
    """The registered specification of an id; modules that register it are imported first."""
    import gymnasium

    module, _, name = env_id.rpartition(":")
    module = module or ("ale_py" if name.startswith("ALE/") else "")
    try:
        if module:
            importlib.import_module(module)
        return gymnasium.spec(name)
    except ImportError as error:
        raise _missing(env_id, module, error) from error
    except gymnasium.error.Error as error:
        near = difflib.get_close_matches(name, gymnasium.registry, n=5, cutoff=0.5)
        raise SettingError(
            f"Got the environment {env_id!r}, expected one that is registered with Gymnasium. Near names: "
            f"{', '.join(near) or 'none'}; gymnasium.pprint_registry() prints them all. An environment of your "
            'own is found as "your_module:Name-v0" if importing your_module registers it.'
        ) from error


_EXTRAS = {"mujoco": "mujoco", "box2d": "box2d", "ale_py": "atari"}


def _missing(env_id, origin, error):
    """The error that says what to install; `origin` is where the environment's code lives."""
    extra = next((extra for part, extra in _EXTRAS.items() if part in origin), None)
    cure = f'pip install "selftune[{extra}]"' if extra else "install the package that it names"
    return MissingExtraError(f"{env_id} needs a package that is not installed ({error}). To go on: {cure}")
