"""EnvPool's environments (https://github.com/sail-sg/envpool; arXiv:2206.10558): stepped in C++, many at once.

EnvPool resets a finished environment in the call after, whose action it ignores. Asked to reset at once, by a mask, it
forgets that it would, and the next call is a true step.
"""

import difflib
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np
from jaxtyping import Bool, Shaped

from selftune.envs.extras import making, require
from selftune.envs.host import HostEnv
from selftune.errors import SettingError


def refuse_drift(name: str) -> NoReturn:
    """Always.

    Raises:
        SettingError: Nothing can change in EnvPool's environments.
    """
    raise SettingError(
        f"{name} cannot drift: EnvPool's environments live in C++, where no constant can be reached. Give Gymnasium's "
        "own, such as HalfCheetah-v5."
    )


def make_envpool(name: str, num_envs: int, **settings: Any) -> HostEnv:
    """Make `num_envs` copies of one of EnvPool's environments.

    Args:
        name: EnvPool's own, such as "Pong-v5".
        num_envs: `B`, at least 1.
        settings: Passed on to `envpool.make`, such as `max_episode_steps`, or `repeat_action_probability` of Atari. The
            rest is EnvPool's default, which for Atari is without sticky actions.

    Returns:
        Environments that observe images as [H, W, C]. An episode that terminates in the very step of its time limit is
        truncated to EnvPool, and so it is here.

    Raises:
        SettingError: EnvPool has no such environment, cannot make it, or has more than one player in it; or `num_envs`
            is smaller than 1.
        UnsupportedSpaceError: A space is neither Discrete nor a Box (of one axis, for actions).
        MissingExtraError: EnvPool, or a library that this environment needs, is not installed.
    """
    if num_envs < 1:
        raise SettingError(f"Got num_envs={num_envs}, expected at least one environment.")
    envpool = require("envpool", "envpool")
    known = envpool.list_all_envs()
    if name not in known:
        near = ", ".join(difflib.get_close_matches(name, known, n=5, cutoff=0.5))
        raise SettingError(f"EnvPool has no environment {name!r}. Near names: {near or 'none'}.")

    def begin(seed: int) -> Any:
        with making(f"envpool:{name}"):
            return envpool.make(name, env_type="gymnasium", num_envs=num_envs, seed=seed, **settings)

    with making(f"envpool:{name}"):
        spec = envpool.make_spec(name, **settings)
    if spec.config.max_num_players > 1:
        raise SettingError(
            f"envpool:{name} is played by {spec.config.max_num_players} at once, expected one player in each copy: one "
            "agent learns here. Give another environment."
        )
    return HostEnv(SeededPool(begin, spec, num_envs), _reset_where)


class SeededPool:
    """Gymnasium's vector interface to a pool that takes its seed when it is made: a new seed makes a new pool."""

    def __init__(self, begin: Callable[[int], Any], spec: Any, num_envs: int):
        """Make no pool yet.

        Args:
            begin: `begin(seed)` makes one; a seed of EnvPool has 31 bits and is counted on from, one a copy.
            spec: EnvPool's description of the environment.
            num_envs: `B`.
        """
        self.num_envs = num_envs
        self.single_action_space = spec.gymnasium_action_space
        self.single_observation_space, self._present = _channels_last(spec.gymnasium_observation_space)
        self._begin = begin
        self._pool: Any = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict]:
        """First observations: of a new pool with a seed, else of the environments in `options["reset_mask"]`."""
        if seed is not None:
            self.close()
            self._pool = self._begin(seed % 2**30)
        observation, info = self._pool.reset(options=options)
        return self._present(observation), info

    def step(self, actions: np.ndarray) -> tuple[Any, Any, Any, Any, dict]:
        """One step of every environment."""
        observation, reward, terminated, truncated, info = self._pool.step(actions)
        return self._present(observation), reward, terminated, truncated, info

    def render(self) -> Any:
        """[1, H, W, 3] of the first environment, or `None` where it was not made to be drawn."""
        return self._pool.render() if self._pool.render_mode else None

    def close(self) -> None:
        """Release the pool, if there is one."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None


def _reset_where(pool: SeededPool, mask: Bool[np.ndarray, " B"]) -> Shaped[np.ndarray, "F ..."]:
    return pool.reset(options={"reset_mask": mask})[0]


def _channels_last(space: Any) -> tuple[Any, Callable[[np.ndarray], np.ndarray]]:
    """The space with channels last, and how to bring its observations there.

    An image is of bytes and has fewer channels than columns; most of EnvPool's come as [C, H, W], a few do not.
    """
    from gymnasium import spaces

    shape = space.shape or ()
    if not isinstance(space, spaces.Box) or space.dtype != np.uint8 or len(shape) != 3 or shape[0] >= shape[2]:
        return space, lambda observation: observation
    low, high = (np.moveaxis(bound, 0, -1) for bound in (space.low, space.high))
    return spaces.Box(low, high, dtype=np.uint8), lambda observation: np.moveaxis(observation, 1, -1)
