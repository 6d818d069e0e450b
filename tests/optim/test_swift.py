"""SwiftTD: its numbers, its bound, and that it differentiates what it does."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.test_util import check_grads

from selftune.optim.eligibility import true_online_td
from selftune.optim.swift import swift_td

# an input x, a TD error δ and a decay γλ, for one weight
BY_HAND = [(2.0, 3.0, 0.0), (1.0, 2.0, 0.5), (1.0, 0.5, 0.5)]


def _run(rule, examples):
    state, steps = rule.init(jnp.zeros(())), []
    for x, delta, decay in examples:
        features = jnp.asarray(x)
        step, state = rule.update(-delta * features, state, td_error=delta, features=features, decay=decay)
        steps.append(float(step))
    return steps, state


def test_two_updates_by_hand():
    steps, state = _run(swift_td(0.1, 0.1, 1.0), BY_HAND[:2])
    # 1: τ = .1 · 4 < 1; dz = z = z̄ = .2; p = m = g = 0; step 3 · .2 = .6; h = 3 · .2 = .6, k = 0
    # 2: dz = .1; b = .5 · .2 = .1; z = .1 + .1 (1 − .1) = .19; z̄ = .1 + .1 (1 − .1 − .1) = .18; p = 0
    #    m = .6 − .6 · .1 = .54; g = .6; step 2 · .19 + .6 (.19 − .1) = .434
    #    h = .54 + 2.6 · .18 − .1 · .6 = .948, k = .6
    np.testing.assert_allclose(steps, [0.6, 0.434], rtol=1e-6)
    np.testing.assert_allclose(state, (np.log(0.1), 0.19, 0.18, 0.0, 0.948, 0.6, 0.434), rtol=1e-6)


def test_the_third_update_is_the_first_to_move_the_step_size():
    steps, state = _run(swift_td(0.1, 0.1, 1.0), BY_HAND)
    # p = 0 + .6 · 1; Δβ = .1 · .5 · .6 / .1 = .3
    # z = .5 · .19 + .1 (1 − .095) = .1855; g = .434; step .5 · .1855 + .434 (.1855 − .1) = .129857
    np.testing.assert_allclose(state.credit, 0.6, rtol=1e-6)
    np.testing.assert_allclose(state.step_size, 0.1 * np.exp(0.3), rtol=1e-6)
    np.testing.assert_allclose(steps[-1], 0.129857, rtol=1e-6)


def test_the_rate_of_learning_is_bounded_and_its_step_size_decays():
    steps, state = _run(swift_td(0.1, 0.1, 1.0, 0.9), [(4.0, 3.0, 0.0)])
    # τ = .1 · 16 = 1.6 > 1, so dz = .1 · 4 / 1.6 = .25 and the step 3 · .25, which times x undoes the error
    np.testing.assert_allclose(steps, [0.75], rtol=1e-6)
    np.testing.assert_allclose(state.step_size, 0.1 * 0.9**16, rtol=1e-5)
    assert state.eligibility_influence == 0.0


def test_only_the_weights_in_use_decay():
    rule = swift_td(0.1, 0.1, 0.2, 0.9)
    features = jnp.array([4.0, 0.0])
    _, state = rule.update(features, rule.init(features), td_error=1.0, features=features, decay=0.0)
    np.testing.assert_allclose(state.step_size, [0.1 * 0.9**16, 0.1], rtol=1e-5)


def test_an_initial_step_size_above_the_bound_is_the_bound():
    np.testing.assert_allclose(swift_td(1e6, rate_bound=0.3).init(jnp.zeros(2)).step_size, 0.3, rtol=1e-6)


def _learn(rule, decay, steps=30, leaves=3):
    """Weights and states of a linear prediction, with a target that ignores the weights."""

    def example(carry, data):
        w, state = carry
        x, target = data
        delta = target - w @ x
        step, state = rule.update(-delta * x, state, w, td_error=delta, features=x, decay=decay)
        return (w + step, state), (w + step, state)

    inputs = jax.random.normal(jax.random.key(0), (steps, leaves))
    start = jnp.zeros(leaves)
    return jax.lax.scan(example, (start, rule.init(start)), (inputs, jnp.sin(jnp.arange(steps))))[1]


def test_without_a_meta_step_it_is_true_online_td():
    expected, _ = _learn(true_online_td(0.05), 0.7)
    np.testing.assert_allclose(_learn(swift_td(0.05, 0.0, 1.0), 0.7)[0], expected, rtol=1e-4, atol=1e-6)


def test_the_influence_is_the_derivative_of_the_weight_by_its_log_step_size(float64):
    # Exact for one weight while the step sizes stand still (θ = 0), no bound is active and the target is given.
    def learn(log_step_size):
        weights, states = _learn(swift_td(jnp.exp(log_step_size), 0.0, 1.0), 0.6, leaves=1)
        return weights[:, 0], states.influence[:, 0]

    expected, influence = jax.jacfwd(learn, has_aux=True)(jnp.log(0.05))
    np.testing.assert_allclose(influence, expected, rtol=1e-9)


def test_differentiable_in_its_own_constants(float64):
    def outcome(initial, meta, bound, step_size_decay, decay):
        return _learn(swift_td(initial, meta, bound, step_size_decay), decay, steps=8, leaves=2)[0][-1].sum()

    constants = [jnp.array(value) for value in (0.1, 0.02, 0.2, 0.9, 0.6)]
    check_grads(jax.jit(outcome), constants, order=1, modes=["rev"], rtol=1e-5)
