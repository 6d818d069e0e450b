"""The multilayer perceptron.

Written out rather than built on `equinox.nn.MLP`, which takes one vector at a time and keeps its activation
among its parameters; these are twenty lines, and their parameters are arrays only.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Shaped

from selftune.networks.network import Network, flat, leading_axes
from selftune.types import PRNGKey


class Layer(NamedTuple):
    """One affine map."""

    weight: Float[Array, "in out"]
    bias: Float[Array, " out"]


def mlp(
    in_shape: Sequence[int],
    out_size: int,
    hidden: Sequence[int] = (64, 64),
    activation: Callable[[Array], Array] = jnp.tanh,
    out_scale: float = 1.0,
) -> Network:
    """A multilayer perceptron with a linear last layer.

    Weights begin as truncated normals of variance 1/fan_in (LeCun et al. 1998, Efficient BackProp), biases at
    0. An orthogonal start would need a QR decomposition, which can hang for ever on a CPU when it is batched
    by `vmap`.

    Args:
        in_shape: shape of one observation; flattened, and cast to the type of the weights; the bytes of
            an image (three axes) to [0, 1].
        out_size: number of outputs.
        hidden: widths of the hidden layers; none at all gives a linear function.
        activation: applied after each hidden layer.
        out_scale: factor on the last layer's initial weights; 0.01 makes the first policy of a softmax near
            uniform.

    Returns:
        A `Network` from observations [..., *in_shape] to [..., out_size]; its parameters are a tuple of
        `Layer`.
    """
    widths = [math.prod(in_shape), *hidden, out_size]
    scales = [1.0] * len(hidden) + [out_scale]

    def init(key: PRNGKey) -> tuple[Layer, ...]:
        keys = jax.random.split(key, len(scales))
        return tuple(map(_init_layer, keys, widths[:-1], widths[1:], scales))

    def apply(params: tuple[Layer, ...], observation: Shaped[Array, "..."]) -> Float[Array, "..."]:
        # One axis of samples: with two, weight gradients on a CPU are products of copies, a quarter of the time of PPO.
        axes = leading_axes(observation, in_shape)
        x = flat(observation, in_shape, params[0].weight.dtype).reshape(math.prod(axes), widths[0])
        for layer in params[:-1]:
            x = activation(_affine(layer, x))
        return _affine(params[-1], x).reshape(*axes, out_size)

    return Network(init, apply)


def _init_layer(key, fan_in, fan_out, scale):
    weight = jax.nn.initializers.lecun_normal()(key, (fan_in, fan_out))
    return Layer(scale * weight, jnp.zeros(fan_out))


def _affine(layer, x):
    product = x @ layer.weight
    return product + jnp.broadcast_to(layer.bias, product.shape)
