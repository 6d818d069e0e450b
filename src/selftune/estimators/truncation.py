"""`truncated`: the gradient of the outer loss after a few updates, as if all before had nothing to do with it.

    eta -> theta_1 -> ... -> theta_K -> meta_loss

Xu et al. 2018 (https://arxiv.org/abs/1805.09801) at K = 1.
"""

from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp

from selftune import _tree
from selftune.errors import EstimatorError
from selftune.estimators.adjoint import Taken, mixed_mode, pull_back, reverse_mode, take
from selftune.estimators.problem import (
    Estimate,
    EstimateInfo,
    Estimator,
    Problem,
    needs_learner,
    needs_validation,
    unpack,
    whole,
)
from selftune.types import Array, Batch, Bool, MetaParams, PRNGKey, PyTree

MODES = {"reverse": reverse_mode, "mixed": mixed_mode}


def truncated(unroll: int = 1, mode: Literal["reverse", "mixed"] = "reverse", remat: bool = False) -> Estimator:
    """Differentiate through the last `unroll` updates.

    Estimates the gradient of the outer loss after `unroll` updates. Exact for that window; biased for the long run,
    towards what pays at once (short-horizon bias, Wu et al. 2018). Variance grows with the window. In units of a plain
    update, with a deep network: 2.7 at one step, 2.3 to 2.7 where the next training batch is the judge; about 3.7 +
    1/K a step in mixed mode at K steps, 5.6 in reverse mode. Memory: `reverse` keeps every activation of the window,
    `mixed` one state and one gradient a step.

    With `unroll=1`, `tuner.update(..., validation=None)` lets the batch that trains next also judge the update before:
    one forward pass serves both, nothing is replayed, and the meta-gradient of learning rates costs nothing beyond the
    update. The tuner needs an example of the batches for this: `tuner.init(state, batches)`. Each such update must
    begin where the one before ended, with no `tuner.act` between them; one with a validation batch in between is judged
    by that batch, and the next begins anew.

    Args:
        unroll: Updates in the window, `K`.
        mode: `"reverse"` works on any step function; `"mixed"` needs a `Learner` and takes far less memory at large K.
        remat: Keep only one state a step and compute the rest again.

    Raises:
        EstimatorError: `unroll` is no whole number from 1 on, or the mode is unknown.
    """
    if not whole(unroll) or mode not in MODES:
        raise EstimatorError(
            f"truncated(unroll={unroll}, mode={mode!r}): expected a whole unroll >= 1 and mode in {sorted(MODES)}."
        )
    differentiate = MODES[mode]

    def init(problem: Problem, meta_params: MetaParams, state: PyTree, batches: Batch | None) -> PyTree:
        if mode == "mixed":
            needs_learner(problem, "truncated(mode='mixed')")
        if batches is None or unroll > 1:
            return ()
        return _nothing_pending(problem, meta_params, state, batches)

    def estimate(
        problem: Problem,
        meta_params: MetaParams,
        state: PyTree,
        estimator_state: PyTree,
        batches: Batch,
        validation: Batch | None,
        key: PRNGKey,
    ) -> Estimate:
        if validation is None and unroll == 1:
            return _judged_by_the_next_batch(problem, meta_params, state, estimator_state, batches)
        judge = needs_validation(validation, f"truncated({unroll})")
        meta_grad, state, infos, value, aux = differentiate(
            problem, meta_params, state, batches, lambda eta, last: problem.judge(eta, last, judge), remat
        )
        return meta_grad, state, _forget(estimator_state, state), EstimateInfo(value, aux, infos, jnp.asarray(True))

    return Estimator(f"truncated({unroll})", init, estimate, unroll, _forget)


class Pending(eqx.Module):
    """The last update, until the next batch judges it."""

    ready: Bool[Array, ""]
    meta_params: MetaParams
    taken: Taken


def _forget(pending: PyTree, state: PyTree) -> PyTree:
    return eqx.tree_at(lambda held: held.ready, pending, jnp.asarray(False)) if isinstance(pending, Pending) else ()


def _nothing_pending(problem: Problem, meta_params: MetaParams, state: PyTree, batches: Batch) -> Pending:
    learner = needs_learner(problem, "truncated(1) with validation=None")
    shapes = jax.eval_shape(
        lambda meta_params, state, batch: take(problem, learner, meta_params, state, batch)[2],
        meta_params,
        state,
        _tree.entry(batches, 0),
    )
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    return Pending(jnp.asarray(False), meta_params, zeros._replace(state=state))


def _judged_by_the_next_batch(
    problem: Problem, meta_params: MetaParams, state: PyTree, pending: PyTree, batches: Batch
) -> Estimate:
    """One forward pass on the new batch, two cotangents: one judges the update before, one makes the next."""
    if not isinstance(pending, Pending):
        raise EstimatorError(
            "validation=None says that the next training batch judges each update, and the tuner was started without "
            "an example of the batches. Start it with tuner.init(state, batches)."
        )
    learner = needs_learner(problem, "truncated(1) with validation=None")
    batch = _tree.entry(batches, 0)

    def judged(variables: tuple[MetaParams, PyTree]) -> tuple:
        return problem.judge(*variables, unpack(batch)[0])

    (value, aux), (direct, cotangent) = eqx.filter_value_and_grad(judged, has_aux=True)((meta_params, state))
    _, share = pull_back(problem, learner, pending.meta_params, pending.taken, cotangent)
    meta_grad = jax.tree.map(lambda leaf: jnp.where(pending.ready, leaf, 0.0), _tree.add(direct, share))
    new_state, info, taken = take(problem, learner, meta_params, state, batch)
    info = EstimateInfo(value, aux, jax.tree.map(lambda leaf: leaf[None], info), pending.ready)
    return meta_grad, new_state, Pending(jnp.asarray(True), meta_params, taken), info
