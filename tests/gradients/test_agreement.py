"""Estimators agree where they estimate the same, and differ where their docstrings say that they differ."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import short_horizon
from jax.flatten_util import ravel_pytree
from short_horizon import HORIZON, begin, forward_gradient, targets, true_gradient, truncated_gradient, tuning

from selftune.estimators import evolution, forward, truncated

from .cells import QUICKLY, inner

WINDOW = 3


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(("objective", "rule"), [("td_lambda", "momentum"), ("normaliser", "adam")])
def test_forward_reverse_and_mixed_mode_agree_on_a_whole_horizon(objective, rule):
    # td_lambda bootstraps from the frozen parameters: at three steps, an adjoint that forgets their part is wrong.
    this = inner(objective, rule)
    problem, meta_params, state, batches, validation = this

    @jax.jit
    def compute(meta_params):
        found = []
        for estimator in (truncated(3), truncated(3, remat=True), truncated(3, "mixed"), forward(unroll=3)):
            carried = estimator.init(problem, meta_params, state, None)
            out = estimator.estimate(problem, meta_params, state, carried, batches, validation, jax.random.key(0))
            found.append((ravel_pytree(out[0])[0], out[1], out[3].meta_loss, out[3].steps.loss))
        return found

    reference, *others = compute(meta_params)
    assert jnp.linalg.norm(reference[0]) > 1e-4
    for other in others:
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12), reference, other)


def test_a_short_window_has_the_wrong_sign_and_forward_mode_over_two_windows_is_right():
    truth = true_gradient()
    assert truth < -0.01
    assert truncated_gradient(1) > 0.005
    assert truncated_gradient(HORIZON // 2) > truth / 2  # the right sign at last, and not half of the size
    np.testing.assert_allclose(truncated_gradient(HORIZON), truth, rtol=1e-4)
    np.testing.assert_allclose(forward_gradient(HORIZON // 2), truth, rtol=1e-4)
    np.testing.assert_allclose(forward_gradient(1), truth, rtol=1e-4)


def test_the_figure_is_drawn():
    (axes,) = short_horizon.figure([1, HORIZON]).axes
    drawn = axes.lines[-1].get_xydata()
    assert drawn.shape == (2, 2)
    assert drawn[0, 1] > 0 > drawn[1, 1], "one update says lower the rate, all of them say raise it"


def _over_a_lifetime(kind: str, runs: int = 32):
    """Mean and standard error of the estimates summed over one lifetime; each run has its own particles."""
    lifetime = None if kind == "es" else HORIZON // WINDOW
    tuner = tuning(evolution(kind, unroll=WINDOW, population=128, sigma=0.1, lifetime=lifetime))

    def run(key):
        meta, state = begin(tuner)
        windows = targets().reshape(-1, WINDOW)

        def window(carry, inputs):
            meta, state, info = tuner.update(*carry, inputs[0], jnp.array(0.0), inputs[1])
            return (meta, state), info.meta_grad["learning_rate"]

        _, estimates = jax.lax.scan(window, (meta, state), (windows, jax.random.split(key, len(windows))))
        return estimates.sum()

    sums = jax.jit(jax.vmap(run), compiler_options=QUICKLY)(jax.random.split(jax.random.key(5), runs))
    return sums.mean(), sums.std(ddof=1) / runs**0.5


@pytest.mark.parametrize("kind", ["pes", "nres"])
def test_persistent_particles_estimate_the_summed_losses_of_a_lifetime(kind):
    truth = true_gradient(WINDOW)
    mean, error = _over_a_lifetime(kind)
    assert error < 0.2 * abs(truth)
    assert abs(mean - truth) < 4.0 * error


def test_evolution_strategies_are_as_short_sighted_as_the_window():
    truth = true_gradient(WINDOW)
    mean, error = _over_a_lifetime("es")
    assert truth < 0.0 < mean - 4.0 * error
