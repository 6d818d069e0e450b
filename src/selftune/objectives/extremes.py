"""The largest and the smallest entry along an axis, with derivatives that a compiler cannot break.

The derivative of `jnp.max` divides by how many entries equal the maximum. Where a compiled program computes the entries
anew for it, and rounds them otherwise, none does, and the derivative is infinite (that of `jnp.minimum` becomes 0 in
silence). An index is the same entry however it is rounded.
"""

import jax.numpy as jnp

from selftune.types import Array, Float


def largest(values: Float[Array, "..."], axis: int) -> Float[Array, "..."]:
    """The largest entry along an axis; of equal ones the first has the derivative."""
    return jnp.take_along_axis(values, jnp.expand_dims(values.argmax(axis=axis), axis), axis=axis).squeeze(axis)


def smallest(values: Float[Array, "..."], axis: int) -> Float[Array, "..."]:
    """The smallest entry along an axis; of equal ones the first has the derivative."""
    return jnp.take_along_axis(values, jnp.expand_dims(values.argmin(axis=axis), axis), axis=axis).squeeze(axis)
