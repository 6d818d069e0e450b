"""Closed forms are those of the recursions; the greedy estimator lowers the rate and the far-sighted one keeps it."""

import numpy as np

import selftune as st
from selftune.experiments.published import noisy_quadratic as quadratic


def test_the_loss_at_a_constant_rate_is_that_of_the_recursion_of_moments():
    rate, mean, variance = 0.3, quadratic.START.copy(), 0.0
    for _ in range(50):
        mean = (1 - rate * quadratic.CURVATURE) * mean
        variance = (1 - rate * quadratic.CURVATURE) ** 2 * variance + (
            rate * quadratic.CURVATURE * quadratic.NOISE
        ) ** 2
    expected = 0.5 * (quadratic.CURVATURE * (mean**2 + variance)).sum()
    np.testing.assert_allclose(quadratic.constant_rate_loss(np.array([rate]), 50), [expected], rtol=1e-9)


def test_greed_lowers_the_rate_and_forward_mode_does_not():
    # Over 3000 updates; forward mode lowers the rate too at first, until its tangents see far enough.
    greedy = quadratic.live(st.truncated(1), 1, 3000).rates[0]
    far = quadratic.live(st.forward(unroll=10), 1, 3000).rates[0]
    assert greedy[-1] < 0.25 * greedy[0]
    assert 0.7 < far[-1] / far[0] < 2.0


def test_a_loss_is_compared_with_the_best_constants_at_the_same_updates():
    rate = np.array([quadratic.best_constant_rate()[0]])
    losses = np.array([quadratic.constant_rate_loss(rate, 10 * (update + 1))[0] for update in range(40)])
    lives = quadratic.Lives(np.full((2, 40), rate[0]), np.stack([losses, 3.0 * losses]))
    np.testing.assert_allclose(quadratic.relative_loss(lives, 10, 5), [1.0, 3.0], rtol=1e-9)
