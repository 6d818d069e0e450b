"""Environments held to Gymnasium's interface: what is not as it says is refused in a sentence, by their name."""

from contextlib import suppress
from typing import Any

import gymnasium
import numpy as np

from selftune.errors import SettingError

FIVE = "5 values, observation, reward, terminated, truncated and info"


class Checked(gymnasium.Wrapper):
    """The same environment, whose `reset` returns two values and whose `step` returns five, the reward one number."""

    def __init__(self, env: gymnasium.Env, env_id: str):
        """Wrap; `env_id` is what messages call it."""
        super().__init__(env)
        self._id = env_id

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode."""
        given: Any = self.env.reset(seed=seed, options=options)
        if not isinstance(given, tuple) or len(given) != 2:
            raise self._other("reset", given, "2 values, observation and info")
        return given

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Take a step."""
        try:
            given: Any = self.env.step(action)
        except ValueError as error:  # Gymnasium's own wrappers, which lie inside, unpack it first
            if "values to unpack (expected 5" not in str(error):
                raise
            raise self._other("step", None, FIVE) from error
        if not isinstance(given, tuple) or len(given) != 5:
            raise self._other("step", given, FIVE)
        reward = given[1]
        if not isinstance(reward, (float, int, np.floating)):  # nearly all are, and cost no time
            self._check_reward(reward)
        return given

    def _check_reward(self, reward: Any) -> None:
        with suppress(TypeError, ValueError, OverflowError):
            if not np.shape(reward):
                float(reward)
                return
        raise SettingError(
            f"{self._id} gave the reward {reward!r:.60}, expected one number. Have its step return one, "
            "such as a float."
        )

    def _other(self, name: str, given: Any, expected: str) -> SettingError:
        kind = "another number of values" if given is None else f"a {type(given).__name__}"
        got = f"{len(given)} values" if isinstance(given, tuple) else kind
        return SettingError(
            f"The {name} of {self._id} returned {got}, expected {expected}, as Gymnasium has it since 0.26. Return "
            "these; shimmy's GymV21CompatibilityV0 and GymV26CompatibilityV0 wrap environments of the old Gym."
        )
