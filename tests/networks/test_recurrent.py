"""The recurrent network computes the published gates, and forgets exactly where an episode begins."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from selftune.networks import gru
from selftune.networks.perceptron import Layer
from selftune.networks.recurrent import Cell, Memory

T, B, H = 6, 3, 4
NETWORK = gru((2,), 5, hidden=H, torso=(3,))
step, unroll = jax.jit(NETWORK.step), jax.jit(NETWORK.unroll)


@pytest.fixture(scope="module")
def experience():
    rng, shapes = np.random.default_rng(0), jax.eval_shape(NETWORK.init, jax.random.key(0))
    params = jax.tree.map(lambda leaf: jnp.asarray(0.5 * rng.normal(size=leaf.shape), leaf.dtype), shapes)
    observation = jnp.asarray(rng.normal(size=(T, B, 2)), jnp.float32)
    carry = jnp.asarray(rng.uniform(-1.0, 1.0, (B, H)), jnp.float32)
    first = np.zeros((T, B), bool)
    first[[3, 0, 5], [1, 2, 0]] = True
    return params, carry, observation, jnp.asarray(first)


def test_one_step_by_hand():
    # H = 2, no torso, x = 1, h = (.5, -1). The torso says to z (1, 0), to r (0, 1), to c (.5, 0).
    #   h U_zr = (.25, 0 | -.5, -1)
    #   z  = sigma(1.25, 0)                        = (.777300, .5)
    #   r  = sigma(-.5, 0)                         = (.377541, .5)
    #   r * h                                      = (.188770, -.5)
    #   (r * h) U_c = (.188770 - 3 * .5, 2 * .188770) = (-1.311230, .377541)
    #   c  = tanh(-.811230, .377541)               = (-.670268, .360570)
    #   h' = (.5 * .777300 - .222700 * .670268, -.5 + .5 * .360570) = (.239381, -.319715)
    #   output = 10 * .239381 - .319715 + 1        = 3.074096
    # first: h = 0: z = sigma(1, 0) = (.731059, .5), c = tanh(.5, 0) = (.462117, 0)
    #   h' = (.268941 * .462117, 0) = (.124282, 0); output 2.242824
    network = gru((1,), 1, hidden=2, torso=())
    torso = (Layer(jnp.array([[1.0, 0.0, 2.0, 3.0, 0.0, 0.0]]), jnp.array([0.0, 0.0, -2.0, -2.0, 0.5, 0.0])),)
    gates = jnp.array([[0.5, 0.0, -1.0, 0.0], [0.0, 0.0, 0.0, 1.0]])
    cell = Cell(gates, candidate=jnp.array([[1.0, 2.0], [3.0, 0.0]]))
    params = Memory(torso, cell, (Layer(jnp.array([[10.0], [1.0]]), jnp.array([1.0])),))
    before = jnp.array([[0.5, -1.0], [0.5, -1.0]])
    output, carry = jax.jit(network.step)(params, before, jnp.ones((2, 1)), jnp.array([False, True]))
    np.testing.assert_allclose(carry, [[0.239381, -0.319715], [0.124282, 0.0]], atol=2e-6)
    np.testing.assert_allclose(output[:, 0], [3.074096, 2.242824], atol=2e-5)


def test_an_unroll_is_its_steps(experience):
    params, carry, observation, first = experience
    outputs, carries, last = unroll(params, carry, observation, first)
    assert outputs.shape == (T, B, 5)
    for t in range(T):
        np.testing.assert_allclose(carries[t], carry, rtol=1e-5, atol=1e-6)
        output, carry = step(params, carry, observation[t], first[t])
        np.testing.assert_allclose(outputs[t], output, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(last, carry, rtol=1e-5, atol=1e-6)


def test_an_unroll_goes_on_from_where_another_ended(experience):
    params, carry, observation, first = experience
    outputs, _, last = unroll(params, carry, observation, first)
    _, _, middle = unroll(params, carry, observation[:3], first[:3])
    later, _, end = unroll(params, middle, observation[3:], first[3:])
    np.testing.assert_allclose(later, outputs[3:], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(end, last, rtol=1e-5, atol=1e-6)


def test_a_first_observation_is_met_at_rest(experience):
    params, carry, observation, first = experience
    outputs, _, _ = unroll(params, carry, observation, first)
    fresh, _ = step(params, NETWORK.rest(B), observation[3], jnp.zeros(B, bool))
    np.testing.assert_allclose(outputs[3, 1], fresh[1], rtol=1e-5, atol=1e-6)
    assert not np.allclose(outputs[3, 0], fresh[0], rtol=1e-3)
    np.testing.assert_array_equal(NETWORK.rest(B), np.zeros((B, H), np.float32))


def test_the_gradient_flows_through_time_and_is_cut_where_an_episode_begins(experience):
    params, carry, observation, first = experience

    def last_output(carry, observation):
        return unroll(params, carry, observation, first)[0][-1].sum(axis=-1)

    to_carry, to_observation = jax.jit(jax.jacrev(last_output, argnums=(0, 1)))(carry, observation)
    reaches = (jnp.abs(to_observation) > 0).any(axis=-1)  # [B of outputs, T, B of observations]
    np.testing.assert_array_equal(reaches[0, :, 0], [False] * 5 + [True])  # began at 5
    np.testing.assert_array_equal(reaches[1, :, 1], [False] * 3 + [True] * 3)  # began at 3
    np.testing.assert_array_equal(reaches[2, :, 2], [True] * 6)  # began at 0
    assert not reaches[0, :, 1:].any()
    assert not jnp.any(to_carry)  # every environment began anew somewhere
    started = unroll(params, carry, observation, jnp.zeros_like(first))[0]
    assert not np.allclose(started, unroll(params, 0 * carry, observation, jnp.zeros_like(first))[0])


def test_second_derivatives_are_those_of_differences(experience, float64):
    params, carry, observation, first = jax.tree.map(
        lambda x: x.astype(jnp.float64) if x.dtype == jnp.float32 else x, experience
    )

    def loss(step):
        moved = jax.tree.map(lambda x: (1 + step) * x, params)
        return (unroll(moved, carry, observation, first)[0] ** 2).sum()

    derivatives = jax.jit(lambda step: jax.jvp(jax.grad(loss), (step,), (1.0,)))
    (ahead, _), (_, curvature), (behind, _) = derivatives(1e-5), derivatives(0.0), derivatives(-1e-5)
    np.testing.assert_allclose(curvature, (ahead - behind) / 2e-5, rtol=1e-6)


@pytest.mark.parametrize("weights", [jnp.float32, jnp.bfloat16])
def test_a_carry_keeps_its_type(experience, weights):
    params, _, observation, first = experience
    params = jax.tree.map(lambda x: x.astype(weights), params)
    _, carries, last = jax.eval_shape(NETWORK.unroll, params, NETWORK.rest(B), observation, first)
    assert carries.dtype == last.dtype == jnp.float32
    assert not last.weak_type


def test_parameters_and_their_initial_scale():
    params = gru((2,), 200, hidden=50, torso=(3,), out_scale=0.01).init(jax.random.key(0))
    assert [leaf.shape for leaf in jax.tree.leaves(params.torso)] == [(2, 3), (3,), (3, 150), (150,)]
    assert [leaf.shape for leaf in params.cell] == [(50, 100), (50, 50)]
    assert all(isinstance(leaf, jax.Array) and leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(params))
    np.testing.assert_allclose(params.cell.gates.std(), 50**-0.5, rtol=0.03)
    np.testing.assert_allclose(params.cell.candidate.std(), 50**-0.5, rtol=0.05)
    np.testing.assert_allclose(params.head[0].weight.std(), 0.01 * 50**-0.5, rtol=0.03)
