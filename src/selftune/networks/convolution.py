"""Convolutional networks for images [height, width, channels].

A body of convolutions finds features; a multilayer perceptron, the head, reads them. Bytes (uint8) are taken for
brightness and scaled to [0, 1]; every other type is taken as it is.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree, Shaped

from selftune.errors import SettingError
from selftune.networks.network import Network, floats, leading_axes
from selftune.networks.perceptron import Layer, mlp
from selftune.types import PRNGKey

NATURE_LAYERS = ((32, 8, 4), (64, 4, 2), (64, 3, 1))
"""Channels, side of the kernel and stride of each convolution of `nature`."""

SMALLEST_SIDE = 36
"""Pixels that the kernels of `nature` need: 36 become 8, 8 become 3, 3 become 1."""


class Convolution(NamedTuple):
    """One convolution."""

    weight: Float[Array, "height width in out"]
    bias: Float[Array, " out"]


class Section(NamedTuple):
    """One section of `impala`: a convolution, a halving of the image, and two residual blocks."""

    entry: Convolution
    blocks: tuple[tuple[Convolution, Convolution], ...]


class Vision(NamedTuple):
    """Parameters of a convolutional network."""

    body: PyTree
    head: tuple[Layer, ...]


def nature(in_shape: Sequence[int], out_size: int, hidden: Sequence[int] = (512,), out_scale: float = 1.0) -> Network:
    """The network of DQN: 32 kernels 8×8 by 4, 64 of 4×4 by 2, 64 of 3×3 by 1, each with relu, then dense layers.

    Mnih et al. 2015, Human-level control through deep reinforcement learning (https://doi.org/10.1038/nature14236).
    Kernels begin as truncated normals of variance 2/fan_in (He et al. 2015, https://arxiv.org/abs/1502.01852), dense
    layers as those of `mlp`.

    Args:
        in_shape: (height, width, channels) of one observation, each side 36 pixels or more.
        out_size: number of outputs.
        hidden: widths of the dense relu layers before the outputs.
        out_scale: factor on the last layer's initial weights.

    Returns:
        A `Network` from observations [..., height, width, channels] to [..., out_size].

    Raises:
        SettingError: if the image is too small for the kernels, or is none.
    """
    height, width, channels = _image_shape(in_shape)
    if min(height, width) < SMALLEST_SIDE:
        raise SettingError(
            f"nature got in_shape={tuple(in_shape)}, expected (height, width, channels) with {SMALLEST_SIDE}x"
            f"{SMALLEST_SIDE} pixels or more: its kernels do not fit into {height}x{width}. Choose mlp for an image "
            "this small, or impala, which takes any size."
        )
    counts, sides, strides = zip(*NATURE_LAYERS, strict=True)

    def init(key: PRNGKey) -> tuple[Convolution, ...]:
        keys = jax.random.split(key, len(NATURE_LAYERS))
        return tuple(map(_init_convolution, keys, sides, (channels, *counts[:-1]), counts))

    def apply(params: tuple[Convolution, ...], image: Float[Array, "N H W C"]) -> Float[Array, "N h w c"]:
        for layer, stride in zip(params, strides, strict=True):
            image = jax.nn.relu(_convolve(layer, image, stride, "VALID"))
        return image

    return _seeing(Network(init, apply), in_shape, out_size, hidden, out_scale)


def impala(
    in_shape: Sequence[int],
    out_size: int,
    channels: Sequence[int] = (16, 32, 32),
    hidden: Sequence[int] = (256,),
    out_scale: float = 1.0,
) -> Network:
    """The large network of IMPALA, without its LSTM: sections of convolution, max-pooling and two residual blocks.

    Espeholt et al. 2018, figure 3 (https://arxiv.org/abs/1802.01561). All convolutions are 3×3; the pooling, 3×3 by 2,
    halves the image. Kernels begin as truncated normals of variance 2/fan_in (He et al. 2015,
    https://arxiv.org/abs/1502.01852), divided in the last convolution of a residual block by the root of the number of
    blocks: else every block would double the variance of what passes it. Dense layers begin as those of `mlp`.

    Args:
        in_shape: (height, width, channels) of one observation, of any size.
        out_size: number of outputs.
        channels: kernels of each section.
        hidden: widths of the dense relu layers before the outputs.
        out_scale: factor on the last layer's initial weights.

    Returns:
        A `Network` from observations [..., height, width, channels] to [..., out_size].

    Raises:
        SettingError: if `in_shape` is not that of an image.
    """

    def init_block(key: PRNGKey, size: int) -> tuple[Convolution, Convolution]:
        first, last = jax.random.split(key)
        scale = (2 * len(channels)) ** -0.5
        return _init_convolution(first, 3, size, size), _init_convolution(last, 3, size, size, scale)

    def init_section(key: PRNGKey, fan_in: int, size: int) -> Section:
        entry, first, second = jax.random.split(key, 3)
        return Section(_init_convolution(entry, 3, fan_in, size), (init_block(first, size), init_block(second, size)))

    def init(key: PRNGKey) -> tuple[Section, ...]:
        keys = jax.random.split(key, len(channels))
        return tuple(map(init_section, keys, (in_shape[-1], *channels[:-1]), channels))

    def apply(params: tuple[Section, ...], image: Float[Array, "N H W C"]) -> Float[Array, "N h w c"]:
        for section in params:
            image = _max_pool(_convolve(section.entry, image))
            for first, last in section.blocks:
                image += _convolve(last, jax.nn.relu(_convolve(first, jax.nn.relu(image))))
        return jax.nn.relu(image)

    return _seeing(Network(init, apply), _image_shape(in_shape), out_size, hidden, out_scale)


def _seeing(body: Network, in_shape, out_size, hidden, out_scale) -> Network:
    """A body, and a head that reads what the body found."""

    def look(key):
        return body.apply(body.init(key), jnp.zeros((1, *in_shape)))

    size = jax.eval_shape(look, jax.random.key(0)).size
    head = mlp((size,), out_size, hidden, jax.nn.relu, out_scale)

    def init(key: PRNGKey) -> Vision:
        body_key, head_key = jax.random.split(key)
        return Vision(body.init(body_key), head.init(head_key))

    def apply(params: Vision, observation: Shaped[Array, "..."]) -> Float[Array, "..."]:
        leading = leading_axes(observation, in_shape)
        images = floats(observation, params.head[0].weight.dtype).reshape(math.prod(leading), *in_shape)
        return head.apply(params.head, body.apply(params.body, images).reshape(*leading, size))

    return Network(init, apply)


def _image_shape(in_shape):
    if len(in_shape) != 3:
        raise SettingError(
            f"A convolutional network got in_shape={tuple(in_shape)}, expected (height, width, channels): give a grey "
            "image a last axis of 1, or choose mlp."
        )
    return tuple(in_shape)


def _init_convolution(key, side, fan_in, fan_out, scale=1.0):
    weight = scale * jax.nn.initializers.he_normal()(key, (side, side, fan_in, fan_out))
    return Convolution(weight, jnp.zeros(fan_out))


def _convolve(layer, image, stride=1, padding="SAME"):
    axes = ("NHWC", "HWIO", "NHWC")
    out = jax.lax.conv_general_dilated(image, layer.weight, (stride, stride), padding, dimension_numbers=axes)
    return out + jnp.broadcast_to(layer.bias, out.shape)


def _max_pool(image):
    """The greatest of each 3×3 pixels, by 2, as wide as padding "SAME" makes it.

    Of slices rather than `reduce_window`, whose derivatives took up to twice as long on a CPU.
    """
    return _greatest_of_three(_greatest_of_three(image, 1), 2)


def _greatest_of_three(image, axis):
    size = image.shape[axis]
    before, after = size % 2, 1
    edges = [(before, after) if i == axis else (0, 0) for i in range(image.ndim)]
    padded = jnp.pad(image, edges, constant_values=-jnp.inf)
    left, middle, right = (jax.lax.slice_in_dim(padded, i, i + size + before - 1, 2, axis) for i in range(3))
    return jnp.maximum(jnp.maximum(left, middle), right)
