"""Atari games, prepared as the field prepares them.

A step repeats its action for 4 frames; the last two are merged by their maximum, made grey, and shrunk to 84 x 84; the
last 4 such pictures are the observation. Actions stick with probability 0.25, the score is the reward, an episode is a
whole game, and it begins after up to 30 idle frames (Machado et al. 2018, arXiv:1709.06009; unlike there, an agent has
only the actions that its game knows).
"""

from typing import Any

import numpy as np
from jaxtyping import UInt8

from selftune.envs.host import HostEnv


def make_atari(spec: Any, num_envs: int, *, render_mode: str | None = None, **settings: Any) -> HostEnv:
    """Make `num_envs` copies of a game, which ale-py prepares and steps in C++.

    Args:
        spec: Gymnasium's specification, such as that of "ALE/Pong-v5".
        num_envs: `B`.
        render_mode: Any: what the agent sees can always be drawn.
        settings: Passed on to `ale_py.AtariVectorEnv`, such as `full_action_space` or `max_num_frames_per_episode`.

    Returns:
        Environments that observe [84, 84, 4] uint8, the newest picture last.
    """
    import gymnasium

    settings = {"reward_clipping": False, "use_fire_reset": False, **settings}
    env = gymnasium.make_vec(spec, num_envs, vectorization_mode="vector_entry_point", **settings)
    return HostEnv(AtariScreens(env), _reset_where)


class AtariScreens:
    """An `AtariVectorEnv` that shows its pictures channels last, and can be drawn."""

    def __init__(self, env: Any):
        """Drive an `AtariVectorEnv`.

        Args:
            env: One of greys.
        """
        from gymnasium import spaces

        stacked, height, width = env.single_observation_space.shape
        self.num_envs = env.num_envs
        self.single_observation_space = spaces.Box(0, 255, (height, width, stacked), np.uint8)
        self.single_action_space = env.single_action_space
        self._env = env

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict]:
        """First observations; ale-py takes seeds of 31 bits and counts on from them, one a copy."""
        small = None if seed is None else seed % 2**30
        observation, info = self._env.reset(seed=small, options=options)
        return self._see(observation), info

    def step(self, actions: np.ndarray) -> tuple[Any, Any, Any, Any, dict]:
        """One step of every environment."""
        observation, reward, terminated, truncated, info = self._env.step(actions)
        return self._see(observation), reward, terminated, truncated, info

    def render(self) -> UInt8[np.ndarray, "B H W 3"]:
        """The newest picture that each agent sees, in greys."""
        return np.repeat(self._seen[..., -1:], 3, axis=-1)

    def close(self) -> None:
        """Release the games."""
        self._env.close()

    def _see(self, observation: np.ndarray) -> np.ndarray:
        self._seen = np.moveaxis(observation, 1, -1)
        return self._seen


def _reset_where(env: AtariScreens, mask: np.ndarray) -> np.ndarray:
    """`AtariVectorEnv` resets what ended in the call after, unless a mask has reset it before."""
    return env.reset(options={"reset_mask": mask})[0][mask]
