"""The built-in network that suits a shape of observations."""

from collections.abc import Sequence

import jax.numpy as jnp
from jaxtyping import Array, Float, Shaped

from selftune.networks.convolution import SMALLEST_SIDE, nature
from selftune.networks.network import Network
from selftune.networks.perceptron import mlp
from selftune.types import Params


def suited(in_shape: Sequence[int], out_size: int, hidden: Sequence[int] = (64, 64), out_scale: float = 1.0) -> Network:
    """`nature` for images of 36×36 pixels and more, `mlp` for everything else.

    Images are (height, width, channels), or (channels, height, width) as Gymnasium and EnvPool stack frames.

    Args:
        in_shape: shape of one observation.
        out_size: number of outputs.
        hidden: widths of the dense hidden layers.
        out_scale: factor on the last layer's initial weights.

    Returns:
        A `Network` from observations [..., *in_shape] to [..., out_size].
    """
    match tuple(in_shape):
        case (height, width, _) if min(height, width) >= SMALLEST_SIDE:
            return nature(in_shape, out_size, hidden, out_scale)
        case (channels, height, width) if min(height, width) >= SMALLEST_SIDE:
            return _channels_first(nature((height, width, channels), out_size, hidden, out_scale))
    return mlp(in_shape, out_size, hidden, out_scale=out_scale)


def _channels_first(network: Network) -> Network:
    def apply(params: Params, observation: Shaped[Array, "..."]) -> Float[Array, "..."]:
        return network.apply(params, jnp.moveaxis(observation, -3, -1))

    return Network(network.init, apply)
