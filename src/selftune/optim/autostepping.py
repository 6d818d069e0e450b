"""Autostep: IDBD whose meta step is normalised and whose step can never overshoot.

    v ← max(|δ x h|, v + α x² (|δ x h| − v) / τ)        with the old α and h
    α ← α exp(μ δ x h / v)
    α ← α / max(Σ α x², 1)                               the sum over all weights of the unit
    w ← w + α δ x,   h ← h (1 − α x²) + α δ x            with the new α

Mahmood, Sutton, Degris and Pilarski, "Tuning-free step-size adaptation" (ICASSP 2012), table 1. One meta step
size serves all scales: |Δ log α| ≤ μ before the division, and Σ α x² ≤ 1 after it.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import PyTree, ScalarLike

from selftune.optim._numerics import keep_dtypes, safe_ratio


class AutostepState(NamedTuple):
    """What the next step needs; all like the parameters."""

    step_size: PyTree
    trace: PyTree
    """h, of the recent updates of each weight."""
    normalizer: PyTree
    """v, a slowly decaying maximum of |δ x h|."""


def autostep(
    initial_step_size: ScalarLike, meta_step_size: ScalarLike = 1e-2, tau: ScalarLike = 1e4
) -> optax.GradientTransformationExtraArgs:
    """Autostep, for one linear unit.

    `update(updates, state, params, features=x)`, exactly as for `idbd`: `updates` is the gradient −δ x of ½
    δ², and `features` a pytree like the parameters of the inputs x. All leaves together are one unit; for
    several units, map over them.

    Args:
        initial_step_size: α_0 > 0 of every weight.
        meta_step_size: μ ≥ 0.
        tau: time constant of the normaliser's decay, ≥ 1.
    """

    def init(params):
        return AutostepState(
            step_size=optax.tree.full_like(params, initial_step_size),
            trace=optax.tree.zeros_like(params),
            normalizer=optax.tree.zeros_like(params),
        )

    def update(updates, state, params=None, *, features, **extra_args):
        correlation = jax.tree.map(lambda g, h: -g * h, updates, state.trace)
        normalizer = jax.tree.map(
            lambda c, v, alpha, x: jnp.maximum(jnp.abs(c), v + alpha * x**2 * (jnp.abs(c) - v) / tau),
            correlation,
            state.normalizer,
            state.step_size,
            features,
        )
        step_size = jax.tree.map(
            lambda alpha, c, v: alpha * jnp.exp(meta_step_size * safe_ratio(c, v)),
            state.step_size,
            correlation,
            normalizer,
        )
        overshoot = jnp.maximum(optax.tree.sum(jax.tree.map(lambda alpha, x: alpha * x**2, step_size, features)), 1.0)
        step_size = jax.tree.map(lambda alpha: alpha / overshoot, step_size)
        steps = jax.tree.map(lambda alpha, g: -alpha * g, step_size, updates)
        trace = jax.tree.map(
            lambda h, alpha, x, step: h * (1.0 - alpha * x**2) + step, state.trace, step_size, features, steps
        )
        return steps, AutostepState(step_size, trace, normalizer)

    return keep_dtypes(init, update)
