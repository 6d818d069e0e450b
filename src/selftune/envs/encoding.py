"""From Gymnasium's spaces to ours, and from observations to what a network takes."""

import math
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from selftune.errors import SettingError, UnsupportedSpaceError
from selftune.spaces import Box, Discrete, Space


def describe_observations(space: Any) -> Space:
    """Describe a Gymnasium observation space.

    Args:
        space: `gymnasium.spaces.Box` or `gymnasium.spaces.Discrete`.

    Returns:
        A `Discrete`; or a Box, of whole numbers where they are whole and fit into 32 bits with a sign, since JAX has no
        more, else of "float32".

    Raises:
        UnsupportedSpaceError: for any other space.
    """
    from gymnasium import spaces

    match space:
        case spaces.Box():
            return _box(space)
        case spaces.Discrete():
            return _discrete(space)
    raise UnsupportedSpaceError(
        f"Got the observation space {space}, expected a Box or a Discrete; of environments with an id of Gymnasium's, "
        "also a Dict, Tuple, MultiDiscrete or MultiBinary of them. gymnasium.spaces.flatten_space and flatten make a "
        "Box of these; for any other, describe what is seen by numbers of a fixed shape. Do so in a gymnasium.Env of "
        "your own around the environment, and register that under an id of its own."
    )


def describe_actions(space: Any) -> Space:
    """Describe a Gymnasium action space.

    Args:
        space: `gymnasium.spaces.Discrete`, or a `gymnasium.spaces.Box` of one axis.

    Raises:
        UnsupportedSpaceError: for any other space, and for a Box with bounds for some of its numbers only, or without
            room between them, or with more than float32 holds.
    """
    from gymnasium import spaces

    match space:
        case spaces.Discrete():
            return _discrete(space)
        case spaces.Box() if len(space.shape) == 1 and np.issubdtype(space.dtype, np.floating):
            if np.isfinite(space.low).any() or np.isfinite(space.high).any():
                return bounded(_box(space)._replace(low=tuple(space.low.tolist()), high=tuple(space.high.tolist())))
            return _box(space)
    raise UnsupportedSpaceError(
        f"Got the action space {space}, expected a Discrete, or a Box of real numbers with one axis; of environments "
        "with an id of Gymnasium's, also choices that are made together, or real numbers, in a MultiDiscrete, "
        "MultiBinary, Dict or Tuple. Offer such a one by gymnasium.wrappers.TransformAction, or by a gymnasium.Env of "
        "your own around the environment, and register that under an id of its own."
    )


def bounded(actions: Box) -> Box:
    """A Box of actions as it is, if it has no bounds or bounds that [-1, 1] can be stretched to.

    Raises:
        UnsupportedSpaceError: It has bounds for some of its numbers only, or no room between them, or more than float32
            holds.
    """
    if actions.low is None and actions.high is None:
        return actions
    low, high = actions.low or (), actions.high or ()
    if not len(low) == len(high) == math.prod(actions.shape) or not _apart(low, high):
        raise UnsupportedSpaceError(
            f"Got the action space {actions}, expected two finite bounds with room between them for every number, as "
            "float32 holds it, or none (infinite ones) for all of them. gymnasium.wrappers.TransformAction gives an "
            "environment such bounds; register it under an id of its own."
        )
    return actions


def _apart(low: Sequence[float], high: Sequence[float]) -> bool:
    """Whether the way from each lower bound to its upper one is a number in float32."""
    with np.errstate(over="ignore", invalid="ignore"):
        width = np.asarray(high, np.float32) - np.asarray(low, np.float32)
    return bool((np.isfinite(width) & (width > 0)).all())


MANY = 1_000_000
"""Choices of a Discrete space, at most: each is an input or an output of its own."""


def _discrete(space: Any) -> Discrete:
    if not 1 <= space.n <= MANY:
        raise UnsupportedSpaceError(f"Got the space {space}, expected 1 to {MANY} choices. Describe it by a Box.")
    return Discrete(int(space.n), int(space.start))


def _box(space: Any) -> Box:
    """Bounds are kept where they are finite and there is room between them."""
    if 0 in space.shape:
        raise UnsupportedSpaceError(f"Got the space {space}, expected at least one number. Leave empty axes out.")
    bounded = np.isfinite(space.low).all() and np.isfinite(space.high).all() and (space.low < space.high).all()
    low, high = (tuple(map(float, np.ravel(end))) if bounded else None for end in (space.low, space.high))
    if np.ndim(space.low) > 1:  # an image: its bounds are those of its type, and nobody needs a list of them
        low = high = None
    return Box(tuple(space.shape), _dtype(space), low, high)


def _dtype(space: Any) -> str:
    """The type in which JAX, whose whole numbers have 32 bits, holds what a Box contains."""
    if np.can_cast(space.dtype, np.int32):
        return str(space.dtype)
    limits = np.iinfo(np.int32)
    whole = np.issubdtype(space.dtype, np.integer)
    return "int32" if whole and limits.min <= space.low.min() and space.high.max() <= limits.max else "float32"


def encode(space: Space, observation: Any) -> np.ndarray:
    """Observations as a network takes them.

    Args:
        space: what the observations belong to.
        observation: [..., *shape] for a `Box`, [...] whole numbers for a `Discrete`.

    Returns:
        [..., *space.encoded_shape]: a Box in its own dtype, or in the 32 bits of it that JAX has; a Discrete as
        one-hot float32.

    Raises:
        SettingError: what came is not of that space's kind, or outside a `Discrete`, or would not be the same as the
            whole numbers of a Box.
    """
    if isinstance(space, Discrete):
        return _one_hot(space, np.asarray(observation))
    dtype = jax.dtypes.canonicalize_dtype(space.dtype)
    whole = dtype.kind in "biu"
    try:
        given = _numbers(observation)
        with np.errstate(invalid="ignore", over="ignore"):
            cast = given.astype(dtype, copy=False)
        if not whole or np.can_cast(given.dtype, dtype) or (cast == given).all():
            return cast
    except (TypeError, ValueError, OverflowError):
        pass
    expected = f"whole numbers that {dtype} holds" if whole else f"numbers ({dtype})"
    raise SettingError(
        f"Got the observation {observation!r:.80}, expected {expected}. Give what the space describes, or describe "
        "what is given: a Box of float32 takes any number."
    )


def _numbers(observation: Any) -> np.ndarray:
    """Real numbers as an array; anything else is a `TypeError` or a `ValueError`."""
    given = np.asarray(observation)
    if given.dtype.kind in "SUcmM":
        raise TypeError
    return np.vectorize(float, otypes=[float])(given) if given.dtype == object else given


def _one_hot(space: Discrete, choice: np.ndarray) -> np.ndarray:
    last = space.start + space.n - 1
    if choice.dtype.kind not in "biu" or not ((space.start <= choice) & (choice <= last)).all():
        raise SettingError(f"Got the observation {choice!r:.80}, expected whole numbers from {space.start} to {last}.")
    return (choice[..., None] == np.arange(space.start, last + 1)).astype(np.float32)
