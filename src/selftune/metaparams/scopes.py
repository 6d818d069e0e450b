"""Scopes: how many numbers stand behind one metaparameter, and what they depend on.

A scope turns the declared value into learnable coordinates, and the coordinates back into an unconstrained value that
an update rule can use: one number, or a tree shaped like the parameters.
"""

from collections.abc import Callable, Sequence
from numbers import Integral
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.core import Tracer

from selftune import _tree
from selftune.errors import SettingError
from selftune.types import Array, Float, Params, PRNGKey, PyTree, Scalar


class Scope(NamedTuple):
    """A named pair of functions between a metaparameter's coordinates and its unconstrained value."""

    name: str
    init: Callable[[Float[Array, "..."], Params, PRNGKey], PyTree]
    """`init(unconstrained value, params, key) -> coordinates`."""
    expand: Callable[[PyTree, Params, Float[Array, " C"] | None], PyTree]
    """`expand(coordinates, params, context) -> unconstrained value`, a number or a tree shaped like `params`."""
    move: Callable[[Callable[[Array], Array], PyTree], PyTree] = jax.tree.map
    """`move(function, coordinates)`: apply a function to those coordinates that are unconstrained values themselves."""
    reads_context: bool = False
    """Whether the value depends on the context, and its coordinates are a function's."""
    held: bool = False
    """Whether no value leaves an interval, whatever the coordinates: see `between`."""


scalar = Scope("scalar", init=lambda value, params, key: value, expand=lambda coordinates, params, context: coordinates)
"""The value as declared: one number (or one array) for everything."""


def _per_layer_init(value: Float[Array, "..."], params: Params, key: PRNGKey) -> PyTree:
    return {_layer(path): value for path, _ in jax.tree_util.tree_leaves_with_path(params)}


def _per_layer_expand(coordinates: PyTree, params: Params, context: Float[Array, " C"] | None) -> PyTree:
    return jax.tree_util.tree_map_with_path(lambda path, _: coordinates[_layer(path)], params)


per_layer = Scope("per_layer", _per_layer_init, _per_layer_expand)
"""One number for each layer: the leaves of `params` that share a parent (a weight and its bias) share it; those that
have none, as in a flat dictionary, have one each."""

per_parameter = Scope(
    "per_parameter",
    init=lambda value, params, key: jax.tree.map(lambda leaf: jnp.broadcast_to(value, leaf.shape), params),
    expand=lambda coordinates, params, context: coordinates,
)
"""One number for each entry of `params`."""


def contextual(size: int, hidden: Sequence[int] = (32,)) -> Scope:
    """One number, the output of a small tanh network of a context vector; its weights are what is learned.

    The last layer starts at zero, so that the declared value is what every context gives at first. No gradient flows
    into the context (Luketina et al. 2022, https://proceedings.mlr.press/v199/luketina22a.html).

    Args:
        size: Entries of the context, `C`. Features are best normalised into [-1, 1].
        hidden: Widths of the hidden layers.
    """
    if not (isinstance(hidden, Sequence) and all(isinstance(n, Integral) and n >= 1 for n in (size, *hidden))):
        raise SettingError(
            f"contextual({size!r}, hidden={hidden!r}): expected positive sizes, whole numbers, such as contextual(2, "
            "hidden=(32,))."
        )

    def init(value: Float[Array, "..."], params: Params, key: PRNGKey) -> PyTree:
        sizes = (size, *hidden)
        keys = jax.random.split(key, len(sizes))
        layers = [
            {"weight": jax.random.normal(k, (n, m)) / jnp.sqrt(n), "bias": jnp.zeros(m)}
            for k, n, m in zip(keys, sizes[:-1], sizes[1:], strict=False)
        ]
        return {"hidden": layers, "output": {"weight": jnp.zeros((sizes[-1], *value.shape)), "bias": value}}

    def expand(coordinates: PyTree, params: Params, context: Float[Array, " C"] | None) -> PyTree:
        if context is None or context.shape != (size,):
            got = "none" if context is None else f"shape {context.shape}"
            raise SettingError(
                f"A contextual metaparameter expects a context of shape ({size},), got {got}. Give the tuner "
                "`context=`, a function from a batch to that vector."
            )
        activation = _tree.constant(context)
        for layer in coordinates["hidden"]:
            activation = jnp.tanh(activation @ layer["weight"] + layer["bias"])
        return jnp.tensordot(activation, coordinates["output"]["weight"], axes=1) + coordinates["output"]["bias"]

    def move(function: Callable[[Array], Array], coordinates: PyTree) -> PyTree:
        output = coordinates["output"]
        return {**coordinates, "output": {**output, "bias": function(output["bias"])}}

    return Scope(f"contextual({size})", init, expand, move, reads_context=True)


def between(lowest: float | Scalar, highest: float | Scalar, scope: Scope) -> Scope:
    """A scope none of whose values leave an interval, whatever its coordinates and the context.

    Beyond an end the value stands still and its slope does not: a gradient that turns round leads back inside, from as
    far outside as the coordinates went. A metaparameter that depends on the context, held in [0.001, 0.1]:

        st.MetaParam(0.01, st.positive, st.between(*st.positive.coordinates((1e-3, 0.1)), st.contextual(2)))

    Args:
        lowest: In unconstrained coordinates, as `Constraint.coordinates` gives them.
        highest: Likewise, above `lowest`.
        scope: The scope that is held.

    Raises:
        SettingError: There is nothing between them.
    """
    if not (isinstance(lowest, Tracer) or isinstance(highest, Tracer)) and not lowest < highest:
        raise SettingError(
            f"between({lowest}, {highest}, {scope.name}): expected lowest below highest. Give both as "
            "constraint.coordinates((low, high)) gives them, the lower coordinate first."
        )

    def held(entry: Float[Array, "..."]) -> Float[Array, "..."]:
        inside = jnp.clip(_tree.constant(entry), lowest, highest).astype(entry.dtype)
        return inside + (entry - _tree.constant(entry))

    def expand(coordinates: PyTree, params: Params, context: Float[Array, " C"] | None) -> PyTree:
        return jax.tree.map(held, scope.expand(coordinates, params, context))

    return scope._replace(expand=expand, held=True)


def _layer(path: tuple) -> str:
    return _tree.path_name(path[:-1] or path)
