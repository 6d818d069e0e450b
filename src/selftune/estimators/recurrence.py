"""`forward`: real-time recurrent learning. Carry d state / d eta along with the state, for ever.

    S_{t+1} = decay * (d step / d state) S_t + d step / d eta
    meta-gradient = (d meta_loss / d state) S

Franceschi et al. 2017 (https://arxiv.org/abs/1703.01785); with `hessian=False` the trace of Xu et al. 2018.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from selftune import _tree
from selftune.errors import EstimatorError
from selftune.estimators.problem import (
    Estimate,
    EstimateInfo,
    Estimator,
    Problem,
    needs_learner,
    needs_validation,
    scan,
    unpack,
    whole,
)
from selftune.types import Batch, MetaParams, PRNGKey, PyTree

MOST_SCALARS = 128
"""Above this many metaparameters a tangent for each costs more than any other estimator here."""


def forward(decay: float = 1.0, hessian: bool = True, unroll: int = 1) -> Estimator:
    """Forward-mode derivatives of the state, carried over all updates: no truncation.

    Estimates the gradient of the outer loss through the whole past, exact while the metaparameters stand still (they
    move slowly; old terms belong to old values). Unbiased for the long run at `decay=1, hessian=True`; smaller values
    shorten the memory and tame exploding derivatives. Time: about two updates for each scalar metaparameter, at every
    update; memory: one state for each. A bare step function suffices with `hessian=True`.

    Args:
        decay: Factor on the carried derivative at each update, in (0, 1].
        hessian: Whether the inner gradient's dependence on the parameters is followed; without it, only what the
            update rule itself carries on (Xu et al.'s approximation; about half the time).
        unroll: Updates between two estimates, `K`.

    Raises:
        EstimatorError: A setting is out of range, or there are more than 128 scalar metaparameters.
    """
    if not 0.0 < decay <= 1.0 or not whole(unroll):
        raise EstimatorError(
            f"forward(decay={decay}, unroll={unroll}): expected 0 < decay <= 1 and a whole unroll >= 1."
        )

    def init(problem: Problem, meta_params: MetaParams, state: PyTree, batches: Batch | None) -> PyTree:
        if not hessian:
            needs_learner(problem, "forward(hessian=False)")
        count = ravel_pytree(meta_params)[0].size
        if not 0 < count <= MOST_SCALARS:
            raise EstimatorError(
                "forward() carries one derivative of the whole state for each scalar metaparameter; here there are "
                f"{count}, expected 1 to {MOST_SCALARS}. (A contextual metaparameter counts each weight of its network."
                ") Use truncated(mode='mixed'), whose cost does not depend on their number, or a scalar scope."
            )
        floats = eqx.filter(state, eqx.is_inexact_array)
        return jax.tree.map(lambda leaf: jnp.zeros((count, *leaf.shape), leaf.dtype), floats)

    def estimate(
        problem: Problem,
        meta_params: MetaParams,
        state: PyTree,
        estimator_state: PyTree,
        batches: Batch,
        validation: Batch | None,
        key: PRNGKey,
    ) -> Estimate:
        validation = needs_validation(validation, "forward")
        flat, unravel = ravel_pytree(meta_params)
        basis = jax.vmap(unravel)(jnp.eye(flat.size, dtype=flat.dtype))
        tangent = _whole_tangent if hessian else _rule_tangent

        def step(carry: tuple[PyTree, PyTree], batch: Batch) -> tuple[tuple[PyTree, PyTree], PyTree]:
            state, sensitivity = carry
            old = _tree.scale(decay, sensitivity)
            new = jax.vmap(lambda direction, old: tangent(problem, meta_params, state, batch, direction, old))(
                basis, old
            )
            state, info = problem.step(meta_params, state, batch)
            return (state, new), info

        (last, sensitivity), infos = scan(step, (state, estimator_state), batches)

        def judged(variables: tuple[MetaParams, PyTree]) -> tuple:
            return problem.judge(*variables, validation)

        (value, aux), (direct, cotangent) = eqx.filter_value_and_grad(judged, has_aux=True)((meta_params, last))
        along = jax.vmap(lambda tangent: _tree.dot(cotangent, tangent))(sensitivity)
        meta_grad = _tree.add(direct, unravel(along.astype(flat.dtype)))
        return meta_grad, last, sensitivity, EstimateInfo(value, aux, infos, jnp.asarray(True))

    def forget(sensitivity: PyTree, state: PyTree) -> PyTree:
        return jax.tree.map(jnp.zeros_like, sensitivity)

    return Estimator(f"forward({decay:g})", init, estimate, unroll, forget)


def _whole_tangent(
    problem: Problem, meta_params: MetaParams, state: PyTree, batch: Batch, direction: MetaParams, old: PyTree
) -> PyTree:
    """Derivative of the next state along one metaparameter, through everything."""
    floats, rest = eqx.partition(state, eqx.is_inexact_array)

    def step(meta_params: MetaParams, floats: PyTree) -> PyTree:
        state, _ = problem.step(meta_params, eqx.combine(floats, rest), batch)
        return eqx.filter(state, eqx.is_inexact_array)

    return jax.jvp(step, (meta_params, floats), (direction, old))[1]


def _rule_tangent(
    problem: Problem, meta_params: MetaParams, state: PyTree, batch: Batch, direction: MetaParams, old: PyTree
) -> PyTree:
    """The same, with the inner gradient taken as if it did not depend on the parameters."""
    learner = needs_learner(problem, "forward(hessian=False)")
    data, scale = unpack(batch)
    floats, rest = eqx.partition(state, eqx.is_inexact_array)

    def step(meta_params: MetaParams, floats: PyTree) -> PyTree:
        eta = problem.eta(meta_params, batch)
        gradient, (_, aux) = learner.gradient(eta, state, data)
        after, _ = learner.apply(eta, eqx.combine(floats, rest), gradient, data, aux, scale)
        return eqx.filter(after, eqx.is_inexact_array)

    return jax.jvp(step, (meta_params, floats), (direction, old))[1]
