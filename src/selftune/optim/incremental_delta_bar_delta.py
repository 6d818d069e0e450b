"""IDBD: a step size for every weight of a linear unit, learned from the traces of its own updates.

    β ← β + θ δ x h,   α = exp β,   w ← w + α δ x,   h ← h [1 − α x²]₊ + α δ x

h is ∂w/∂β, the influence of one weight's log step size on that weight alone. Sutton, "Adapting bias by
gradient descent: an incremental version of delta-bar-delta" (AAAI 1992); the floor β ≥ −10 and the bound |Δβ|
≤ 2 are his. There is no ceiling: when the scale of the inputs grows under a learned α, IDBD diverges and
`autostep` does not.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import PyTree, ScalarLike

from selftune.optim._numerics import keep_dtypes

_LOG_STEP_SIZE_FLOOR = -10.0
_LARGEST_CHANGE = 2.0


class IDBDState(NamedTuple):
    """What the next step needs; both like the parameters."""

    log_step_size: PyTree
    trace: PyTree
    """h, of the recent updates of each weight."""


def idbd(initial_step_size: ScalarLike, meta_step_size: ScalarLike) -> optax.GradientTransformationExtraArgs:
    """Incremental delta-bar-delta.

    `update(updates, state, params, features=x)`: `updates` is the gradient −δ x of ½ δ², with δ the
    prediction error of one example, and `features` a pytree like the parameters of the inputs x that multiply
    each weight (1 for a bias). For several units, map over them.

    Args:
        initial_step_size: α_0 > 0 of every weight (0.05 in the paper).
        meta_step_size: θ ≥ 0 (0.001 to 0.02 in the paper).
    """

    def init(params):
        log_step_size = jnp.log(initial_step_size)
        return IDBDState(optax.tree.full_like(params, log_step_size), optax.tree.zeros_like(params))

    def update(updates, state, params=None, *, features, **extra_args):
        def moved(beta, g, h):
            change = meta_step_size * (-g * h)
            bounded = jnp.clip(change, -_LARGEST_CHANGE, _LARGEST_CHANGE)
            return jnp.maximum(beta + bounded, _LOG_STEP_SIZE_FLOOR)

        log_step_size = jax.tree.map(moved, state.log_step_size, updates, state.trace)
        step_size = jax.tree.map(jnp.exp, log_step_size)
        steps = jax.tree.map(lambda alpha, g: -alpha * g, step_size, updates)
        trace = jax.tree.map(
            lambda h, alpha, x, step: h * jnp.maximum(1.0 - alpha * x**2, 0.0) + step,
            state.trace,
            step_size,
            features,
            steps,
        )
        return steps, IDBDState(log_step_size, trace)

    return keep_dtypes(init, update)
