"""Autostep follows table 1 of its paper, in its order."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from selftune import optim


def _run(rule, examples, weights):
    state = rule.init(weights)
    steps = []
    for x, delta in examples:
        step, state = rule.update(jax.tree.map(lambda leaf, delta=delta: -delta * leaf, x), state, features=x)
        steps.append(step)
    return steps, state


def _scalar(*examples):
    return [(jnp.asarray(x), delta) for x, delta in examples]


RULE = optim.autostep(0.1, meta_step_size=0.5, tau=10.0)
# 1: h = 0, so v = 0 and α = .1; step .1 · 3 · 2 = .6 = h
# 2: δ x h = 1.2 = v; α = .1 e^.5 = .1648721; step .3297443; h = .6 (1 − .1648721) + .3297443 = .8308210
START = [(2.0, 3.0), (1.0, 2.0)]


def test_two_examples_by_hand():
    steps, state = _run(RULE, _scalar(*START), jnp.zeros(()))
    np.testing.assert_allclose(steps, [0.6, 0.3297443], rtol=1e-6)
    np.testing.assert_allclose(state, (0.1648721, 0.8308210, 1.2), rtol=1e-6)


def test_a_step_never_overshoots():
    steps, state = _run(RULE, _scalar(*START, (4.0, 1.0)), jnp.zeros(()))
    # v = δ x h = 3.323284; α = .1648721 e^.5 = .2718282, and α x² = 4.35 > 1, so α = 1/16: the error is undone
    np.testing.assert_allclose(steps[-1], 0.25, rtol=1e-6)
    np.testing.assert_allclose(state, (0.0625, 0.25, 3.323284), rtol=1e-6)


def test_the_normaliser_decays_with_the_old_step_size():
    _, state = _run(RULE, _scalar(*START, (1.0, 0.1)), jnp.zeros(()))
    # δ x h = .0830821; v = 1.2 + .1648721 (.0830821 − 1.2) / 10 = 1.1815853
    # α = .1648721 exp(.5 · .0830821 / 1.1815853) = .1707715
    np.testing.assert_allclose(state.normalizer, 1.1815853, rtol=1e-6)
    np.testing.assert_allclose(state.step_size, 0.1707715, rtol=1e-6)


def test_all_leaves_are_one_unit():
    weights = {"w": jnp.zeros(2), "b": jnp.zeros(())}
    _, state = _run(RULE, [({"w": jnp.array([1.0, 7.0]), "b": jnp.array(0.0)}, 1.0)], weights)
    # Σ α x² = .1 (1 + 49) = 5 divides every step size, that of the idle bias too
    for leaf in jax.tree.leaves(state.step_size):
        np.testing.assert_allclose(leaf, 0.02, rtol=1e-6)


@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_the_scale_of_the_target_changes_nothing(scale):
    def step_size(scale):
        def example(state, data):
            x, error = data
            return RULE.update(-scale * error * x, state, features=x)[1], None

        return jax.lax.scan(example, RULE.init(jnp.zeros(3)), (inputs, errors))[0].step_size

    inputs = jax.random.normal(jax.random.key(0), (50, 3))
    errors = jnp.sin(jnp.arange(50.0))
    np.testing.assert_allclose(step_size(1.0), step_size(scale), rtol=1e-4)


def test_differentiable_in_its_own_constants(float64):
    inputs = jax.random.normal(jax.random.key(1), (6, 2))

    def outcome(initial, meta, tau):
        def example(carry, x):
            w, state = carry
            step, state = rule.update((w @ x - 1.0) * x, state, features=x)
            return (w + step, state), None

        rule = optim.autostep(initial, meta, tau)
        start = jnp.zeros(2)
        return jax.lax.scan(example, (start, rule.init(start)), inputs)[0][0].sum()

    constants = (jnp.array(0.1), jnp.array(0.2), jnp.array(10.0))
    check_grads(jax.jit(outcome), constants, order=1, rtol=1e-5)
