"""`bootstrapped`: pull the learner towards where it would be some updates later.

    theta_K -> ... -> theta_{K+L-1} -> target      the target continues, held still; its last step is on the plain
    objective meta-gradient = d matching(target, theta_K) / d eta

Flennerhag et al. 2022 (https://arxiv.org/abs/2109.04504).
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from selftune import _tree
from selftune.errors import EstimatorError, SettingError
from selftune.estimators.adjoint import reverse_mode
from selftune.estimators.matching import Matching, squared_distance
from selftune.estimators.problem import (
    Estimate,
    EstimateInfo,
    Estimator,
    Problem,
    length,
    needs_learner,
    needs_validation,
    stateless,
    unpack,
    unroll as unroll_steps,
    whole,
)
from selftune.learning import judged
from selftune.learning.inner_loop import NO_MEMORY
from selftune.learning.judging import entry
from selftune.types import Batch, MetaParams, PRNGKey, PyTree, Scalar


def bootstrapped(unroll: int = 1, target_steps: int = 8, matching: Matching = squared_distance) -> Estimator:
    """Match the parameters after `unroll` updates to a target `target_steps` further on.

    Estimates the direction in which the update rule should change for `unroll` updates to arrive where `unroll +
    target_steps` arrive. It is not the gradient of the outer loss, and looks `target_steps` ahead without
    differentiating through them. Limit: with `target_steps=1`, plain gradient descent at rate a inside and
    `squared_distance`, it equals a times `truncated(unroll)`. Time: the differentiated window of `truncated(unroll)`,
    plus one plain update for each target step.

    Of the `unroll + target_steps - 1` batches of a window the first `unroll` are differentiated, the others carry the
    target on with the same rule; the last target step descends `meta_loss` on the validation batch through the inner
    optimizer. The learner continues from the state before that last step.

    Args:
        unroll: Differentiated updates, `K`.
        target_steps: Updates of the target, `L`; moderate values (8 to 16) work, very large ones derail.
        matching: `matching(target_params, params, batch) -> scalar`, such as `matching.policy_divergence(logits)`.

    Raises:
        EstimatorError: `unroll` or `target_steps` is no whole number from 1 on, or the tuner has only a bare step
            function.
    """
    if not whole(unroll, target_steps):
        raise EstimatorError(
            f"bootstrapped(unroll={unroll}, target_steps={target_steps}): expected whole numbers >= 1."
        )
    window = unroll + target_steps - 1

    def estimate(
        problem: Problem,
        meta_params: MetaParams,
        state: PyTree,
        estimator_state: PyTree,
        batches: Batch,
        validation: Batch | None,
        key: PRNGKey,
    ) -> Estimate:
        validation = needs_validation(validation, "bootstrapped")
        near, far = (
            jax.tree.map(lambda leaf, part=part: leaf[part], batches) for part in (slice(unroll), slice(unroll, None))
        )

        def match(moving: MetaParams, after: PyTree) -> tuple[Scalar, PyTree]:
            start = _tree.constant(after)
            ahead, infos = unroll_steps(problem, meta_params, start, far) if length(far) else (start, None)
            target, value, aux = _plain_step(problem, meta_params, ahead, validation)
            distance = matching(_tree.constant(target.params), after.params, unpack(validation)[0])
            return distance, (ahead, infos, value, aux)

        meta_grad, _, infos, _, (ahead, more, value, aux) = reverse_mode(
            problem, meta_params, state, near, match, False
        )
        if more is not None:
            infos = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), infos, more)
        return meta_grad, ahead, estimator_state, EstimateInfo(value, aux, infos, jnp.asarray(True))

    return Estimator(f"bootstrapped({unroll}, {target_steps})", stateless, estimate, window)


def _plain_step(problem: Problem, meta_params: MetaParams, state: PyTree, validation: Batch) -> tuple:
    """The target's last step: down the outer loss, through the inner optimizer."""
    learner = needs_learner(problem, "bootstrapped")
    batch, _ = unpack(validation)
    eta = problem.eta(meta_params, validation)
    params, frozen = learner.split(state)

    def outer(params: PyTree) -> tuple[Scalar, Any]:
        return judged(problem.meta_loss, params, frozen, eta, batch)

    (value, aux), gradient = jax.value_and_grad(outer, has_aux=True)(params)
    for name in learner.extras:
        try:
            entry(aux, name)
        except SettingError:
            raise EstimatorError(
                f"bootstrapped descends meta_loss by the inner rule, which needs {name!r}, and meta_loss's aux has it "
                "not; return it there as the loss does."
            ) from None
    still = dataclasses.replace(learner, memory=NO_MEMORY)  # the target's is thrown away; validation may not suit it
    target, _ = still.apply(eta, state, gradient, batch, aux)
    return target, value, aux
