"""What can change around any world: what its reward is worth, how it is seen, what an action does.

reward      = factor reward + shift
observation = factor observation + shift
action      = factor action, within the bounds                  (continuous)
action      = (action + rotation) mod n                         (discrete)
"""

from collections.abc import Mapping
from typing import Any

from selftune.errors import SettingError
from selftune.spaces import Box, Discrete, Space

REWARD = {"reward_factor": 1.0, "reward_shift": 0.0}
OBSERVATION = {"observation_factor": 1.0, "observation_shift": 0.0}
CONTINUOUS = {"action_factor": 1.0}
DISCRETE = {"action_rotation": 0}


def neutral(observation_space: Space, action_space: Space) -> dict[str, float | int]:
    """The maps that a world with these spaces can have, each with the value that changes nothing."""
    seen = isinstance(observation_space, Box) and observation_space.dtype.startswith("float")
    acted = DISCRETE if isinstance(action_space, Discrete) else CONTINUOUS
    return {**REWARD, **(OBSERVATION if seen else {}), **acted}


def earn(maps: Mapping[str, Any], reward: Any) -> Any:
    """The reward as it is now."""
    if "reward_factor" in maps:
        reward = maps["reward_factor"] * reward
    return reward + maps["reward_shift"] if "reward_shift" in maps else reward


def observe(maps: Mapping[str, Any], observation: Any) -> Any:
    """The observation as it is seen now, in its own dtype."""
    seen = observation
    if "observation_factor" in maps:
        seen = maps["observation_factor"] * seen
    if "observation_shift" in maps:
        seen = seen + maps["observation_shift"]
    return seen if seen is observation else seen.astype(observation.dtype)


def act(maps: Mapping[str, Any], space: Space, action: Any, xp: Any) -> Any:
    """What the world is given instead of an action of its own space."""
    if isinstance(space, Discrete) and "action_rotation" in maps:
        return (action - space.start + maps["action_rotation"]) % space.n + space.start
    if isinstance(space, Box) and "action_factor" in maps:
        scaled = maps["action_factor"] * action
        if space.low is not None and space.high is not None:
            low, high = (xp.asarray(bound, "float32").reshape(space.shape) for bound in (space.low, space.high))
            scaled = xp.clip(scaled, low, high)
        return scaled.astype(action.dtype)
    return action


def announced_space(space: Space, entries: int) -> Box:
    """The space of a vector with the announced levels appended.

    Raises:
        SettingError: Observations are no vector of floats.
    """
    if not isinstance(space, Box) or len(space.shape) != 1 or not space.dtype.startswith("float"):
        raise SettingError(
            f"A change is announced by numbers that are appended to the observation; got observations {space}, "
            "expected a vector of floats. Leave announced out."
        )
    bounded = space.low is not None and space.high is not None
    low = (*space.low, *[-1.0] * entries) if bounded and space.low is not None else None
    high = (*space.high, *[1.0] * entries) if bounded and space.high is not None else None
    return Box((space.shape[0] + entries,), space.dtype, low, high)
