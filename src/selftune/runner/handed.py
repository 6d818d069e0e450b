"""What the user's own loop hands in, checked and made plain: observations, rewards, flags; and what it gets back."""

from typing import Any

import numpy as np
from jaxtyping import Shaped

from selftune.envs import encode
from selftune.envs.native import stretch
from selftune.errors import SettingError
from selftune.spaces import Box, Discrete, Space


def seen(space: Space, observation: Any) -> Shaped[np.ndarray, "1 ..."]:
    """One observation as networks take it, in an array of its own: a caller may write the next one over it.

    Raises:
        SettingError: It has another shape than the space, or is no such thing at all.
    """
    shape = space.shape if isinstance(space, Box) else ()
    got = _array("An observation", observation).shape
    if got != shape:
        raise SettingError(f"An observation has the shape {got}, expected {shape}. Give what the space describes.")
    return np.array(encode(space, observation))[None]


def earned(reward: Any) -> float:
    """A reward as float32 holds it; what is not finite stays so, for the guards to count.

    Raises:
        SettingError: It is not one real number.
    """
    number = _array("A reward", reward)
    if number.dtype.kind not in "biuf" or number.size != 1:
        raise SettingError(f"step got the reward {reward!r:.60}, expected one real number.")
    with np.errstate(over="ignore"):
        return float(number.reshape(()).astype(np.float32))


def flag(name: str, value: Any) -> bool:
    """Whether an episode ended.

    Raises:
        SettingError: It is neither true nor false.
    """
    number = _array(name, value)
    if number.dtype.kind not in "biu" or number.size != 1:
        raise SettingError(f"step got {name}={value!r:.60}, expected True or False.")
    return bool(number.reshape(()))


def taken(space: Space, action: Shaped[np.ndarray, "1 ..."]) -> int | Shaped[np.ndarray, "..."]:
    """An agent's action as the user's space holds it: counted from its start; or within its bounds, and of its type.

    The bounds are those of its type: stretched in float32, an action may lie beyond them by its rounding.
    """
    if isinstance(space, Discrete):
        return int(action[0]) + space.start
    stretched = stretch(space, action, np)[0].astype(space.dtype)
    if space.low is None or space.high is None:
        return stretched
    return np.clip(stretched, np.asarray(space.low, space.dtype), np.asarray(space.high, space.dtype))


def _array(what: str, value: Any) -> np.ndarray:
    try:
        return np.asarray(value)
    except (TypeError, ValueError):
        raise SettingError(f"{what} is {value!r:.60}, which is no array; expected numbers of one shape.") from None
