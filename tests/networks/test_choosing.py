"""Images are seen by convolutions, everything else by a perceptron."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from selftune.networks import mlp, nature, suited


def same(network, expected, observation):
    params, key = network.init(jax.random.key(0)), jax.random.key(0)
    jax.tree.map(np.testing.assert_array_equal, params, expected.init(key))
    np.testing.assert_array_equal(network.apply(params, observation), expected.apply(params, observation))


@pytest.mark.parametrize("in_shape", [(), (4,), (10, 5), (10, 10, 4), (50, 40), (36, 35, 3)])
def test_vectors_and_small_arrays(in_shape):
    observation = jax.random.normal(jax.random.key(1), (2, *in_shape))
    same(suited(in_shape, 3, (8,), 0.1), mlp(in_shape, 3, (8,), out_scale=0.1), observation)


def test_images():
    observation = jax.random.randint(jax.random.key(1), (2, 36, 40, 3), 0, 256).astype(jnp.uint8)
    same(suited((36, 40, 3), 5, (8,), 0.1), nature((36, 40, 3), 5, (8,), 0.1), observation)


def test_stacked_frames_with_their_channels_first():
    first, last = suited((4, 36, 40), 5, (8,)), nature((36, 40, 4), 5, (8,))
    params = first.init(jax.random.key(0))
    observation = jax.random.uniform(jax.random.key(1), (3, 2, 4, 36, 40))
    expected = last.apply(params, observation.transpose(0, 1, 3, 4, 2))
    np.testing.assert_allclose(first.apply(params, observation), expected, rtol=1e-5)
