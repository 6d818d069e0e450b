"""Hypergradient descent: one learning rate, moved by the inner product of successive gradients.

    α_t = α_{t−1} + β g_t·g_{t−1},   θ_t = θ_{t−1} − α_t g_t

The step of θ at t−1 was −α g_{t−1}, so −g_t·g_{t−1} is the derivative of the present loss with respect to α:
Baydin, Cornish, Martínez-Rubio, Schmidt and Wood, "Online learning rate adaptation with hypergradient
descent" (ICLR 2018, arXiv 1703.04782). Known bias: at a noisy optimum successive gradients are anticorrelated
at every stable α (E g_t·g_{t−1} < 0), so the rate creeps down whether or not it is too large.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PyTree, ScalarLike

from selftune.optim._numerics import global_norm, keep_dtypes, safe_ratio


class HypergradientState(NamedTuple):
    """What the next step needs."""

    learning_rate: Float[Array, ""]
    """The rate of the last update."""
    gradient: PyTree
    """Of the last update, like the parameters; zeros at first, so the first step leaves the rate as it is."""


def hypergradient_descent(
    learning_rate: ScalarLike, meta_learning_rate: ScalarLike
) -> optax.GradientTransformationExtraArgs:
    """SGD-HD, the additive rule of the paper, `α ← max(α + β g_t·g_{t−1}, 0)`.

    The paper has no bound, and one of its published runs ends at a negative rate. The floor is 0 and no
    prison: at α = 0 the parameters stand still, successive gradients agree, and the rate rises again. The
    incoming updates must be the gradient itself.

    Args:
        learning_rate: α_0 ≥ 0.
        meta_learning_rate: β ≥ 0, in units of α over gradient squared (1e-3 in the paper's MNIST runs).
    """

    def moved(rate, gradient, previous):
        return jnp.maximum(rate + meta_learning_rate * optax.tree.vdot(gradient, previous), 0.0)

    return _descent(learning_rate, moved)


def multiplicative_hypergradient_descent(
    learning_rate: ScalarLike, meta_learning_rate: ScalarLike
) -> optax.GradientTransformationExtraArgs:
    """The multiplicative rule, `α ← α (1 + β cos(g_t, g_{t−1}))`: positive by construction, free of units.

    The cosine makes it indifferent to the scale of the loss and at most a factor 1 ± β a step; it counts as 0
    where a gradient is 0 (Martínez-Rubio, "Convergence analysis of an adaptive method of gradient descent",
    Oxford 2017; Almeida et al., "Parameter adaptation in stochastic optimization", 1998). The incoming
    updates must be the gradient itself.

    Args:
        learning_rate: α_0 > 0.
        meta_learning_rate: β in [0, 1).
    """

    def moved(rate, gradient, previous):
        dot = jnp.asarray(optax.tree.vdot(gradient, previous))
        lengths = global_norm(gradient) * global_norm(previous)
        return rate * (1.0 + meta_learning_rate * safe_ratio(dot, lengths))

    return _descent(learning_rate, moved)


def _descent(learning_rate: ScalarLike, moved: Callable) -> optax.GradientTransformationExtraArgs:
    """Gradient descent at a rate that `moved(rate, gradient, previous_gradient)` sets before every step."""

    def init(params):
        rate = jnp.asarray(learning_rate, jnp.result_type(*jax.tree.leaves(params)))
        return HypergradientState(rate, optax.tree.zeros_like(params))

    def update(updates, state, params=None, **extra_args):
        rate = moved(state.learning_rate, updates, state.gradient)
        return jax.tree.map(lambda g: -rate * g, updates), HypergradientState(rate, updates)

    return keep_dtypes(init, update)
