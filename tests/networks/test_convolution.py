"""Convolutional networks compute what the papers draw, and can be differentiated twice."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from selftune.errors import SettingError
from selftune.networks import Network, impala, nature
from selftune.networks.convolution import Convolution, Section, Vision, _max_pool
from selftune.networks.perceptron import Layer

KEY = jax.random.key(0)


def smallest_nature() -> Network:
    return nature((36, 36, 2), 3, hidden=(8,))


def small_impala() -> Network:
    return impala((5, 4, 2), 3, channels=(3,), hidden=(8,))


def drawn(network: Network, seed: int = 0) -> Vision:
    """Parameters of the right shapes, biases too, without waiting for the compiler to make `init`."""
    rng, shapes = np.random.default_rng(seed), jax.eval_shape(network.init, KEY)
    return jax.tree.map(lambda leaf: jnp.asarray(0.1 * rng.normal(size=leaf.shape), leaf.dtype), shapes)


both = pytest.mark.parametrize(("build", "in_shape"), [(smallest_nature, (36, 36, 2)), (small_impala, (5, 4, 2))])


def test_the_layers_of_nature():
    # 84 pixels: (84 - 8) / 4 + 1 = 20, (20 - 4) / 2 + 1 = 9, (9 - 3) / 1 + 1 = 7; 7 * 7 * 64 = 3136 features
    params = jax.eval_shape(nature((84, 84, 4), 6).init, KEY)
    shapes = [leaf.shape for leaf in jax.tree.leaves(params)]
    assert shapes[:6] == [(8, 8, 4, 32), (32,), (4, 4, 32, 64), (64,), (3, 3, 64, 64), (64,)]
    assert shapes[6:] == [(3136, 512), (512,), (512, 6), (6,)]


def test_the_layers_of_impala():
    # 84 pixels: 42, 21, 11; 11 * 11 * 32 = 3872 features; five convolutions in each of three sections
    params = jax.eval_shape(impala((84, 84, 4), 6).init, KEY)
    kernels = [leaf.shape for leaf in jax.tree.leaves(params.body) if leaf.ndim == 4]
    assert kernels == [
        *((3, 3, 4, 16), *[(3, 3, 16, 16)] * 4),
        *((3, 3, 16, 32), *[(3, 3, 32, 32)] * 4),
        *((3, 3, 32, 32), *[(3, 3, 32, 32)] * 4),
    ]
    assert [leaf.shape for leaf in jax.tree.leaves(params.head)] == [(3872, 256), (256,), (256, 6), (6,)]


def test_impala_by_hand():
    # One pixel, one kernel: of 3x3 weights only the middle one meets it. A kernel is written middle + bias.
    # x = 2: entry -1x + 1 = -1; pooling -1
    #   block 1: relu(-1) = 0; 3 * 0 + 2 = 2; relu 2; 1 * 2 + 2 = 4; -1 + 4 = 3
    #   block 2: relu 3; -1 * 3 + 1 = -2; relu 0; 5 * 0 - 2 = -2; 3 - 2 = 1
    #   relu 1; head 2 * 1 + 1 = 3
    # x = 4: entry -3; block 1: -3 + 4 = 1; block 2: -1 * 1 + 1 = 0; 5 * 0 - 2 = -2; 1 - 2 = -1; relu 0; head 1
    def kernel(middle, bias):
        return Convolution(jnp.full((3, 3, 1, 1), 7.0).at[1, 1].set(middle), jnp.array([bias]))

    blocks = ((kernel(3.0, 2.0), kernel(1.0, 2.0)), (kernel(-1.0, 1.0), kernel(5.0, -2.0)))
    params = Vision((Section(kernel(-1.0, 1.0), blocks),), (Layer(jnp.array([[2.0]]), jnp.array([1.0])),))
    network = impala((1, 1, 1), 1, channels=(1,), hidden=())
    outputs = jax.jit(network.apply)(params, jnp.array([2.0, 4.0]).reshape(2, 1, 1, 1))
    np.testing.assert_allclose(outputs, [[3.0], [1.0]])


def test_nature_sees_with_every_kernel_where_it_should():
    # All weights 1/fan_in and all pixels 1: every layer averages ones, and the head, of weight 1, sums 64 of them.
    network = nature((36, 36, 1), 1, hidden=())
    shapes = jax.eval_shape(network.init, KEY)
    body = tuple(
        Convolution(jnp.full(layer.weight.shape, 1 / np.prod(layer.weight.shape[:3])), jnp.zeros(layer.bias.shape))
        for layer in shapes.body
    )
    params = Vision(body, (Layer(jnp.ones((64, 1)), jnp.zeros(1)),))
    apply = jax.jit(network.apply)
    np.testing.assert_allclose(apply(params, jnp.ones((36, 36, 1))), [64.0], rtol=1e-5)
    np.testing.assert_allclose(apply(params, -jnp.ones((36, 36, 1))), [0.0])
    # The first row of pixels meets 1 of 8 rows of the first kernel's first position, and that is 1 of 4 rows of the
    # second's, 1 of 3 of the third's: 1 / 96 of the sum.
    row = jnp.zeros((36, 36, 1)).at[0].set(1.0)
    np.testing.assert_allclose(apply(params, row), [64 / 96], rtol=1e-5)


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (7, 6)])
def test_pooling_is_that_of_a_window_with_same_padding(size):
    image = jnp.asarray(np.random.default_rng(0).normal(-3.0, 1.0, (2, *size, 3)), jnp.float32)
    window = jax.lax.reduce_window(image, -jnp.inf, jax.lax.max, (1, 3, 3, 1), (1, 2, 2, 1), "SAME")
    np.testing.assert_array_equal(jax.jit(_max_pool)(image), window)


@both
def test_leading_axes_are_kept_bytes_are_brightness_and_floats_are_taken_as_they_are(build, in_shape):
    network = build()
    params, apply = drawn(network), jax.jit(network.apply)
    observation = np.random.default_rng(1).integers(0, 256, (2, 3, *in_shape), np.uint8)
    outputs = apply(params, jnp.asarray(observation))
    assert outputs.shape == (2, 3, 3)
    brightness = jnp.asarray(observation[1, 2] / np.float32(255))
    np.testing.assert_allclose(apply(params, brightness), outputs[1, 2], rtol=1e-4, atol=1e-5)
    assert not np.allclose(apply(params, 255 * brightness), outputs[1, 2], rtol=0.1)


@both
def test_derivatives_of_first_and_second_order_are_those_of_differences(build, in_shape, float64):
    network = build()
    params, direction = drawn(network), drawn(network, seed=1)
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype("float64")}
    observation = jnp.asarray(np.random.default_rng(2).uniform(size=(2, *in_shape)))

    def loss(step):
        moved = jax.tree.map(lambda x, d: x + step * d, params, direction)
        return (network.apply(moved, observation) ** 2).sum()

    @jax.jit
    def derivatives(step):
        (value, slope), (_, curvature) = jax.jvp(jax.value_and_grad(loss), (step,), (1.0,))
        return value, slope, curvature

    ahead, here, behind = derivatives(1e-6), derivatives(0.0), derivatives(-1e-6)
    np.testing.assert_allclose(here[1], (ahead[0] - behind[0]) / 2e-6, rtol=1e-5)
    np.testing.assert_allclose(here[2], (ahead[1] - behind[1]) / 2e-6, rtol=1e-5)


@both
def test_second_derivatives_are_finite_on_a_blank_image(build, in_shape):
    # All pixels equal: every maximum is a tie and, with biases at 0, every relu sits on its kink.
    network = build()
    params = jax.tree.map(lambda leaf: leaf if leaf.ndim > 1 else 0 * leaf, drawn(network))
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype("float32")}

    def loss(params):
        return (network.apply(params, jnp.zeros((1, *in_shape), jnp.uint8)) ** 2).sum()

    slopes, curvature = jax.jit(lambda params: jax.jvp(jax.grad(loss), (params,), (params,)))(params)
    assert all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves((slopes, curvature)))


def test_initial_scale():
    params = impala((4, 4, 2), 300, channels=(64,), out_scale=0.01).init(KEY)
    ((_, blocks),) = params.body
    np.testing.assert_allclose(blocks[1][0].weight.std(), (2 / (9 * 64)) ** 0.5, rtol=0.03)
    np.testing.assert_allclose(blocks[1][1].weight.std(), (1 / (9 * 64)) ** 0.5, rtol=0.03)  # two blocks
    np.testing.assert_allclose(params.head[-1].weight.std(), 0.01 * 256**-0.5, rtol=0.03)
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(params))


def test_the_scale_of_the_outputs_is_heard_by_nature():
    # The programs that draw the parameters differ in one factor, a number that nothing else would use.
    small, large = (str(jax.make_jaxpr(nature((36, 36, 2), 3, (8,), scale).init)(KEY)) for scale in (2.0**-10, 1.0))
    assert small.count("0.0009765625") == 1
    assert small.replace("0.0009765625", "1.0") == large


def test_an_image_too_small_for_nature_is_refused():
    with pytest.raises(SettingError, match=r"36x36 pixels or more.* 10x5\. Choose mlp"):
        nature((10, 5, 1), 3)
    with pytest.raises(SettingError, match="36x36"):
        nature((36, 35, 1), 3)


@pytest.mark.parametrize("build", [nature, impala])
def test_what_is_no_image_is_refused(build):
    with pytest.raises(SettingError, match=r"\(84, 84\), expected \(height, width, channels\)"):
        build((84, 84), 3)


def test_a_wrong_observation_shape_is_named():
    network = small_impala()
    with pytest.raises(SettingError, match=r"expected \[\.\.\., 5, 4, 2\]"):
        network.apply(jax.eval_shape(network.init, KEY), jnp.zeros((4, 5, 2)))
