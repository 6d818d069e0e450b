"""`implicit`: the gradient through an inner problem that has been solved, whatever path led there.

At a fixed point the inner gradient g(theta, eta) is 0, so by the implicit function theorem

    d theta / d eta = - (d g / d theta)^-1 (d g / d eta),      meta-gradient = d meta_loss / d theta * d theta / d eta

Bengio 2000; Lorraine et al. 2020 (https://arxiv.org/abs/1911.02590) for the Neumann series.
"""

import math
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.scipy.sparse.linalg import cg

from selftune import _tree
from selftune.errors import EstimatorError
from selftune.estimators.problem import (
    Estimate,
    EstimateInfo,
    Estimator,
    Problem,
    needs_learner,
    needs_validation,
    stateless,
    unpack,
    unroll as unroll_steps,
    whole,
)
from selftune.learning import LearnerState
from selftune.types import Batch, MetaParams, Params, PRNGKey, PyTree

SOLVERS = ("cg", "neumann")


def implicit(
    solver: Literal["cg", "neumann"] = "cg",
    unroll: int = 1,
    iterations: int = 20,
    step_size: float = 0.1,
    damping: float = 0.0,
) -> Estimator:
    """Differentiate the solution of the inner problem instead of the path to it.

    Estimates the gradient of the outer loss at the inner optimum. Exact where the inner gradient is 0 on the last
    batch and the solver has converged; elsewhere biased, with no variance of its own. Constants of the update rule do
    not move an optimum: their meta-gradient is exactly 0. (A weight decay in the rule does move where it comes to rest,
    and this does not see it: write the decay into the loss.) Time: `unroll` plain updates and `iterations`
    Hessian-vector products (about 1.7 updates each); memory: that of one update. `cg` needs a symmetric positive
    definite Hessian (it holds `frozen` still); `neumann` follows `frozen` too, as in temporal-difference fixed points,
    and converges for step sizes below 2 over the largest eigenvalue.

    Args:
        solver: `"cg"` (conjugate gradients) or `"neumann"` (series).
        unroll: Plain updates before each estimate, `K`.
        iterations: At most so many Hessian-vector products.
        step_size: Of the Neumann series, above 0.
        damping: Added to the Hessian's diagonal, at least 0.

    Raises:
        EstimatorError: An unknown solver, a setting out of range, or a bare step function.
    """
    if (
        solver not in SOLVERS
        or not whole(unroll, iterations)
        or not 0 < step_size < math.inf
        or not 0 <= damping < math.inf
    ):
        raise EstimatorError(
            f"implicit({solver!r}, unroll={unroll}, iterations={iterations}, step_size={step_size}, "
            f"damping={damping}): expected a solver in {SOLVERS}, whole numbers >= 1, a finite step_size > 0 and "
            "a finite damping >= 0."
        )

    def estimate(
        problem: Problem,
        meta_params: MetaParams,
        state: PyTree,
        estimator_state: PyTree,
        batches: Batch,
        validation: Batch | None,
        key: PRNGKey,
    ) -> Estimate:
        validation = needs_validation(validation, "implicit")
        learner = needs_learner(problem, "implicit")
        last, infos = unroll_steps(problem, meta_params, state, batches)
        batch, _ = unpack(jax.tree.map(lambda leaf: leaf[-1], batches))
        here = learner.freeze(last)

        def gradient(meta_params: MetaParams, params: Params) -> Params:
            moved: LearnerState = last._replace(params=params)
            frozen = here if solver == "cg" else learner.freeze(moved)
            return eqx.filter_grad(lambda p: learner.loss(p, frozen, problem.eta(meta_params, batch), batch)[0])(params)

        def judged(variables: tuple[MetaParams, PyTree]) -> tuple:
            meta_params, params = variables
            return problem.judge(meta_params, last._replace(params=params), validation)

        (value, aux), (direct, cotangent) = eqx.filter_value_and_grad(judged, has_aux=True)((meta_params, last.params))
        _, pull = jax.vjp(gradient, meta_params, last.params)

        def hessian(vector: Params) -> Params:
            return _tree.add(pull(vector)[1], _tree.scale(damping, vector))

        if solver == "cg":
            solution = cg(hessian, cotangent, maxiter=iterations)[0]
        else:
            solution = _neumann(hessian, cotangent, step_size, iterations)
        meta_grad = jax.tree.map(lambda a, b: a - b, direct, pull(solution)[0])
        return meta_grad, last, estimator_state, EstimateInfo(value, aux, infos, jnp.asarray(True))

    return Estimator(f"implicit({solver})", stateless, estimate, unroll)


def _neumann(hessian, vector: Params, step_size: float, iterations: int) -> Params:
    """`sum_i step_size (I - step_size H)^i vector`, which tends to `H^-1 vector`."""

    def body(carry: tuple[Params, Params], _: None) -> tuple[tuple[Params, Params], None]:
        term, total = carry
        term = jax.tree.map(lambda t, h: t - step_size * h, term, hessian(term))
        return (term, _tree.add(total, term)), None

    (_, total), _ = jax.lax.scan(body, (vector, vector), None, length=iterations)
    return _tree.scale(step_size, total)
