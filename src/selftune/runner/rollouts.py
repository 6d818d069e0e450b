"""Collect experience from environments on the host, one rollout at a time, into arrays that go to the device once."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jaxtyping import Bool, Float, Integer, Shaped

from selftune.envs import HostEnv
from selftune.runner.session import Beat, nothing
from selftune.types import PRNGKey, PyTree, Transitions


class Rollout:
    """`B` environments and where they stand.

    Attributes:
        observation: [B, ...] what to act on next.
        first: [B] whether that is the first observation of an episode.
    """

    observation: Shaped[np.ndarray, "B ..."]
    first: Bool[np.ndarray, " B"]

    def __init__(self, env: HostEnv, act: Callable[..., tuple[Any, PRNGKey]], length: int):
        """Prepare.

        Args:
            env: The environments.
            act: Compiled `act(actor, carry, observation, first, key) -> (choice, key)`.
            length: Steps of each environment in a rollout, `T`.
        """
        self._env, self._act, self._length = env, act, length

    def begin(self, seed: int) -> None:
        """Begin new episodes everywhere."""
        self.observation = self._env.reset(seed)
        self.first = np.ones(self._env.num_envs, bool)
        self._finished: list[tuple[np.ndarray, np.ndarray]] = []
        self._rewards: list[float] = []

    def collect(self, actor: PyTree, carry: PyTree, key: PRNGKey, beat: Beat = nothing) -> tuple[Transitions, PyTree]:
        """`T` steps of each environment; leaves are [T, B, ...]. Also what a recurrent policy carries on."""
        columns: list[tuple] = []
        for _ in range(self._length):
            choice, key = self._act(actor, carry, self.observation, self.first, key)
            carry, action = choice.carry, np.asarray(choice.action)
            step = self._env.step(action)
            beat()
            ends = (step.reward, step.terminated, step.truncated)
            columns.append((self.observation, action, *ends, step.next_observation, choice.notes))
            self.observation, self.first = step.observation, step.terminated | step.truncated
            if len(step.finished_returns):
                self._finished.append((step.finished_returns, step.finished_lengths))
        rewards = np.asarray([column[2] for column in columns])
        known = rewards[np.isfinite(rewards)]
        self._rewards.append(float(known.mean()) if known.size else np.nan)
        stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *columns)
        return Transitions(*jax.device_put(stacked)), carry

    def take(self) -> tuple[Float[np.ndarray, " E"], Integer[np.ndarray, " E"], Float[np.ndarray, " U"]]:
        """Returns and lengths of the episodes that ended, and each rollout's mean reward a step; and forget them.

        A reward that is no number makes its episode's return none, and is left out of the mean.
        """
        finished, self._finished = self._finished, []
        rewards, self._rewards = np.asarray(self._rewards), []
        if not finished:
            return np.zeros(0), np.zeros(0, np.int64), rewards
        returns, lengths = zip(*finished, strict=True)
        return np.concatenate(returns), np.concatenate(lengths), rewards
