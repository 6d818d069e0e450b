"""SMD's trace is what it claims to be, and its step sizes move by it."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from selftune import optim


def _loss(x):
    return jnp.sum(jnp.cosh(x["a"])) + (x["a"][0] - 2.0 * x["b"]) ** 2


START = {"a": jnp.array([0.7, -0.4]), "b": jnp.array(1.0)}


def _run(rule, steps):
    def step(carry, _):
        x, state = carry
        gradient, hessian_vector_product = jax.linearize(jax.grad(_loss), x)
        updates, state = rule.update(gradient, state, hessian_vector_product=hessian_vector_product)
        return (optax.apply_updates(x, updates), state), None

    return jax.lax.scan(step, (START, rule.init(START)), None, length=steps)[0]


def test_the_trace_is_the_derivative_by_the_log_step_size():
    # Exact with λ = 1 and step sizes that stand still: v = dθ / d log p for one factor common to all p.
    def learn(log_step_size):
        return _run(optim.stochastic_meta_descent(jnp.exp(log_step_size), 0.0, 1.0), 6)

    at = jnp.log(0.05)
    _, state = learn(at)
    expected = jax.jit(jax.jacfwd(lambda b: learn(b)[0]))(at)
    np.testing.assert_allclose(state.trace["a"], expected["a"], rtol=1e-4)
    np.testing.assert_allclose(state.trace["b"], expected["b"], rtol=1e-4)


@pytest.mark.parametrize(
    ("meta_step_size", "step_size"),
    # 1: v = 0, so p = .1 and v = −.1 · 3 = −.3.  2: −μ v g = .3 · 2 μ, so p = .1 · max(½, 1 + .6 μ)
    [(0.5, 0.13), (-0.5, 0.07), (-2.0, 0.05)],
)
def test_step_sizes_by_hand(meta_step_size, step_size):
    rule = optim.stochastic_meta_descent(0.1, meta_step_size, 0.9)
    state = rule.init(jnp.zeros(()))
    for gradient in (3.0, 2.0):
        update, state = rule.update(jnp.asarray(gradient), state, hessian_vector_product=lambda v: 4.0 * v)
    np.testing.assert_allclose(state.step_size, step_size, rtol=1e-6)
    np.testing.assert_allclose(update, -2.0 * step_size, rtol=1e-6)
    # v = λ (v − p H v) − p g = .9 (−.3 + p · 4 · .3) − 2 p
    np.testing.assert_allclose(state.trace, 0.9 * (-0.3 + step_size * 1.2) - 2.0 * step_size, rtol=1e-5)


def test_it_descends_faster_than_the_rate_it_began_with():
    adapted, state = _run(optim.stochastic_meta_descent(0.01, 0.5), 40)
    fixed, _ = _run(optim.stochastic_meta_descent(0.01, 0.0), 40)
    optimum = float(jnp.cosh(0.0)) * 2.0
    assert _loss(adapted) - optimum < 0.5 * (_loss(fixed) - optimum)
    assert all((leaf > 0.01).all() for leaf in jax.tree.leaves(state.step_size))
