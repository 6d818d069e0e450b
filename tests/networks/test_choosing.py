"""Images are seen by convolutions, everything else by a perceptron."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from selftune.networks import mlp, nature, suited


def same(network, expected, observation):
    """The same program, to the letter: same parameters, same outputs."""
    key = jax.random.key(0)
    params = jax.eval_shape(network.init, key)
    assert str(jax.make_jaxpr(network.init)(key)) == str(jax.make_jaxpr(expected.init)(key))
    programs = [str(jax.make_jaxpr(which.apply)(params, observation)) for which in (network, expected)]
    assert programs[0] == programs[1]


@pytest.mark.parametrize("in_shape", [(), (4,), (10, 5), (10, 10, 4), (50, 40), (36, 35, 3)])
def test_vectors_and_small_arrays(in_shape):
    observation = jnp.zeros((2, *in_shape))
    same(suited(in_shape, 3, (8,), 0.1), mlp(in_shape, 3, (8,), out_scale=0.1), observation)


def test_images():
    observation = jnp.zeros((2, 36, 40, 3), jnp.uint8)
    same(suited((36, 40, 3), 5, (8,), 0.1), nature((36, 40, 3), 5, (8,), 0.1), observation)


def test_stacked_frames_with_their_channels_first():
    first, last = suited((4, 36, 40), 5, (8,)), nature((36, 40, 4), 5, (8,))
    rng, shapes = np.random.default_rng(0), jax.eval_shape(first.init, jax.random.key(0))
    params = jax.tree.map(lambda leaf: jnp.asarray(0.1 * rng.normal(size=leaf.shape), leaf.dtype), shapes)
    observation = jnp.asarray(rng.uniform(size=(3, 2, 4, 36, 40)), jnp.float32)
    expected = jax.jit(last.apply)(params, observation.transpose(0, 1, 3, 4, 2))
    np.testing.assert_allclose(jax.jit(first.apply)(params, observation), expected, rtol=1e-4, atol=1e-5)
