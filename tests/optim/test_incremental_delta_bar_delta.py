"""IDBD does what its paper says, guards included."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from selftune import optim


def _run(rule, examples):
    """Feeds one weight with pairs of an input x and an error δ; returns the steps and the last state."""
    state = rule.init(jnp.zeros(()))
    steps = []
    for x, delta in examples:
        x = jnp.asarray(x)
        step, state = rule.update(-delta * x, state, features=x)
        steps.append(float(step))
    return steps, state


def test_two_examples_by_hand():
    steps, state = _run(optim.idbd(0.1, 1.0), [(2.0, 3.0), (1.0, 2.0)])
    # 1: h = 0, so α = .1; step α δ x = .6; h = .6
    # 2: Δβ = δ x h = 2 · .6 = 1.2; α = .1 e^1.2 = .3320117; step .6640234
    #    h = .6 (1 − .3320117 · 1²) + .6640234 = 1.0648164
    np.testing.assert_allclose(steps, [0.6, 0.6640234], rtol=1e-6)
    np.testing.assert_allclose(jnp.exp(state.log_step_size), 0.3320117, rtol=1e-6)
    np.testing.assert_allclose(state.trace, 1.0648164, rtol=1e-6)


def test_the_trace_forgets_what_an_overshooting_step_has_overwritten():
    _, state = _run(optim.idbd(0.1, 0.0), [(2.0, 3.0), (4.0, 1.0)])
    # α x² = 1.6 > 1, so the old h = .6 is dropped: h = .1 · 1 · 4
    np.testing.assert_allclose(state.trace, 0.4, rtol=1e-6)


@pytest.mark.parametrize(("second_error", "change"), [(2.0, 2.0), (-2.0, -2.0)])
def test_one_example_changes_the_log_step_size_by_two_at_most(second_error, change):
    _, state = _run(optim.idbd(0.1, 100.0), [(2.0, 3.0), (1.0, second_error)])
    np.testing.assert_allclose(state.log_step_size, np.log(0.1) + change, rtol=1e-6)


def test_the_log_step_size_has_a_floor():
    _, state = _run(optim.idbd(0.1, 1e9), [(1.0, 1.0)] + 6 * [(1.0, -1.0)])
    assert state.log_step_size == -10.0


def test_the_trace_is_the_derivative_of_the_weight_by_its_log_step_size():
    # Exact for one weight while the step sizes stand still (θ = 0) and no step overshoots.
    inputs = jax.random.normal(jax.random.key(0), (30,))
    targets = jnp.sin(jnp.arange(30.0))

    def learn(log_step_size):
        def example(carry, data):
            w, state = carry
            x, y = data
            step, state = rule.update(-(y - w * x) * x, state, features=x)
            return (w + step, state), None

        rule = optim.idbd(jnp.exp(log_step_size), 0.0)
        return jax.lax.scan(example, (0.0, rule.init(jnp.zeros(()))), (inputs, targets))[0]

    log_step_size = jnp.log(0.05)
    _, state = learn(log_step_size)
    expected = jax.jit(jax.grad(lambda b: learn(b)[0]))(log_step_size)
    np.testing.assert_allclose(state.trace, expected, rtol=1e-4)


def test_features_must_have_the_shape_of_the_params():
    rule = optim.idbd(0.1, 0.01)
    weights = jnp.zeros((3, 1))
    with jax.numpy_rank_promotion("allow"), pytest.raises(ValueError, match="shape"):
        rule.update(weights, rule.init(weights), features=jnp.ones(3))
