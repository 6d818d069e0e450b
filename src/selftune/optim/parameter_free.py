"""Rules that find their own step size, from optax.contrib, where nothing differentiates through them.

Their derivative at a gradient of zero is not finite (square roots and quotients of norms); here it is zero everywhere:
no meta-gradient passes, and none is needed, because there is no rate to tune.
"""

import jax.numpy as jnp
import optax
import optax.contrib
from jaxtyping import PyTree, ScalarLike

from selftune import _tree
from selftune.optim._numerics import keep_dtypes


def prodigy(b1: ScalarLike = 0.9, b2: ScalarLike = 0.999) -> optax.GradientTransformation:
    """Adam at a rate that grows with the estimated distance to the solution (Mishchenko and Defazio 2023).

    https://arxiv.org/abs/2306.06101

    Args:
        b1: Decay of the mean gradient, in [0, 1).
        b2: Decay of the mean squared gradient, in (0, 1).
    """
    return held_still(optax.contrib.prodigy(betas=(b1, b2)))


def dog() -> optax.GradientTransformation:
    """Gradient descent at distance over gradients (Ivgi et al. 2023, https://arxiv.org/abs/2302.12022)."""
    return held_still(optax.contrib.dog())


def dowg() -> optax.GradientTransformation:
    """Gradient descent at distance over weighted gradients (Khaled et al. 2023, https://arxiv.org/abs/2305.16284)."""
    return held_still(optax.contrib.dowg())


def schedule_free(
    learning_rate: ScalarLike, b1: ScalarLike = 0.9, b2: ScalarLike = 0.999, eps: ScalarLike = 1e-8
) -> optax.GradientTransformation:
    """Adam with iterate averaging in place of a schedule (Defazio et al. 2024, https://arxiv.org/abs/2405.15682).

    It still has a rate. The parameters are the points where gradients are taken.

    Args:
        learning_rate: Above 0.
        b1: Weight of the average in those points, in [0, 1); below 1e-3 it is 1e-3, since the rule divides by it.
        b2: Decay of the mean squared gradient, in (0, 1).
        eps: Below this size gradients are not normalised.
    """
    return held_still(optax.contrib.schedule_free_adamw(learning_rate, b1=jnp.maximum(b1, 1e-3), b2=b2, eps=eps))


def held_still(rule: optax.GradientTransformation) -> optax.GradientTransformation:
    """The same rule, a constant to every gradient."""
    inner = optax.with_extra_args_support(rule)

    def update(updates: PyTree, state: PyTree, params: PyTree | None = None, **extras: PyTree) -> tuple[PyTree, PyTree]:
        given = _tree.constant((updates, state, params))
        return _tree.constant(inner.update(*given, **extras))

    return keep_dtypes(inner.init, update)
