import jax
import jax.numpy as jnp
import pytest

from selftune.errors import SettingError
from selftune.networks.dueling import dueling


def test_the_mean_over_actions_is_the_value_stream():
    network = dueling((3,), 4, (8, 6))
    params = network.init(jax.random.key(0))
    observation = jax.random.normal(jax.random.key(1), (5, 2, 3))
    q = network.apply(params, observation)
    assert q.shape == (5, 2, 4)
    more = params._replace(advantage=jax.tree.map(lambda leaf: 3.0 * leaf, params.advantage))
    assert jnp.allclose(network.apply(more, observation).mean(-1), q.mean(-1), atol=1e-6)
    assert not jnp.allclose(network.apply(more, observation), q)


def test_the_value_stream_moves_all_actions_alike():
    network = dueling((3,), 4, (8, 6))
    params = network.init(jax.random.key(0))
    last = params.value[-1]
    higher = params._replace(value=(*params.value[:-1], last._replace(bias=last.bias + 2.0)))
    observation = jnp.ones((1, 3))
    assert jnp.allclose(network.apply(higher, observation), network.apply(params, observation) + 2.0)


def test_images_pass_through_convolutions():
    network = dueling((36, 36, 1), 2, (8, 8))
    params = network.init(jax.random.key(0))
    assert network.apply(params, jnp.zeros((2, 36, 36, 1), jnp.uint8)).shape == (2, 2)


def test_a_single_hidden_layer_is_refused():
    with pytest.raises(SettingError, match="two widths"):
        dueling((3,), 4, (8,))
