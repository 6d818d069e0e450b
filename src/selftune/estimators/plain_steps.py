"""`undifferentiated`: take the updates and differentiate nothing, for metaparameters that something else moves."""

import jax
import jax.numpy as jnp

from selftune.errors import EstimatorError
from selftune.estimators.problem import (
    Estimate,
    EstimateInfo,
    Estimator,
    Problem,
    stateless,
    unroll as unroll_steps,
    whole,
)
from selftune.types import Batch, MetaParams, PRNGKey, PyTree


def undifferentiated(unroll: int = 1) -> Estimator:
    """Take `unroll` updates; the gradient is zero.

    Estimates nothing: no bias, no variance, no cost beyond the updates, and the judge is never asked (`meta_loss` is
    0). For settings that stay, or that schedules, guards or people move. A bare step function suffices.

    Args:
        unroll: Updates in the window, `K`.

    Raises:
        EstimatorError: `unroll` is no whole number from 1 on.
    """
    if not whole(unroll):
        raise EstimatorError(f"undifferentiated(unroll={unroll}): expected a whole unroll >= 1.")

    def estimate(
        problem: Problem,
        meta_params: MetaParams,
        state: PyTree,
        estimator_state: PyTree,
        batches: Batch,
        validation: Batch | None,
        key: PRNGKey,
    ) -> Estimate:
        state, infos = unroll_steps(problem, meta_params, state, batches)
        nothing = jax.tree.map(jnp.zeros_like, meta_params)
        return nothing, state, estimator_state, EstimateInfo(jnp.zeros(()), {}, infos, jnp.asarray(True))

    return Estimator(f"undifferentiated({unroll})", stateless, estimate, unroll)
