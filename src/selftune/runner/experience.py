"""A stretch of one environment's experience, in arrays of fixed size."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from selftune.agents import Choice
from selftune.types import Transitions


class Stretch:
    """`T` transitions of one environment, written one by one and taken all at once.

    Attributes:
        arrays: `Transitions` of NumPy arrays [T, 1, ...].
        count: How many were written since the last time they were taken.
    """

    def __init__(self, observation: np.ndarray, choice: Choice, length: int):
        """Make room.

        Args:
            observation: [1, ...] an example.
            choice: An example, [1, ...].
            length: `T`.
        """

        def room(example: Any) -> np.ndarray:
            return np.zeros((length, *np.shape(example)), np.asarray(example).dtype)

        number: Any = np.zeros(1, np.float32)
        flag: Any = np.zeros(1, bool)
        rows = Transitions(observation, choice.action, number, flag, flag, observation, choice.notes)
        self.arrays: Transitions = jax.tree.map(room, rows)
        self.count = 0
        self._length = length

    @property
    def full(self) -> bool:
        """Whether there is no more room."""
        return self.count == self._length

    def write(
        self, seen: np.ndarray, choice: Choice, reward: float, terminated: bool, truncated: bool, then: np.ndarray
    ) -> None:
        """One more transition."""
        row = (seen, choice.action, reward, terminated, truncated, then, choice.notes)
        for array, value in zip(jax.tree.leaves(self.arrays), jax.tree.leaves(row), strict=True):
            array[self.count] = np.asarray(value)
        self.count += 1

    def cut(self) -> None:
        """The episode ends here, unseen by its last transition."""
        if self.count:
            self.arrays.truncated[self.count - 1] = True

    def batch(self) -> Transitions:
        """Everything, [T, 1, ...], in arrays of its own."""
        return jax.tree.map(lambda array: jnp.array(array, copy=True), self.arrays)

    def take(self) -> Transitions:
        """Everything, and begin anew."""
        self.count = 0
        return self.batch()
