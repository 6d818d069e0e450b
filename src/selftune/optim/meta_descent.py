"""Stochastic meta-descent: step sizes for every parameter of any model, by exact curvature–vector products.

    p ← p · max(½, 1 − μ v g),   θ ← θ − p g,   v ← λ v − p (g + λ H v)

v is the derivative of the parameters with respect to the log step sizes, decayed by λ: where IDBD drops the
off-diagonal terms, H v keeps them. Schraudolph, "Local gain adaptation in stochastic gradient descent" (ICANN
1999); max(½, 1 + u) in place of exp(u) is his ("Fast curvature matrix-vector products", Neural Computation
14(7), 2002): it is positive, cheap, and lets one bad gradient do little harm.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import PyTree, ScalarLike

from selftune.optim._numerics import keep_dtypes


class StochasticMetaDescentState(NamedTuple):
    """What the next step needs; both like the parameters."""

    step_size: PyTree
    trace: PyTree
    """v, the sensitivity of the parameters to the log step sizes."""


def stochastic_meta_descent(
    initial_step_size: ScalarLike, meta_step_size: ScalarLike, decay: ScalarLike = 0.99
) -> optax.GradientTransformationExtraArgs:
    """SMD.

    `update(updates, state, params, hessian_vector_product=hv)`: `updates` is the gradient, and `hv` takes v,
    a pytree like the parameters, to H v, at the same parameters and data as the gradient; for a loss f that
    is `lambda v: jax.jvp(jax.grad(f), (params,), (v,))[1]`. As an extra of `selftune.learner` it goes through `aux`:
    `jax.tree_util.Partial(lambda params, v: jax.jvp(jax.grad(f), (params,), (v,))[1], params)`.

    Args:
        initial_step_size: p_0 > 0 of every parameter.
        meta_step_size: μ ≥ 0.
        decay: λ in [0, 1]; 1 remembers the whole past, 0 leaves the product of successive gradients.
    """

    def init(params):
        return StochasticMetaDescentState(
            optax.tree.full_like(params, initial_step_size), optax.tree.zeros_like(params)
        )

    def update(updates, state, params=None, *, hessian_vector_product: Callable[[PyTree], PyTree], **extra_args):
        step_size = jax.tree.map(
            lambda p, v, g: p * jnp.maximum(0.5, 1.0 - meta_step_size * v * g),
            state.step_size,
            state.trace,
            updates,
        )
        steps = jax.tree.map(lambda p, g: -p * g, step_size, updates)
        curvature = hessian_vector_product(state.trace)
        trace = jax.tree.map(
            lambda v, step, p, hv: decay * (v - p * hv) + step, state.trace, steps, step_size, curvature
        )
        return steps, StochasticMetaDescentState(step_size, trace)

    return keep_dtypes(init, update)
