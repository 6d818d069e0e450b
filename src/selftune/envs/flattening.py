"""Spaces of many parts as one: what is seen becomes one vector, what is done one choice or one vector.

A Dict, Tuple, MultiDiscrete or MultiBinary of observations is Gymnasium's `flatten_space` of it: choices are one-hot,
and all parts stand one after the other. Choices that are made together are counted as one, the last part fastest, as
`numpy.unravel_index` does; numbers that are chosen together stand in one Box.
"""

import math
from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.wrappers import FlattenObservation, TransformAction

from selftune.envs.encoding import MANY
from selftune.errors import UnsupportedSpaceError

TOGETHER = 4096
"""Choices that several parts make together, at most: each is an output of the network, and is learned apart."""


def flattened(env: gymnasium.Env) -> gymnasium.Env:
    """An environment whose spaces are one Box or one Discrete, as far as they can be; one that has them as it is.

    Raises:
        UnsupportedSpaceError: Its choices, made together, are more than `TOGETHER`, or what is seen is more than
            `encoding.MANY` numbers.
    """
    seen, done = env.observation_space, env.action_space
    if not isinstance(seen, spaces.Box | spaces.Discrete) and _has_vector(seen):
        env = FlattenObservation(env)
    if isinstance(done, spaces.Discrete) or (isinstance(done, spaces.Box) and len(done.shape) == 1):
        return env
    if _all_real(done):
        return TransformAction(env, lambda action: spaces.unflatten(done, action), spaces.flatten_space(done))
    parts = _choices(done)
    return env if parts is None else _counted_as_one(env, parts)


def _has_vector(space: spaces.Space) -> bool:
    """Whether Gymnasium makes one vector of it: not of graphs, of sequences of any length, or of others' spaces.

    Raises:
        UnsupportedSpaceError: Of more than `MANY` numbers.
    """
    try:
        size = spaces.flatdim(space)
    except (NotImplementedError, ValueError):  # a space without a size
        return False
    if size > MANY:
        raise UnsupportedSpaceError(
            f"Got the observation space {space!s:.200}, whose parts make {size} numbers, one for each choice of a "
            f"Discrete; expected at most {MANY}. Describe what has many choices by a Box."
        )
    return isinstance(spaces.flatten_space(space), spaces.Box)


def _parts(space: spaces.Space) -> list[spaces.Space] | None:
    """What a composite space is made of, in Gymnasium's order; `None` for any other."""
    match space:
        case spaces.Dict():
            return list(space.spaces.values())
        case spaces.Tuple():
            return list(space.spaces)
    return None


def _all_real(space: spaces.Space) -> bool:
    """Whether it is made of nothing but Boxes of real numbers."""
    parts = _parts(space)
    if parts is None:
        return isinstance(space, spaces.Box) and np.issubdtype(space.dtype, np.floating)
    return bool(parts) and all(map(_all_real, parts))


def _choices(space: spaces.Space) -> list[int] | None:
    """Sizes of the choices that it is made of; `None` where something else is among them."""
    match space:
        case spaces.Discrete():
            return [int(space.n)]
        case spaces.MultiDiscrete():
            return space.nvec.ravel().tolist()
        case spaces.MultiBinary():
            return [2] * math.prod(space.shape)
    sizes = [_choices(part) for part in _parts(space) or ()]
    return None if not sizes or None in sizes else [size for part in sizes if part for size in part]


def _counted_as_one(env: gymnasium.Env, sizes: list[int]) -> gymnasium.Env:
    together = math.prod(sizes)
    if together > TOGETHER:
        raise UnsupportedSpaceError(
            f"Got the action space {env.action_space!s:.200}, whose choices make {together} together, expected at most "
            f"{TOGETHER}. Offer fewer of them, or choose in a Box, by gymnasium.wrappers.TransformAction, and register "
            "the wrapped environment under an id of its own."
        )
    space = env.action_space
    return TransformAction(
        env, lambda action: _made(space, iter(np.unravel_index(int(action), sizes))), spaces.Discrete(together)
    )


def _made(space: Any, chosen: Iterator[Any]) -> Any:
    """An action of the space, from the place of each of its choices among those that there are."""
    match space:
        case spaces.Discrete():
            return space.start + next(chosen)
        case spaces.MultiDiscrete():
            places = np.array([next(chosen) for _ in range(space.nvec.size)]).reshape(space.nvec.shape)
            return (space.start + places).astype(space.dtype)
        case spaces.MultiBinary():
            places = [next(chosen) for _ in range(math.prod(space.shape))]
            return np.array(places, space.dtype).reshape(space.shape)
        case spaces.Tuple():
            return tuple(_made(part, chosen) for part in space.spaces)
    return {name: _made(part, chosen) for name, part in space.spaces.items()}
