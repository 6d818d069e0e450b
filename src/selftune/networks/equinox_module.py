"""Equinox modules as networks."""

import math
from collections.abc import Callable, Sequence

import equinox as eqx
import jax
from jaxtyping import Array, PyTree, Shaped

from selftune.networks.network import Network, leading_axes
from selftune.types import Params, PRNGKey


def from_equinox(build: Callable[[PRNGKey], eqx.Module], in_shape: Sequence[int]) -> Network:
    """Make a network of an Equinox module.

        from_equinox(lambda key: eqx.nn.MLP(4, 2, 64, 2, key=key), in_shape=(4,))

    The module's floating-point arrays are the parameters. All else in it (activations, integers, flags) is
    taken from one build and must not depend on the key.

    Args:
        build: makes the module from a key; the module maps one observation of `in_shape` to one output.
        in_shape: shape of one observation.

    Returns:
        A `Network` from observations [..., *in_shape] to outputs [..., ...], of the type the module gives.
    """
    _, static = eqx.partition(build(jax.random.key(0)), eqx.is_inexact_array)

    def init(key: PRNGKey) -> Params:
        return eqx.filter(build(key), eqx.is_inexact_array)

    def apply(params: Params, observation: Shaped[Array, "..."]) -> PyTree:
        leading = leading_axes(observation, in_shape)
        one_axis = observation.reshape(math.prod(leading), *in_shape)
        outputs = jax.vmap(eqx.combine(params, static))(one_axis)
        return jax.tree.map(lambda x: x.reshape(*leading, *x.shape[1:]), outputs)

    return Network(init, apply)
