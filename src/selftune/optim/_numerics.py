"""Arithmetic whose derivative is finite everywhere, in the dtypes it was given."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike
from jaxtyping import Array, Float, PyTree

from selftune.errors import SettingError


def safe_sqrt(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Square root with value 0 and derivative 0 where `x` has no normal number above zero.

    The two `where`s keep the infinite slope at 0 out of the derivative: one hides it from the value, the
    other from the products of the chain rule, in which 0 · ∞ would be NaN. Denormal numbers count as 0,
    because the processor may flush them in one operation and not in the next. NaN stays NaN.
    """
    vanishes = x <= jnp.finfo(x.dtype).tiny
    return jnp.where(vanishes, 0.0, jnp.sqrt(jnp.where(vanishes, 1.0, x)))


def safe_ratio(numerator: Float[Array, "*shape"], denominator: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """`numerator / denominator` for a denominator ≥ 0; value 0 and derivative 0 where that vanishes."""
    vanishes = denominator <= jnp.finfo(denominator.dtype).tiny
    return jnp.where(vanishes, 0.0, numerator / jnp.where(vanishes, 1.0, denominator))


def global_norm(tree: PyTree) -> Float[Array, ""]:
    """Euclidean norm of all leaves together; derivative 0 where it is 0."""
    return safe_sqrt(jnp.asarray(optax.tree.norm(tree, squared=True)))


def keep_dtypes(init: Callable, update: Callable) -> optax.GradientTransformationExtraArgs:
    """A rule whose updates and state leave with the shapes and dtypes they came with.

    The arithmetic in between may be wider (a float32 metaparameter on bfloat16 parameters). Without this the
    state would change its type at the first step, and a scan would refuse it or a jitted step compile twice;
    for the same reason nothing in the state is weakly typed.

    Args:
        init: `init(params) -> state`.
        update: `update(updates, state, params=None, **extra_args) -> (updates, state)`.
    """

    def typed_init(params):
        return jax.tree.map(lambda leaf: jax.lax.convert_element_type(leaf, leaf.dtype), init(params))

    def typed_update(updates, state, params=None, **extra_args):
        new_updates, new_state = update(updates, state, params, **extra_args)
        return jax.tree.map(_like, new_updates, updates), jax.tree.map(_like, new_state, state)

    return optax.GradientTransformationExtraArgs(typed_init, typed_update)


def _like(new: ArrayLike, old: ArrayLike) -> Array:
    if jnp.shape(new) != jnp.shape(old):
        raise SettingError(
            f"an update rule turned a leaf of shape {jnp.shape(old)} into one of shape {jnp.shape(new)}. A "
            "step size, weight decay or feature must be a scalar or have the shape of its parameter."
        )
    return jax.lax.convert_element_type(new, jnp.result_type(old))
