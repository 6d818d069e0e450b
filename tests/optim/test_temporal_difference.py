"""TIDBD, plain and normalised: its numbers, its special cases, its derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from selftune import optim
from selftune.optim.eligibility import eligibility_traces
from selftune.optim.temporal_difference import autostep_tidbd, tidbd

# an input x, a TD error δ and a decay γλ, for one weight
BY_HAND = [(2.0, 3.0, 0.0), (1.0, 2.0, 0.5)]


def _run(rule, examples):
    state, steps = rule.init(jnp.zeros(())), []
    for x, delta, decay in examples:
        features = jnp.asarray(x)
        step, state = rule.update(-delta * features, state, td_error=delta, features=features, decay=decay)
        steps.append(float(step))
    return steps, state


def test_tidbd_by_hand():
    steps, state = _run(tidbd(0.1, 1.0), BY_HAND)
    # 1: h = 0, so α = .1; z = 2; step .1 · 3 · 2 = .6; h = .6
    # 2: Δβ = δ x h = 2 · .6 = 1.2, α = .1 e^1.2 = .3320117; z = .5 · 2 + 1 = 2; step α · 2 · 2 = 1.3280468
    #    h = .6 (1 − α · 1 · 2) + 1.3280468 = .2015860 + 1.3280468
    np.testing.assert_allclose(steps, [0.6, 1.3280468], rtol=1e-6)
    np.testing.assert_allclose(state.step_size, 0.3320117, rtol=1e-6)
    np.testing.assert_allclose(state.influence, 1.5296328, rtol=1e-6)


def test_tidbd_forgets_what_an_overshooting_step_has_overwritten():
    _, state = _run(tidbd(0.1, 0.0), [(2.0, 3.0, 0.0), (4.0, 1.0, 0.0)])
    # α x z = 1.6 > 1, so the old h = .6 is dropped: h = .1 · 1 · 4
    np.testing.assert_allclose(state.influence, 0.4, rtol=1e-6)


def test_autostep_tidbd_by_hand():
    steps, state = _run(autostep_tidbd(0.1, 0.5, 10.0), BY_HAND)
    # 1: h = 0, so c = v = 0 and α = .1; z = 2; α x z = .4 < 1; step .6; h = .6
    # 2: c = v = δ x h = 1.2, α = .1 e^.5 = .1648721; z = 2; α x z = .3297443 < 1; step α · 2 · 2 = .6594885
    #    h = .6 (1 − .3297443) + .6594885 = 1.0616419
    np.testing.assert_allclose(steps, [0.6, 0.6594885], rtol=1e-6)
    np.testing.assert_allclose(state, (0.1648721, 2.0, 1.0616419, 1.2), rtol=1e-6)


def test_autostep_tidbd_never_overshoots():
    steps, state = _run(autostep_tidbd(0.1, 0.5, 10.0), [*BY_HAND, (4.0, 1.0, 0.5)])
    # z = .5 · 2 + 4 = 5; c = v = 4 · 1.0616419; α = .1648721 e^.5 = .2718282, α x z = 5.44 > 1, so α = 1 / 20
    # step .05 · 1 · 5 = .25, which times x undoes the error; h = 0 + .25
    np.testing.assert_allclose(steps[-1], 0.25, rtol=1e-6)
    np.testing.assert_allclose(state, (0.05, 5.0, 0.25, 4.2465676), rtol=1e-6)


def test_the_normaliser_decays_with_the_old_step_size():
    _, state = _run(autostep_tidbd(0.1, 0.5, 10.0), [*BY_HAND, (1.0, 0.1, 0.5)])
    # |c| = .1 · 1.0616419; z = .5 · 2 + 1 = 2; v = 1.2 + .1648721 · 2 (.1061642 − 1.2) / 10
    np.testing.assert_allclose(state.normalizer, 1.1639315, rtol=1e-6)


def _learn(rule, decay, steps=40, leaves=3):
    """Weights of a linear prediction after each of `steps` examples, with a target that ignores the weights."""

    def example(carry, data):
        w, state = carry
        x, target = data
        delta = target - w @ x
        step, state = rule.update(-delta * x, state, w, td_error=delta, features=x, decay=decay)
        return (w + step, state), w + step

    inputs = jax.random.normal(jax.random.key(0), (steps, leaves))
    start = jnp.zeros(leaves)
    return jax.lax.scan(example, (start, rule.init(start)), (inputs, jnp.sin(jnp.arange(steps))))[1]


def test_without_a_meta_step_tidbd_is_td_lambda():
    expected = _learn(optim.chain(eligibility_traces(), optim.sgd(0.05)), 0.7)
    np.testing.assert_allclose(_learn(tidbd(0.05, 0.0), 0.7), expected, rtol=1e-5)
    np.testing.assert_allclose(_learn(autostep_tidbd(0.05, 0.0), 0.7), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("temporal", "supervised"),
    [(tidbd(0.05, 0.05), optim.idbd(0.05, 0.05)), (autostep_tidbd(0.05, 0.1), optim.autostep(0.05, 0.1))],
    ids=["idbd", "autostep"],
)
def test_without_a_trace_it_is_its_supervised_ancestor(temporal, supervised):
    weights = _learn(temporal, 0.0)
    np.testing.assert_allclose(weights, _learn(supervised, 0.0), rtol=1e-4, atol=1e-6)
    assert jnp.abs(weights - _learn(optim.sgd(0.05), 0.0)).max() > 1e-3


def test_all_leaves_are_one_unit():
    rule, weights = autostep_tidbd(0.1), {"w": jnp.zeros(2), "b": jnp.zeros(())}
    features = {"w": jnp.array([1.0, 7.0]), "b": jnp.array(0.0)}
    _, state = rule.update(weights, rule.init(weights), td_error=1.0, features=features, decay=0.0)
    # Σ α x z = .1 (1 + 49) = 5 divides every step size, that of the idle bias too
    for leaf in jax.tree.leaves(state.step_size):
        np.testing.assert_allclose(leaf, 0.02, rtol=1e-6)


@pytest.mark.parametrize("make", [tidbd, autostep_tidbd])
def test_differentiable_in_its_own_constants(float64, make):
    def outcome(initial, meta, decay):
        return _learn(make(initial, meta), decay, steps=6, leaves=2)[-1].sum()

    check_grads(jax.jit(outcome), (jnp.array(0.1), jnp.array(0.2), jnp.array(0.6)), order=1, modes=["rev"], rtol=1e-5)
