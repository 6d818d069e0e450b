"""Eligibility traces: TD(λ) with a fixed step size, its trace accumulating or dutch.

A rule of temporal differences credits a TD error δ to the past. All of them are called alike,

    update(updates, state, params, td_error=δ, features=x, decay=γλ)

where `updates` is the semi-gradient −δ x of ½ δ², and the keywords are

    td_error  scalar; with the value of the successor held still
    features  like the parameters: the gradient x of the prediction, which for a linear one is its inputs
    decay     scalar: how much of the trace outlives the last transition, γλ; 0 at the first step of an episode

so that a `selftune.learner` whose loss puts these three into its `aux` takes any of them.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PyTree, ScalarLike

from selftune.optim._numerics import keep_dtypes


class EligibilityState(NamedTuple):
    """What the next step needs."""

    eligibility: PyTree
    """z, like the parameters."""


class TrueOnlineState(NamedTuple):
    """What the next step needs; both like the parameters."""

    eligibility: PyTree
    """z, the dutch trace, with the step size in it."""
    last_update: PyTree
    """By how much the weights moved last."""


def eligibility_traces() -> optax.GradientTransformationExtraArgs:
    """Turns the semi-gradient −δ x into −δ z, with the accumulating trace z ← γλ z + x.

    `chain(eligibility_traces(), sgd(α))` is TD(λ), for linear and nonlinear predictions alike; Sutton and Barto,
    Reinforcement Learning, 2nd edition, section 12.2. Any other rule may take the place of `sgd`.
    """

    def init(params):
        return EligibilityState(optax.tree.zeros_like(params))

    def update(updates, state, params=None, *, td_error, features, decay, **extra_args):
        eligibility = accumulate(state.eligibility, features, decay)
        return jax.tree.map(lambda z: -td_error * z, eligibility), EligibilityState(eligibility)

    return keep_dtypes(init, update)


def true_online_td(step_size: ScalarLike) -> optax.GradientTransformationExtraArgs:
    """True online TD(λ) of one linear prediction.

        b = γλ zᵀx,   z ← γλ z + α x (1 − b),   w ← w + δ z + uᵀx (z − α x)        u: the last change of w

    After every step its weights are those of the online λ-return algorithm, which TD(λ) reaches for small steps only.
    Van Seijen et al. 2016 (arXiv:1512.04087), algorithm 1.

    Args:
        step_size: α > 0.
    """

    def init(params):
        return TrueOnlineState(optax.tree.zeros_like(params), optax.tree.zeros_like(params))

    def update(updates, state, params=None, *, td_error, features, decay, **extra_args):
        increment = jax.tree.map(lambda x: step_size * x, features)
        eligibility = dutch(state.eligibility, features, decay, increment)
        drift = dot(state.last_update, features)
        steps = jax.tree.map(lambda z, dz: td_error * z + drift * (z - dz), eligibility, increment)
        return steps, TrueOnlineState(eligibility, steps)

    return keep_dtypes(init, update)


def accumulate(eligibility: PyTree, features: PyTree, decay: ScalarLike) -> PyTree:
    """The accumulating trace, `γλ z + x`."""
    return jax.tree.map(lambda z, x: decay * z + x, eligibility, features)


def dutch(eligibility: PyTree, features: PyTree, decay: ScalarLike, increment: PyTree) -> PyTree:
    """The dutch trace, `γλ z + dz (1 − γλ zᵀx)`, whose increment `dz` is the step sizes times the features."""
    overlap = decay * dot(eligibility, features)
    return jax.tree.map(lambda z, dz: decay * z + dz * (1.0 - overlap), eligibility, increment)


def dot(left: PyTree, right: PyTree) -> Float[Array, ""]:
    """Inner product of all leaves."""
    return jnp.asarray(optax.tree.sum(jax.tree.map(lambda a, b: jnp.sum(a * b), left, right)))
