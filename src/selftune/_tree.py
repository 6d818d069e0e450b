"""Arithmetic on pytrees. Leaves that are not floating point (step counters, say) pass through untouched."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from selftune.types import Array, Bool, Int, PyTree, Scalar


def add(left: PyTree, right: PyTree) -> PyTree:
    """Leafwise sum; `None` (no gradient) counts as zero."""
    return jax.tree.map(
        lambda a, b: b if a is None else a if b is None else a + b,
        left,
        right,
        is_leaf=lambda leaf: leaf is None,
    )


def scale(prefix: PyTree, tree: PyTree) -> PyTree:
    """Multiply `tree` by `prefix`, a number or a tree prefix of numbers; dtypes of `tree` are kept."""
    factors = jax.tree.broadcast(prefix, tree)
    return jax.tree.map(lambda factor, leaf: (factor * leaf).astype(leaf.dtype), factors, tree)


def dot(left: PyTree, right: PyTree) -> Scalar:
    """Inner product over all floating-point leaves; `None` counts as zero."""
    pairs = zip(jax.tree.leaves(left, is_leaf=_none), jax.tree.leaves(right, is_leaf=_none), strict=True)
    terms = [jnp.vdot(a, b) for a, b in pairs if a is not None and b is not None]
    return jnp.asarray(sum(terms, start=0.0))


def where(condition: Bool[Array, ""], yes: PyTree, no: PyTree) -> PyTree:
    """Choose one of two trees of equal structure, whole; works on random keys and counters too.

    A conditional, because compilers fuse the condition anew into the selection of every leaf.
    """
    (yes, static), (no, _) = (eqx.partition(tree, eqx.is_array) for tree in (yes, no))
    chosen = jax.lax.cond(condition, lambda yes, no: yes, lambda yes, no: no, yes, no)
    return eqx.combine(chosen, static)


def finite(tree: PyTree) -> Bool[Array, ""]:
    """Whether every floating-point entry is finite."""
    leaves = [jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(eqx.filter(tree, eqx.is_inexact_array))]
    return jnp.stack(leaves).all() if leaves else jnp.asarray(True)


def squared_norm(tree: PyTree) -> Scalar:
    """Sum of squares over all floating-point leaves."""
    floats = eqx.filter(tree, eqx.is_inexact_array)
    return dot(floats, floats)


def entry(tree: PyTree, number: int | Int[Array, ""]) -> PyTree:
    """One entry of the leading axis of every leaf."""
    return jax.tree.map(lambda leaf: leaf[number], tree)


def stacked(trees: Sequence[PyTree]) -> PyTree:
    """Trees of equal structure as one, with a leading axis in every leaf."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def constant(tree: PyTree) -> PyTree:
    """The same values, through which no gradient flows. Objectives never call this; those who wire them may."""
    return jax.lax.stop_gradient(tree)


def strong(tree: PyTree) -> PyTree:
    """Arrays without weak types, so that a second call of a compiled program meets the types of the first."""
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype=jnp.result_type(leaf)), tree)


def kept(tree: PyTree, before: PyTree) -> PyTree:
    """The same values, floating-point ones in the types they had before: wider arithmetic stays in between."""

    def keep(leaf: Any, old: Any) -> Any:
        real = jnp.issubdtype(jnp.result_type(old), jnp.inexact)
        return jnp.asarray(leaf).astype(jnp.result_type(old)) if real else leaf

    return jax.tree.map(keep, tree, before)


def typed(tree: PyTree, example: PyTree) -> PyTree:
    """The same values in the types of an example; with 64-bit numbers enabled worlds and samplers give wider ones."""
    return jax.tree.map(lambda leaf, like: leaf.astype(like.dtype), tree, example)


def path_name(path: tuple[Any, ...]) -> str:
    """`policy/layers/0/weight`: the name of a leaf for people and files."""
    return jax.tree_util.keystr(path, simple=True, separator="/")


def _none(leaf: Any) -> bool:
    return leaf is None
