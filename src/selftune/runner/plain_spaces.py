"""The spaces of a user's own loop, checked and made plain; as JSON says them, and back."""

import math
from collections.abc import Iterable, Mapping
from operator import index
from typing import Any

import jax
import numpy as np

from selftune.envs import describe_actions, describe_observations
from selftune.envs.encoding import MANY, bounded
from selftune.errors import UnsupportedSpaceError
from selftune.spaces import Box, Discrete, Space


def plain_observations(space: Any) -> Space:
    """What is seen, from a space of Gymnasium or of ours; numbers of more than 32 bits are seen in 32.

    Raises:
        UnsupportedSpaceError: It is neither a Box nor a Discrete, or says what no space can be.
    """
    if not isinstance(space, Box | Discrete):
        return describe_observations(space)
    plain = _plain(space)
    if isinstance(plain, Discrete):
        return plain
    return plain._replace(dtype="float32" if _real(plain) else jax.dtypes.canonicalize_dtype(plain.dtype).name)


def plain_actions(space: Any) -> Space:
    """What is done, likewise; a Box keeps its own type, in which actions are handed back.

    Raises:
        UnsupportedSpaceError: It is no Discrete and no Box of real numbers with one axis and both bounds or none, or
            says what no space can be.
    """
    if not isinstance(space, Box | Discrete):
        described = describe_actions(space)
        return described._replace(dtype=space.dtype.name) if isinstance(described, Box) else described
    plain = _plain(space)
    if isinstance(plain, Discrete):
        return plain
    if not _real(plain) or len(plain.shape) != 1:
        raise UnsupportedSpaceError(
            f"Got the action space {space!s:.200}, expected a Discrete, or a Box of real numbers with one axis, such "
            "as Box((2,), 'float32', -1.0, 1.0)."
        )
    return bounded(plain)


def spaces_as_json(*spaces: Space) -> list[dict[str, Any]]:
    """Spaces as JSON says them."""
    return [{"kind": type(space).__name__, **space._asdict()} for space in spaces]


def space_from_json(told: Mapping[str, Any]) -> Space:
    """A space that `spaces_as_json` said."""
    kind = {"Box": Box, "Discrete": Discrete}[told["kind"]]
    fields = {name: tuple(value) if isinstance(value, list) else value for name, value in told.items()}
    fields.pop("kind")
    return kind(**fields)


def _plain(space: Space) -> Space:
    """One of our spaces as it is meant: a size for a shape of one axis, a type by any name, one bound for all."""
    try:
        return _choices(space) if isinstance(space, Discrete) else _numbers(space)
    except (TypeError, ValueError, OverflowError):
        raise UnsupportedSpaceError(
            f"Got the space {space!s:.200}, expected one such as Box((3,), 'float32', -1.0, 1.0), whose sizes are "
            "whole numbers from 1 on, with a bound for all its numbers or one for each; or such as Discrete(2), with "
            f"1 to {MANY} choices."
        ) from None


def _choices(space: Discrete) -> Discrete:
    plain = Discrete(index(space.n), index(space.start))
    if not 1 <= plain.n <= MANY:
        raise ValueError
    return plain


def _numbers(space: Box) -> Box:
    sizes: Any = space.shape
    shape, dtype = tuple(map(index, sizes if isinstance(sizes, Iterable) else (sizes,))), np.dtype(space.dtype)
    if dtype.kind not in "biuf" or min(shape, default=1) < 1:
        raise ValueError
    return Box(shape, dtype.name, _ends(space.low, shape), _ends(space.high, shape))


def _ends(bound: Any, shape: tuple[int, ...]) -> tuple[float, ...] | None:
    """One bound for each number; `None` where none of them says anything.

    Raises:
        TypeError, ValueError: These are no numbers, or too few or too many.
    """
    if bound is None or not np.isfinite(ends := np.asarray(bound, float)).any():
        return None
    return tuple(np.broadcast_to(ends.ravel(), math.prod(shape)).tolist())


def _real(space: Box) -> bool:
    return np.issubdtype(np.dtype(space.dtype), np.floating)
