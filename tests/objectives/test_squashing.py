import jax
import jax.numpy as jnp
import numpy as np
import pytest

from selftune.objectives.distributions import Gaussian
from selftune.objectives.squashing import bounded_gaussian, log_slope, squashed_gaussian, squashed_mode


def test_golden_values():
    """Mean 0, deviation 1. u = 0: -log(2 pi)/2 = -0.918939, slope 1. u = 1: -1.418939 - log(1 - tanh(1)^2), where
    tanh(1) = 0.761594 and log(0.419974) = -0.867562. Two entries add up: -0.918939 - 0.551377."""
    action, log_probability = squashed_gaussian(Gaussian(jnp.zeros(2), jnp.zeros(2)), jnp.array([0.0, 1.0]))
    np.testing.assert_allclose(action, [0.0, 0.761594], rtol=1e-5)
    np.testing.assert_allclose(log_probability, -0.918939 - 0.551377, rtol=1e-5)


@pytest.mark.parametrize(("mean", "std"), [(0.0, 1.0), (1.5, 0.3), (-0.5, 2.0)])
def test_the_density_integrates_to_one(mean, std):
    noise = jnp.linspace(-6.0, 6.0, 20_001)[:, None]
    parameters = Gaussian(jnp.full_like(noise, mean), jnp.full_like(noise, np.log(std)))
    action, log_probability = squashed_gaussian(parameters, noise)
    action, density = np.asarray(action[:, 0], np.float64), np.exp(np.asarray(log_probability, np.float64))
    assert np.trapezoid(density, action) == pytest.approx(1.0, abs=2e-3)


def test_the_density_is_that_of_a_change_of_variables():
    """log N(u) less the logarithm of the determinant of the map's derivative, the latter by automatic
    differentiation."""
    mean, log_std, noise = jnp.array([0.3, -0.7]), jnp.array([-0.5, 0.2]), jnp.array([1.1, -0.4])
    unsquashed = mean + jnp.exp(log_std) * noise
    normal = jax.scipy.stats.norm.logpdf(unsquashed, mean, jnp.exp(log_std)).sum()
    determinant = jnp.linalg.det(jax.jacfwd(jnp.tanh)(unsquashed))
    _, log_probability = squashed_gaussian(Gaussian(mean, log_std), noise)
    np.testing.assert_allclose(log_probability, normal - jnp.log(determinant), rtol=1e-5)


def test_extreme_actions_are_finite_up_to_the_second_derivative():
    def density(mean, log_std):
        return squashed_gaussian(Gaussian(mean[None], log_std[None]), jnp.array([-3.0]))[1]

    mean, log_std = jnp.array([0.0, 1e-20, 30.0, -30.0, 1e4, -1e4]), jnp.full(6, 1.5)
    both = (0, 1)
    for function in (density, jax.grad(density, both), jax.hessian(density, both)):
        leaves = jax.tree.leaves(jax.jit(jax.vmap(function))(mean, log_std))
        assert all(jnp.isfinite(leaf).all() for leaf in leaves)


def test_the_slope_far_out_is_the_asymptote():
    """1 - tanh(u)^2 = 4 exp(-2 |u|) where |u| is large: log 4 - 2 * 50 = -98.613706, while tanh itself rounds to 1."""
    np.testing.assert_allclose(log_slope(jnp.array([50.0, -50.0])), [-98.613706, -98.613706], rtol=1e-6)


def test_network_outputs_become_bounded_deviations():
    outputs = jnp.array([0.4, 0.4, 0.4, -1e3, 0.0, 1e3])
    parameters = bounded_gaussian(outputs)
    np.testing.assert_allclose(parameters.mean, 0.4)
    np.testing.assert_allclose(parameters.log_std, [-5.0, -0.119, 2.0], atol=2e-3)
    slope = jax.grad(lambda x: bounded_gaussian(x).log_std.sum())(jnp.array([0.0, 0.0, 0.0, -9.0, 0.0, 6.0]))[3:]
    assert (slope > 0.01).all(), "no deviation is stuck at a bound"


def test_the_mode_is_the_squashed_mean():
    np.testing.assert_allclose(squashed_mode(Gaussian(jnp.array([1.0]), jnp.array([2.0]))), [0.761594], rtol=1e-5)
