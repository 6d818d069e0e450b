"""An Equinox module keeps its values and gains the contract of a network."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from selftune.networks import from_equinox


class TwoHeads(eqx.Module):
    """Parameters, a static function, and an integer array that must not be learned."""

    policy: eqx.nn.MLP
    value: eqx.nn.Linear
    order: jax.Array

    def __init__(self, key):
        policy_key, value_key = jax.random.split(key)
        self.policy = eqx.nn.MLP(6, 3, 8, 1, activation=jnp.tanh, key=policy_key)
        self.value = eqx.nn.Linear(6, "scalar", key=value_key)
        self.order = jnp.array([2, 1, 0])

    def __call__(self, observation):
        flat = observation.reshape(6)
        return self.policy(flat)[self.order], self.value(flat)


def test_values_are_those_of_the_module():
    network, key = from_equinox(TwoHeads, in_shape=(2, 3)), jax.random.key(3)
    observation = jax.random.normal(jax.random.key(1), (4, 5, 2, 3))
    logits, values = network.apply(network.init(key), observation)
    assert logits.shape == (4, 5, 3)
    assert values.shape == (4, 5)
    expected_logits, expected_value = TwoHeads(key)(observation[2, 4])
    np.testing.assert_allclose(logits[2, 4], expected_logits, rtol=1e-5)
    np.testing.assert_allclose(values[2, 4], expected_value, rtol=1e-5)
    one_logits, _ = network.apply(network.init(key), observation[2, 4])
    np.testing.assert_allclose(one_logits, expected_logits, rtol=1e-5)


def test_parameters_are_float_arrays_only():
    network = from_equinox(TwoHeads, in_shape=(2, 3))
    params = network.init(jax.random.key(0))
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype("float32")}
    slopes = jax.grad(lambda params: network.apply(params, jnp.ones((2, 3)))[1])(params)
    np.testing.assert_allclose(slopes.value.weight, jnp.ones((1, 6)))  # the value is linear in its weights
