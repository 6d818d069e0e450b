"""Spaces as plain data, so that an agent needs numbers and not Gymnasium.

An agent sees observations as `encode` gives them: arrays of `space.encoded_shape`. It acts with 0 … n-1.
"""

from typing import Any, NamedTuple, TypeAlias

import numpy as np

from selftune.errors import UnsupportedSpaceError


class Box(NamedTuple):
    """Arrays of one shape."""

    shape: tuple[int, ...]
    dtype: str = "float32"

    @property
    def encoded_shape(self) -> tuple[int, ...]:
        """Shape of one encoded observation: its own."""
        return self.shape


class Discrete(NamedTuple):
    """One of `n` choices, counted from `start`."""

    n: int
    start: int = 0

    @property
    def encoded_shape(self) -> tuple[int, ...]:
        """Shape of one encoded observation: one-hot."""
        return (self.n,)


Space: TypeAlias = Box | Discrete


def describe_observations(space: Any) -> Space:
    """Describe a Gymnasium observation space.

    Args:
        space: `gymnasium.spaces.Box` or `gymnasium.spaces.Discrete`.

    Raises:
        UnsupportedSpaceError: for any other space.
    """
    from gymnasium import spaces

    match space:
        case spaces.Box():
            floating = np.issubdtype(space.dtype, np.floating)
            return Box(tuple(space.shape), "float32" if floating else str(space.dtype))
        case spaces.Discrete():
            return Discrete(int(space.n), int(space.start))
    raise UnsupportedSpaceError(
        f"Got the observation space {space}, expected Box or Discrete. Turn it into a Box with "
        "gymnasium.wrappers.FlattenObservation, and register the wrapped environment under an id of its own."
    )


def describe_actions(space: Any) -> Discrete:
    """Describe a Gymnasium action space.

    Args:
        space: `gymnasium.spaces.Discrete`.

    Raises:
        UnsupportedSpaceError: for any other space.
    """
    from gymnasium import spaces

    if isinstance(space, spaces.Discrete):
        return Discrete(int(space.n), int(space.start))
    raise UnsupportedSpaceError(
        f"Got the action space {space}, expected Discrete. Divide continuous actions into bins with "
        "gymnasium.wrappers.DiscretizeAction(env, bins, multidiscrete=False), and register the wrapped "
        "environment under an id of its own."
    )


def encode(space: Space, observation: Any) -> np.ndarray:
    """Observations as a network takes them.

    Args:
        space: what the observations belong to.
        observation: [..., *shape] for a `Box`, [...] whole numbers for a `Discrete`.

    Returns:
        [..., *space.encoded_shape]: a Box in its own dtype, with every floating type as float32; a Discrete
        as one-hot float32.
    """
    if isinstance(space, Box):
        return np.asarray(observation, space.dtype)
    return np.eye(space.n, dtype=np.float32)[np.asarray(observation) - space.start]
