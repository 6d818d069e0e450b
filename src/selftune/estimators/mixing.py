"""`mixture`: a weighted mean of estimators over different horizons.

Short windows have little variance, long ones little bias; Bonnet et al. 2021 (https://arxiv.org/abs/2111.00206) mix
them.
"""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from selftune import _tree
from selftune.errors import EstimatorError
from selftune.estimators.problem import Estimate, Estimator, Problem, needs_validation, unroll as unroll_steps
from selftune.types import Batch, MetaParams, PRNGKey, PyTree


def mixture(estimators: Sequence[Estimator], weights: Sequence[float] | None = None) -> Estimator:
    """Mix estimators whose windows all end at the same state.

    Estimates the weighted mean of what its members estimate; bias and variance are mixed likewise. Each member sees
    the last updates of the longest member's window. Time and memory: the sum of the members'.

    Args:
        estimators: At least one, such as `[truncated(1), truncated(2), truncated(4)]`.
        weights: Positive numbers, normalised to sum 1; equal when omitted.

    Raises:
        EstimatorError: No member, weights that do not fit or have no finite sum, or a member that carries something
            from window to window (`forward`, `evolution`) and would not see every update.
    """
    weights = [1.0] * len(estimators) if weights is None else list(weights)
    fit = len(weights) == len(estimators) > 0 and all(weight > 0 for weight in weights)
    if not fit or not math.isfinite(sum(weights)):
        raise EstimatorError(
            f"mixture of {len(estimators)} estimators with weights {weights}: expected at least one, and a "
            "positive weight for each, with a finite sum."
        )
    window = max(estimator.window for estimator in estimators)
    shares = [weight / sum(weights) for weight in weights]

    def init(problem: Problem, meta_params: MetaParams, state: PyTree, batches: Batch | None) -> PyTree:
        states = tuple(estimator.init(problem, meta_params, state, None) for estimator in estimators)
        for estimator, member_state in zip(estimators, states, strict=True):
            if estimator.window < window and jax.tree.leaves(member_state):
                raise EstimatorError(
                    f"{estimator.name} carries its state from window to window and would see only the last "
                    f"{estimator.window} of every {window} updates of this mixture. Give it unroll={window}."
                )
        return states

    def estimate(
        problem: Problem,
        meta_params: MetaParams,
        state: PyTree,
        estimator_state: PyTree,
        batches: Batch,
        validation: Batch | None,
        key: PRNGKey,
    ) -> Estimate:
        validation = needs_validation(validation, "mixture")
        keys = jax.random.split(key, len(estimators))
        total, longest, states = jax.tree.map(jnp.zeros_like, meta_params), None, []
        for share, estimator, member_state, member_key in zip(shares, estimators, estimator_state, keys, strict=True):
            skip = window - estimator.window
            before, after = (jax.tree.map(lambda leaf, s=s: leaf[s], batches) for s in (slice(skip), slice(skip, None)))
            start = unroll_steps(problem, meta_params, state, before)[0] if skip else state
            member = estimator.estimate(problem, meta_params, start, member_state, after, validation, member_key)
            total = _tree.add(total, _tree.scale(share, member[0]))
            states.append(member[2])
            longest = member if skip == 0 and longest is None else longest
        assert longest is not None
        return total, longest[1], tuple(states), longest[3]

    def forget(estimator_state: PyTree, state: PyTree) -> PyTree:
        members = zip(estimators, estimator_state, strict=True)
        return tuple(estimator.forget(member_state, state) for estimator, member_state in members)

    return Estimator(f"mixture({', '.join(e.name for e in estimators)})", init, estimate, window, forget)
