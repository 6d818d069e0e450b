"""Sutton's tracking task: the published numbers of LMS and IDBD, and what happens when the inputs grow."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from selftune import optim
from selftune.experiments.published.tracking import (
    META_RATES,
    RATES,
    RELEVANT,
    asymptotic_errors,
    growing_scales,
    track,
    unit_scales,
)


def test_idbd_halves_the_error_of_the_best_fixed_step_size():
    # Sutton 1992, figure 3: LMS ≈ 3.5 at best, IDBD ≈ 1.5 over a broad range of θ; 30-seed replications: 3.63, 1.56.
    fixed = asymptotic_errors(optim.sgd, RATES, 6, jax.random.key(0)).mean(1)
    assert 3.2 < fixed.min() < 3.8
    assert 0 < fixed.argmin() < 6
    adapted = asymptotic_errors(partial(optim.idbd, 0.05), META_RATES, 6, jax.random.key(0)).mean(1)
    assert adapted.min() < 1.6
    assert adapted[:2].max() < 0.5 * fixed.min(), "the larger meta rates explode on one seed in thirty"


def test_idbd_finds_the_step_size_of_every_input():
    # Sutton 1992, experiment 2: after 250k examples at θ = .001 the step sizes of the relevant inputs are
    # .13 ± .015 and the others are on their way to 0. Theory for an irrelevant weight w under errors of mean
    # square E: E[w²] = α E / 2 and E[w h] = α E / 4, so log α falls by θ α E / 4 an example and 1/α grows by
    # θ E / 4; with E ≈ 1.8 along the way 1/α = 20 + 250000 · .001 · 1.8 / 4 = 132, α = .0076. The paper's "less
    # than .007" is reached 25k examples later from the α₀ = .05 of its experiment 1.
    def run(key):
        return jnp.exp(track(optim.idbd(0.05, 0.001), unit_scales(250_000), key).state.log_step_size)

    step_sizes = jax.jit(jax.vmap(run))(jax.random.split(jax.random.key(1), 4))
    np.testing.assert_allclose(step_sizes[:, :RELEVANT].mean(1), 0.13, atol=0.015)
    np.testing.assert_allclose(step_sizes[:, RELEVANT:], 0.0076, atol=0.0005)


@pytest.mark.parametrize(
    ("rule", "survivors"), [(optim.idbd(0.05, 0.01), 0), (optim.autostep(0.05), 30)], ids=["idbd", "autostep"]
)
def test_autostep_survives_a_change_of_scale_and_idbd_never_does(rule, survivors):
    def run(key):
        scale_key, run_key = jax.random.split(key)
        tracked = track(rule, growing_scales(scale_key), run_key)
        return jnp.stack([tracked.squared_error, tracked.squared_target]).mean(-1)

    errors = jax.jit(jax.vmap(run))(jax.random.split(jax.random.key(2), 30))  # [30, 2, 600]
    assert jnp.isfinite(errors[:, 0, :300]).all()
    assert jnp.isfinite(errors[:, 0, 300:]).all(1).sum() == survivors
    last = errors[:, :, -100:].mean(-1)
    assert (last[:, 0] < last[:, 1]).sum() == survivors  # better than predicting 0
