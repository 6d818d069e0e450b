"""TIDBD: a step size for every weight of a TD(λ) prediction, learned from the traces of its own updates.

    β ← β + θ δ x h,   α = exp β,   z ← γλ z + x,   w ← w + α δ z,   h ← h [1 − α x z]₊ + α δ z

It is `idbd` for temporal differences: h stands for ∂w/∂β, and the target of the TD error is held still. What β descends
is the error of one step, δ², whatever the λ that the weights learn with; `swift_td` descends the error of the λ-return.
The call of these rules is that of `eligibility_traces`.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import PyTree, ScalarLike

from selftune.optim._numerics import keep_dtypes, safe_ratio
from selftune.optim.eligibility import accumulate, dot


class TIDBDState(NamedTuple):
    """What the next step needs; all like the parameters."""

    log_step_size: PyTree
    eligibility: PyTree
    """z, the accumulating trace of the features."""
    influence: PyTree
    """h, of each log step size on its weight."""

    @property
    def step_size(self) -> PyTree:
        """α of every weight."""
        return jax.tree.map(jnp.exp, self.log_step_size)


class AutostepTIDBDState(NamedTuple):
    """What the next step needs; all like the parameters."""

    step_size: PyTree
    eligibility: PyTree
    """z, the accumulating trace of the features."""
    influence: PyTree
    """h, of each log step size on its weight."""
    normalizer: PyTree
    """v, a slowly decaying maximum of |δ x h|."""


def tidbd(initial_step_size: ScalarLike, meta_step_size: ScalarLike) -> optax.GradientTransformationExtraArgs:
    """TIDBD(λ) with semi-gradients.

    Kearney et al. 2018 (arXiv:1804.03334), algorithm 1. For a nonlinear prediction the features are its gradient.
    Nothing bounds the step sizes: begin with small ones, or take `autostep_tidbd` or `swift_td`.

    Args:
        initial_step_size: α_0 > 0 of every weight.
        meta_step_size: θ ≥ 0; 0 is TD(λ) with the step size α_0.
    """

    def init(params):
        zeros = optax.tree.zeros_like(params)
        return TIDBDState(optax.tree.full_like(params, jnp.log(initial_step_size)), zeros, zeros)

    def update(updates, state, params=None, *, td_error, features, decay, **extra_args):
        correlation = jax.tree.map(lambda x, h: td_error * x * h, features, state.influence)
        log_step_size = jax.tree.map(lambda beta, c: beta + meta_step_size * c, state.log_step_size, correlation)
        step_size = jax.tree.map(jnp.exp, log_step_size)
        eligibility = accumulate(state.eligibility, features, decay)
        steps = jax.tree.map(lambda alpha, z: alpha * td_error * z, step_size, eligibility)
        influence = _influence(state.influence, step_size, features, eligibility, steps)
        return steps, TIDBDState(log_step_size, eligibility, influence)

    return keep_dtypes(init, update)


def autostep_tidbd(
    initial_step_size: ScalarLike, meta_step_size: ScalarLike = 1e-2, tau: ScalarLike = 1e4
) -> optax.GradientTransformationExtraArgs:
    """TIDBD(λ) whose meta step is normalised and whose step never overshoots the TD error, as `autostep` does it.

        z ← γλ z + x,   c = δ x h
        v ← max(|c|, v + α [x z]₊ (|c| − v) / τ)             with the old α and h
        α ← α exp(θ c / v),   α ← α / max(Σ α x z, 1)         the sum over all weights
        w ← w + α δ z,   h ← h [1 − α x z]₊ + α δ z           with the new α

    After Kearney et al. 2019 (arXiv:1903.03252), algorithm 6, with semi-gradients: x stands where theirs has x − γx′.
    The trace in the bound is the one that the step is taken along, so that λ = 0 is `autostep`.

    Args:
        initial_step_size: α_0 > 0 of every weight.
        meta_step_size: θ ≥ 0; |Δ log α| is at most this before the division.
        tau: time constant of the normaliser's decay, ≥ 1.
    """

    def init(params):
        zeros = optax.tree.zeros_like(params)
        return AutostepTIDBDState(optax.tree.full_like(params, initial_step_size), zeros, zeros, zeros)

    def update(updates, state, params=None, *, td_error, features, decay, **extra_args):
        eligibility = accumulate(state.eligibility, features, decay)
        correlation = jax.tree.map(lambda x, h: td_error * x * h, features, state.influence)
        normalizer = jax.tree.map(
            lambda c, v, alpha, x, z: jnp.maximum(
                jnp.abs(c), v + alpha * jnp.maximum(x * z, 0.0) * (jnp.abs(c) - v) / tau
            ),
            correlation,
            state.normalizer,
            state.step_size,
            features,
            eligibility,
        )
        step_size = jax.tree.map(
            lambda alpha, c, v: alpha * jnp.exp(meta_step_size * safe_ratio(c, v)),
            state.step_size,
            correlation,
            normalizer,
        )
        reach = jax.tree.map(lambda alpha, z: alpha * z, step_size, eligibility)
        overshoot = jnp.maximum(dot(reach, features), 1.0)
        step_size = jax.tree.map(lambda alpha: alpha / overshoot, step_size)
        steps = jax.tree.map(lambda alpha, z: alpha * td_error * z, step_size, eligibility)
        influence = _influence(state.influence, step_size, features, eligibility, steps)
        return steps, AutostepTIDBDState(step_size, eligibility, influence, normalizer)

    return keep_dtypes(init, update)


def _influence(influence: PyTree, step_size: PyTree, features: PyTree, eligibility: PyTree, steps: PyTree) -> PyTree:
    """`h [1 − α x z]₊ + α δ z`."""
    return jax.tree.map(
        lambda h, alpha, x, z, step: h * jnp.maximum(1.0 - alpha * x * z, 0.0) + step,
        influence,
        step_size,
        features,
        eligibility,
        steps,
    )
