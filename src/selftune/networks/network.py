"""What a network is to the rest of the package."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Shaped

from selftune.errors import SettingError
from selftune.types import Params, PRNGKey


class Network(NamedTuple):
    """A pair of pure functions; anything with these two signatures will do.

    Observations may carry any leading axes, which the outputs keep: `[..., *in_shape]` to `[..., out_size]`.
    A call on a whole batch `[T, B, *in_shape]` is then one large matrix product a layer.
    """

    init: Callable[[PRNGKey], Params]
    """`init(key) -> params`: a pytree of floating-point arrays and nothing else: all of it can be learned."""
    apply: Callable[[Params, Any], Any]
    """`apply(params, observation) -> output`."""


def leading_axes(observation: Shaped[Array, "..."], in_shape: Sequence[int]) -> tuple[Any, ...]:
    """The axes of `observation` in front of `in_shape`: numbers, or symbols where a program is exported for any batch.

    Raises:
        SettingError: if the observation does not end in `in_shape`.
    """
    split = observation.ndim - len(in_shape)
    if split < 0 or observation.shape[split:] != tuple(in_shape):
        raise SettingError(
            f"The network got an observation of shape {observation.shape}, expected [..., "
            f"{', '.join(map(str, in_shape))}]: build it with in_shape set to the shape of one observation."
        )
    return observation.shape[:split]


def floats(observation: Shaped[Array, "*shape"], dtype: Any) -> Float[Array, "*shape"]:
    """An image in the type of the weights; bytes in [0, 1]."""
    numbers = observation.astype(dtype)
    return (1 / 255) * numbers if observation.dtype == jnp.uint8 else numbers


def flat(observation: Shaped[Array, "..."], in_shape: Sequence[int], dtype: Any) -> Float[Array, "..."]:
    """Observations [..., *in_shape] as vectors in the type of the weights; bytes of two axes and more in [0, 1].

    Raises:
        SettingError: if the observation does not end in `in_shape`.
    """
    vectors = observation.reshape(*leading_axes(observation, in_shape), math.prod(in_shape))
    return floats(vectors, dtype) if len(in_shape) > 1 else vectors.astype(dtype)
