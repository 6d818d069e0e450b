"""Matching functions for bootstrapped targets: how far the learner is from where the target got to.

`matching(target_params, params, batch) -> scalar`; the target is held still.
"""

from collections.abc import Callable
from typing import TypeAlias

import jax
import jax.numpy as jnp

from selftune import _tree
from selftune.types import Array, Batch, Float, Params, Scalar

Matching: TypeAlias = Callable[[Params, Params, Batch], Scalar]


def squared_distance(target_params: Params, params: Params, batch: Batch) -> Scalar:
    """Half the squared distance in parameters."""
    difference = jax.tree.map(jnp.subtract, target_params, params)
    return 0.5 * _tree.squared_norm(difference)


def policy_divergence(logits: Callable[[Params, Batch], Float[Array, "... A"]]) -> Matching:
    """Mean Kullback-Leibler divergence from the target's categorical policy to the learner's.

    Args:
        logits: `logits(params, batch)`, [..., A]; `-inf` for what cannot be done.
    """

    def matching(target_params: Params, params: Params, batch: Batch) -> Scalar:
        target, current = (jax.nn.log_softmax(logits(p, batch)) for p in (target_params, params))
        possible = jnp.isfinite(target)  # 0 log 0 is 0, of the value and of its derivative
        gained = jnp.where(possible, target, 0.0) - jnp.where(possible, current, 0.0)
        return (jnp.exp(target) * gained).sum(axis=-1).mean()

    return matching
