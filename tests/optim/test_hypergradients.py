"""The learning rate moves by the inner product of successive gradients, and stays a learning rate."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.test_util import check_grads

from selftune import optim


def _run(rule, gradients):
    state = rule.init(gradients[0])
    rates, updates = [], []
    for gradient in gradients:
        update, state = rule.update(gradient, state)
        rates.append(float(state.learning_rate))
        updates.append(update)
    return rates, updates


GRADIENTS = [{"a": jnp.array([1.0, 2.0]), "b": jnp.array(2.0)}, {"a": jnp.array([2.0, 0.0]), "b": jnp.array(-3.0)}]


def test_additive_rule():
    rates, updates = _run(optim.hypergradient_descent(0.5, 0.01), GRADIENTS)
    # g1·g2 = 1·2 + 2·0 + 2·(−3) = −4, so α = .5, then .5 − .01·4 = .46
    np.testing.assert_allclose(rates, [0.5, 0.46], rtol=1e-6)
    np.testing.assert_allclose(updates[1]["a"], [-0.92, 0.0], rtol=1e-6)
    np.testing.assert_allclose(updates[1]["b"], 1.38, rtol=1e-6)


def test_multiplicative_rule():
    rates, _ = _run(optim.multiplicative_hypergradient_descent(0.5, 0.1), GRADIENTS)
    # |g1| = 3, |g2| = √13, so α = .5 (1 − .1 · 4 / (3 · 3.605551)) = .5 · .9630200
    np.testing.assert_allclose(rates, [0.5, 0.48151], rtol=1e-5)


def test_the_inner_product_is_the_derivative_of_the_loss_after_the_step():
    def loss(x):
        return jnp.sum(jnp.cosh(x) + x[::-1] ** 2)

    x, alpha, beta = jnp.array([0.3, -1.0, 0.7]), 0.05, 0.1
    rule = optim.hypergradient_descent(alpha, beta)
    update, state = rule.update(jax.grad(loss)(x), rule.init(x))
    _, state = rule.update(jax.grad(loss)(optax.apply_updates(x, update)), state)
    hypergradient = jax.grad(lambda a: loss(x - a * jax.grad(loss)(x)))(alpha)
    np.testing.assert_allclose(state.learning_rate, alpha - beta * hypergradient, rtol=1e-5)


def test_the_additive_rate_stops_at_zero_and_comes_back():
    ahead, back = jnp.array([1.0]), jnp.array([-1.0])
    rates, _ = _run(optim.hypergradient_descent(0.5, 1.0), [ahead, back, back])
    np.testing.assert_allclose(rates, [0.5, 0.0, 1.0])  # .5 − 1 = −.5 → 0, then 0 + 1


def test_the_multiplicative_rate_stays_positive():
    gradients = [jnp.array([(-1.0) ** k]) for k in range(100)]
    rates, _ = _run(optim.multiplicative_hypergradient_descent(0.5, 0.5), gradients)
    np.testing.assert_allclose(rates[-1], 0.5 * 0.5**99, rtol=1e-4)
    assert rates[-1] > 0.0


@pytest.mark.parametrize("scale", [0.0, 1e-15, 1e15])
def test_the_multiplicative_rule_does_not_see_the_scale(scale):
    gradients = [scale * jnp.array([1.0, 0.0]), scale * jnp.array([0.6, 0.8])]
    rates, _ = _run(optim.multiplicative_hypergradient_descent(0.5, 0.1), gradients)
    np.testing.assert_allclose(rates, [0.5, 0.5 if scale == 0.0 else 0.53], rtol=1e-5)


@pytest.mark.parametrize(
    "make", [optim.hypergradient_descent, optim.multiplicative_hypergradient_descent], ids=["add", "multiply"]
)
def test_it_finds_a_good_rate_on_a_quadratic(make):
    def step(carry, _):
        x, state = carry
        updates, state = rule.update(curvature * x, state)
        return (optax.apply_updates(x, updates), state), 0.5 * jnp.sum(curvature * x**2)

    curvature, start = jnp.array([1.0, 0.3]), jnp.array([1.0, -1.0])
    rule = make(1e-3, 0.05)
    (_, state), losses = jax.jit(lambda: jax.lax.scan(step, (start, rule.init(start)), None, length=200))()
    assert state.learning_rate > 0.05
    assert losses[-1] < 1e-3 * losses[0]


@pytest.mark.parametrize(
    "make", [optim.hypergradient_descent, optim.multiplicative_hypergradient_descent], ids=["add", "multiply"]
)
def test_differentiable_in_its_own_constants(float64, make):
    def outcome(rate, beta):
        rule = make(rate, beta)
        x = jnp.array([0.5, -1.0])
        state = rule.init(x)
        for _ in range(3):
            updates, state = rule.update(jnp.sinh(x), state)
            x = optax.apply_updates(x, updates)
        return jnp.cosh(x).sum()

    check_grads(jax.jit(outcome), (jnp.array(0.1), jnp.array(0.2)), order=1, rtol=1e-5)
