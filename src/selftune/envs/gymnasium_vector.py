"""From the id of a Gymnasium environment to `B` copies of it that step together."""

import difflib
import importlib.util
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from threading import Lock
from typing import Any

from selftune.envs.atari import make_atari
from selftune.envs.drift import Drift
from selftune.envs.extras import making
from selftune.envs.host import HostEnv, closed_if_refused
from selftune.envs.worlds import WORLDS
from selftune.errors import MissingExtraError, SettingError


def make(
    env_id: str, num_envs: int, *, drift: Drift | None = None, held: int | None = None, **settings: Any
) -> HostEnv:
    """Make `num_envs` copies of a registered environment.

    CartPole runs as Gymnasium's own vector implementation, which is about twice as fast, and Atari as ale-py's (see
    `selftune.envs.atari`); every other environment, and whatever drifts, runs one copy after the other.

    Args:
        env_id: Gymnasium's id, such as "CartPole-v1"; "module:Name-v0" imports the module first.
        num_envs: `B`, at least 1.
        drift: How the copies change, all alike.
        held: An environment step: the copies stay as they are there.
        settings: passed on to the environment, such as `max_episode_steps`.

    Raises:
        SettingError: if no such environment is registered, `num_envs` is smaller than 1, or it cannot change so.
        UnsupportedSpaceError: if a space is neither Discrete nor a Box, nor made of them (see
            `selftune.envs.flattening`).
        MissingExtraError: if the environment needs a package that is not installed.
    """
    import gymnasium
    from gymnasium.vector import AutoresetMode

    if num_envs < 1:
        raise SettingError(f"Got num_envs={num_envs}, expected at least one environment.")
    spec = _find(env_id)
    changes = drift is not None and bool(drift.changes)
    if spec.namespace == "ALE":
        if changes:
            raise _cartridge(env_id)
        return make_atari(spec, num_envs, **settings)
    reset_where = None if changes else _NATIVE.get(str(spec.vector_entry_point))
    if reset_where:
        settings["vectorization_mode"] = "vector_entry_point"
    else:
        settings["vectorization_mode"] = "sync"
        settings["vector_kwargs"] = {"autoreset_mode": AutoresetMode.DISABLED}
        settings["wrappers"] = [*settings.get("wrappers", ()), *_wrappers(env_id, drift, num_envs, held)]
    with _making(env_id, str(spec.entry_point)):
        env = gymnasium.make_vec(spec, num_envs, **settings)
    return HostEnv(env, reset_where, partial(_call, env, "go_to") if changes and held is None else None)


@contextmanager
def _making(env_id: str, entry_point: str) -> Iterator[None]:
    """What goes wrong as an environment is made, in our words."""
    import gymnasium

    with making(env_id), _without_deprecations(entry_point):
        try:
            yield
        except (gymnasium.error.DependencyNotInstalled, ImportError) as error:
            raise _missing(env_id, entry_point, error) from error


_HEARING = Lock()
"""MuJoCo has one listener for all threads: two that set and unset it at once abort the process."""


@contextmanager
def _without_deprecations(entry_point: str) -> Iterator[None]:
    """What MuJoCo warns of as warnings of Python's, but for old words in a model.

    It says them once for each copy, and writes a log into the working directory; models that come with a package are
    not the user's to mend.
    """
    if "mujoco" not in entry_point or importlib.util.find_spec("mujoco") is None:
        yield
        return
    mujoco: Any = importlib.import_module("mujoco")
    with _HEARING:
        before = mujoco.get_mju_user_warning()
        mujoco.set_mju_user_warning(
            lambda text: (
                None if "deprecated" in text else warnings.warn(f"MuJoCo: {text}", RuntimeWarning, stacklevel=2)
            )
        )
        try:
            yield
        finally:
            mujoco.set_mju_user_warning(before)


def _call(env, name, *given):
    """A method of every copy."""
    env.call(name, *given)


def _wrappers(env_id, drift, num_envs, held):
    """What holds each copy to the interface, makes its spaces flat, and lets it drift; with `held`, stand still."""
    from selftune.envs.drift.gymnasium_wrapper import Drifting
    from selftune.envs.flattening import flattened
    from selftune.envs.interface import Checked

    def flat(env):
        with closed_if_refused(env):
            return flattened(env)

    checked = partial(Checked, env_id=env_id)
    if drift is None or not drift.changes:
        return [checked, flat]
    stride, begin = (num_envs, 0) if held is None else (0, held)

    def drifting(env):
        with closed_if_refused(env):
            return Drifting(env, drift, stride, begin)

    return [checked, flat, drifting]


def host_fields(env_id: str) -> dict[str, Any]:
    """Everything that can change in an environment, by name, as it is when nothing does.

    Raises:
        SettingError: No such environment is registered, or it is Atari's, or it cannot be made.
        MissingExtraError: It needs a package that is not installed.
    """
    import gymnasium

    from selftune.envs.drift.gymnasium_wrapper import fields_of
    from selftune.envs.flattening import flattened

    spec = _find(env_id)
    if spec.namespace == "ALE":
        raise _cartridge(env_id)
    with _making(env_id, str(spec.entry_point)):
        env = gymnasium.make(spec)
    try:
        return fields_of(flattened(env))
    finally:
        env.close()


def _cartridge(env_id):
    return SettingError(f"{env_id} cannot drift: a cartridge has no constants to change. Leave the drift out.")


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
    if module.startswith(".") or "/" in module or "\\" in module:
        own = module.replace("\\", "/").rpartition("/")[2].strip(".").removesuffix(".py") or "your_module"
        raise SettingError(
            f"Got the environment {env_id!r}, expected a module as `import` names it, not a path: {own}:{name}, in the "
            "folder that holds it or with that folder on PYTHONPATH."
        )
    module = module or ("ale_py" if name.startswith("ALE/") else "")
    try:
        if module:
            importlib.import_module(module)
        return gymnasium.spec(name)
    except ImportError as error:
        raise _missing(env_id, module, error) from error
    except gymnasium.error.Error as error:
        near = difflib.get_close_matches(name, [*WORLDS, *gymnasium.registry], n=5, cutoff=0.5)
        raise SettingError(
            f"Got the environment {env_id!r}, expected one that `selftune envs` lists or that is registered with "
            f"Gymnasium. Near names: {', '.join(near) or 'none'}; gymnasium.pprint_registry() prints Gymnasium's. An "
            'environment of your own is found as "your_module:Name-v0" if importing your_module registers it.'
        ) from error


_EXTRAS = {"mujoco": "mujoco", "box2d": "box2d", "ale_py": "atari"}


def _missing(env_id, origin, error):
    """The error that says what to install; `origin` is where the environment's code lives."""
    extra = next((extra for part, extra in _EXTRAS.items() if part in origin), None)
    if isinstance(error, ModuleNotFoundError) and error.name == env_id.partition(":")[0]:
        return MissingExtraError(
            f"{env_id}: there is no module {error.name!r} in this folder, on PYTHONPATH or among what is installed."
        )
    cure = f'pip install "selftune[{extra}]"' if extra else "install the package that it names"
    return MissingExtraError(f"{env_id} needs a package that is not installed ({error}). To go on: {cure}")
