"""Collect experience from environments on the host, one rollout at a time, into arrays that go to the device once."""

from collections.abc import Callable

import jax
import numpy as np

from selftune.envs import HostEnv
from selftune.types import Params, PRNGKey, Shaped, Transitions


class Rollout:
    """`B` environments and where they stand.

    Attributes:
        observation: [B, ...] what to act on next.
        finished: Returns of the episodes that ended since they were last taken with `take_finished`.
    """

    def __init__(self, env: HostEnv, act: Callable, length: int, seed: int):
        """Begin.

        Args:
            env: The environments.
            act: Compiled `act(params, observation, key) -> (action, key)`.
            length: Steps of each environment in a rollout, `T`.
            seed: Of the environments.
        """
        self._env, self._act, self._length = env, act, length
        self.observation: Shaped[np.ndarray, "B ..."] = env.reset(seed)
        self.finished: list[float] = []

    def collect(self, params: Params, key: PRNGKey) -> Transitions:
        """`T` steps of each environment under the policy of `params`; leaves are [T, B, ...]."""
        columns: list[tuple] = []
        for _ in range(self._length):
            action, key = self._act(params, self.observation, key)
            action = np.asarray(action)
            step = self._env.step(action)
            ends = (step.reward, step.terminated, step.truncated)
            columns.append((self.observation, action, *ends, step.next_observation))
            self.observation = step.observation
            self.finished.extend(step.finished_returns.tolist())
        return Transitions(*jax.device_put([np.stack(column) for column in zip(*columns, strict=True)]))

    def take_finished(self) -> list[float]:
        """The returns of finished episodes, and forget them."""
        finished, self.finished = self.finished, []
        return finished
