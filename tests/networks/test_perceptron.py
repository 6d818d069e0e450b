"""The perceptron keeps the contract of a network and starts where it says."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from selftune.errors import SettingError
from selftune.networks import mlp
from selftune.networks.perceptron import Layer


def test_forward_by_hand():
    # x = (1, 2): hidden relu(1 - 1, 1 - 4) = (0, 0); output .5
    # x = (3, 0): hidden relu(3 - 1, 3) = (2, 3); output 2*1 + 3*10 + .5 = 32.5
    network = mlp((2,), 1, hidden=(2,), activation=jax.nn.relu)
    params = (
        Layer(jnp.array([[1.0, 1.0], [0.0, -2.0]]), jnp.array([-1.0, 0.0])),
        Layer(jnp.array([[1.0], [10.0]]), jnp.array([0.5])),
    )
    outputs = network.apply(params, jnp.array([[1.0, 2.0], [3.0, 0.0]]))
    np.testing.assert_allclose(outputs, [[0.5], [32.5]])


@pytest.mark.parametrize("leading", [(), (5,), (3, 5)])
@pytest.mark.parametrize("in_shape", [(), (4,), (2, 3)])
def test_leading_axes_are_kept_and_rows_do_not_mix(leading, in_shape):
    network = mlp(in_shape, 2, hidden=(8,))
    params = network.init(jax.random.key(0))
    observation = jax.random.normal(jax.random.key(1), leading + in_shape)
    outputs = network.apply(params, observation)
    assert outputs.shape == (*leading, 2)
    one = network.apply(params, observation[(0,) * len(leading)])
    np.testing.assert_allclose(outputs[(0,) * len(leading)], one, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", [jnp.uint8, jnp.bool_, jnp.float32])
@pytest.mark.parametrize("weights", [jnp.float32, jnp.bfloat16])
def test_observations_are_cast_to_the_type_of_the_weights(dtype, weights):
    network = mlp((3,), 2)
    params = jax.tree.map(lambda x: x.astype(weights), network.init(jax.random.key(0)))
    observation = jnp.array([1, 0, 1], dtype)
    outputs = network.apply(params, observation)
    assert outputs.dtype == weights
    np.testing.assert_array_equal(outputs, network.apply(params, observation.astype(weights)))


def test_bytes_of_an_image_are_shares_of_255_and_those_of_a_vector_are_numbers():
    network = mlp((2, 2, 1), 2)
    params = network.init(jax.random.key(0))
    image = jnp.array([[[0], [51]], [[204], [255]]], jnp.uint8)
    expected = network.apply(params, jnp.array([[[0.0], [0.2]], [[0.8], [1.0]]]))
    np.testing.assert_allclose(network.apply(params, image), expected, rtol=1e-6)
    grey = mlp((2, 2), 2)  # no channels
    np.testing.assert_allclose(grey.apply(params, image[..., 0]), expected, rtol=1e-6)
    flags = jnp.array([0, 1, 1, 0], jnp.uint8)
    vector = mlp((4,), 2)
    np.testing.assert_array_equal(vector.apply(params, flags), vector.apply(params, flags.astype(jnp.float32)))


def test_parameters_are_float_arrays_only():
    leaves = jax.tree.leaves(mlp((3,), 2, hidden=(4, 5)).init(jax.random.key(0)))
    assert [leaf.shape for leaf in leaves] == [(3, 4), (4,), (4, 5), (5,), (5, 2), (2,)]
    assert all(isinstance(leaf, jax.Array) and leaf.dtype == jnp.float32 for leaf in leaves)


def test_initial_scale():
    first, last = mlp((400,), 300, hidden=(500,), out_scale=0.01).init(jax.random.key(0))
    np.testing.assert_allclose(first.weight.std(), 400**-0.5, rtol=0.02)
    np.testing.assert_allclose(last.weight.std(), 0.01 * 500**-0.5, rtol=0.02)
    np.testing.assert_array_equal(first.bias, 0.0)


def test_a_vmapped_init_is_the_inits_one_by_one():
    network = mlp((4,), 2, hidden=(16, 16))
    keys = jax.random.split(jax.random.key(0), 32)
    population = jax.jit(jax.vmap(network.init))(keys)
    alone = network.init(keys[7])
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x[7], y, rtol=1e-6), population, alone)


@pytest.mark.parametrize("shape", [(5,), (4, 5), ()])
def test_a_wrong_observation_shape_is_named(shape):
    network = mlp((4,), 2)
    with pytest.raises(SettingError, match=r"expected \[\.\.\., 4\]"):
        network.apply(network.init(jax.random.key(0)), jnp.zeros(shape))
