"""SwiftTD: true online TD(λ) that learns a step size for every weight, and whose rate of learning is bounded.

With β the log step sizes, d = γλ, u the last change of the weights, and h and k the derivatives ∂w/∂β of now and of
one step before, the traces take in the features x,

    τ = Σ eᵝ x²,   dz = min(1, η/τ) eᵝ x,   b = d zᵀx,   g = uᵀx
    z ← d z + dz (1 − b)                                  the dutch trace
    z̄ ← d z̄ + dz (1 − b − d z̄ x)                          ∂z/∂β
    p ← d p + k x                                         what β is credited with
    m = h − k x (z − dz) − h dz x

and where τ > η also β ← β + x² ln ε, and h, m, z̄ ← 0 for all weights with x ≠ 0; then the TD error δ arrives:

    w ← w + δ z + g (z − dz)
    β ← β + θ δ p / eᵝ, held between η_min and η
    k ← h,   h ← m + (δ + g) z̄ − dz g

Javed, Sharifnassab and Sutton, "SwiftTD: a fast and robust algorithm for temporal difference learning" (RLC 2024),
algorithm 1, which writes δ + g for the error against the last prediction. Where no bound is active h is the derivative
of each weight by its own log step size, as long as the bootstrapped target is held still.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, PyTree, ScalarLike

from selftune.optim._numerics import keep_dtypes
from selftune.optim.eligibility import dot, dutch


class SwiftTDState(NamedTuple):
    """What the next step needs; all like the parameters."""

    log_step_size: PyTree
    eligibility: PyTree
    """z, the dutch trace, with the step sizes in it."""
    eligibility_influence: PyTree
    """z̄, of each log step size on its eligibility."""
    credit: PyTree
    """p, the trace of what each log step size did to the predictions."""
    influence: PyTree
    """h, of each log step size on its weight."""
    last_influence: PyTree
    """k, the same before the last update."""
    last_update: PyTree
    """u, by how much the weights moved last."""

    @property
    def step_size(self) -> PyTree:
        """α of every weight."""
        return jax.tree.map(jnp.exp, self.log_step_size)


def swift_td(
    initial_step_size: ScalarLike = 1e-2,
    meta_step_size: ScalarLike = 1e-3,
    rate_bound: ScalarLike = 0.1,
    step_size_decay: ScalarLike = 0.999,
    smallest_step_size: ScalarLike = 1e-10,
) -> optax.GradientTransformationExtraArgs:
    """SwiftTD, for one linear prediction; its call is that of `eligibility_traces`.

    Args:
        initial_step_size: α_0 > 0 of every weight; above η it is η.
        meta_step_size: θ ≥ 0; 0 is true online TD(λ), as long as no bound is active.
        rate_bound: η in (0, 1], of τ, the fraction of an error that one update removes.
        step_size_decay: ε in (0, 1], by which step sizes shrink where the rate would exceed its bound.
        smallest_step_size: η_min in (0, η), of every weight.
    """

    def init(params):
        zeros = optax.tree.zeros_like(params)
        log_step_size = jnp.clip(jnp.log(initial_step_size), jnp.log(smallest_step_size), jnp.log(rate_bound))
        return SwiftTDState(optax.tree.full_like(params, log_step_size), *6 * [zeros])

    def update(updates, state, params=None, *, td_error, features, decay, **extra_args):
        rate = dot(jax.tree.map(lambda alpha, x: alpha * x, state.step_size, features), features)
        excessive = rate > rate_bound
        scale = rate_bound / jnp.maximum(rate, rate_bound)
        increment = jax.tree.map(lambda alpha, x: scale * alpha * x, state.step_size, features)
        drift = dot(state.last_update, features)
        overlap = decay * dot(state.eligibility, features)

        eligibility = dutch(state.eligibility, features, decay, increment)
        eligibility_influence = jax.tree.map(
            lambda zbar, dz, x: decay * zbar + dz * (1.0 - overlap - decay * zbar * x),
            state.eligibility_influence,
            increment,
            features,
        )
        credit = jax.tree.map(lambda p, k, x: decay * p + k * x, state.credit, state.last_influence, features)
        kept = jax.tree.map(
            lambda h, k, x, z, dz: h - k * x * (z - dz) - h * dz * x,
            state.influence,
            state.last_influence,
            features,
            eligibility,
            increment,
        )
        last_influence, kept, eligibility_influence = (
            _forget(excessive, tree, features) for tree in (state.influence, kept, eligibility_influence)
        )

        def moved(beta, p, x):
            beta = jnp.where(excessive, beta + x**2 * jnp.log(step_size_decay), beta)
            beta = beta + meta_step_size * td_error * p * jnp.exp(-beta)
            return jnp.clip(beta, jnp.log(smallest_step_size), jnp.log(rate_bound))

        steps = jax.tree.map(lambda z, dz: td_error * z + drift * (z - dz), eligibility, increment)
        log_step_size = jax.tree.map(moved, state.log_step_size, credit, features)
        influence = jax.tree.map(
            lambda m, zbar, dz: m + (td_error + drift) * zbar - dz * drift, kept, eligibility_influence, increment
        )
        new = SwiftTDState(log_step_size, eligibility, eligibility_influence, credit, influence, last_influence, steps)
        return steps, new

    return keep_dtypes(init, update)


def _forget(excessive: Bool[Array, ""], tree: PyTree, features: PyTree) -> PyTree:
    """0 for the weights in use while the bound is active: what they do then no longer depends on their step sizes."""
    return jax.tree.map(lambda leaf, x: jnp.where(excessive & (x != 0.0), 0.0, leaf), tree, features)
