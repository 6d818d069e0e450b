"""Differentiation of an unrolled inner loop: two ways to the same number, reverse mode and mixed mode.

Both are functions `(problem, meta_params, state, batches, terminal, remat) -> (meta_grad, state, infos, value, aux)`,
where `terminal(meta_params, state) -> (value, aux)` judges the last state.

Mixed mode (Kemaev et al. 2025, https://arxiv.org/abs/2505.00793) runs the adjoint recursion explicitly. The adjoint of
the inner gradient in a direction v is a forward derivative of the gradient, because the Hessian is symmetric, jointly
over everything the loss sees: `jvp` of `grad(loss, (params, frozen, eta))` in direction `(v, 0, 0)`. Activations of
inner backward passes are never kept, so memory grows with the size of the state, not of the network's activations.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import equinox as eqx
import jax
import optax

from selftune import _tree
from selftune.estimators.problem import Problem, as_acted, scan, unpack
from selftune.learning import Learner, StepInfo
from selftune.types import Batch, Eta, MetaParams, Params, PyTree, Scalar

Terminal: TypeAlias = Callable[[MetaParams, PyTree], tuple[Scalar, Any]]
Derivative: TypeAlias = tuple[MetaParams, PyTree, Any, Scalar, Any]


def reverse_mode(
    problem: Problem, meta_params: MetaParams, state: PyTree, batches: Batch, terminal: Terminal, remat: bool
) -> Derivative:
    """Backpropagation through the updates. Memory: every activation of every step; one state a step with `remat`."""

    def step(carry: tuple[MetaParams, PyTree], batch: Batch) -> tuple[tuple[MetaParams, PyTree], Any]:
        meta_params, state = carry
        state, info = problem.step(meta_params, state, batch)
        return (meta_params, state), info

    def objective(meta_params: MetaParams) -> tuple[Scalar, Any]:
        (_, last), infos = scan(jax.checkpoint(step) if remat else step, (meta_params, state), batches)
        value, aux = terminal(meta_params, last)
        return value, (last, infos, aux)

    (value, (last, infos, aux)), meta_grad = jax.value_and_grad(objective, has_aux=True)(meta_params)
    return meta_grad, last, infos, value, aux


class Taken(NamedTuple):
    """An inner update that was taken: what its adjoint needs."""

    state: PyTree
    """Before the update."""
    gradient: PyTree | None
    """Of the loss; `None` to compute it again."""
    scale: PyTree
    """The projection's factors."""
    batch: Batch


def take(
    problem: Problem, learner: Learner, meta_params: MetaParams, state: PyTree, batch: Batch
) -> tuple[PyTree, Any, Taken]:
    """One inner update, and what its adjoint will need."""
    data, scale = unpack(batch)
    eta = problem.eta(meta_params, batch)
    gradient, (loss, aux) = learner.gradient(eta, state, data)
    new_state, (scale, distance) = learner.apply(eta, state, gradient, data, aux, scale)
    info = as_acted(StepInfo(loss, aux, optax.tree.norm(gradient), scale, distance), batch)
    return new_state, info, Taken(state, gradient, scale, data)


def pull_back(
    problem: Problem, learner: Learner, meta_params: MetaParams, taken: Taken, cotangent: PyTree
) -> tuple[PyTree, MetaParams]:
    """The adjoint of one inner update.

    Args:
        problem: The inner problem.
        learner: Its learner.
        meta_params: Coordinates at which the update was taken.
        taken: The update.
        cotangent: Derivative of the outer loss with respect to the state after the update; `None` for integer leaves.

    Returns:
        The derivative with respect to the state before, and the update's own share of the meta-gradient.
    """
    state, gradient, scale, batch = taken
    eta, pull_eta = eqx.filter_vjp(lambda meta_params: problem.eta(meta_params, batch), meta_params)
    (params, frozen), pull_split = eqx.filter_vjp(learner.split, state)

    def every_gradient(params: Params) -> tuple[tuple[Params, PyTree, Eta], Any]:
        def loss(variables: tuple[Params, PyTree, Eta]) -> tuple[Scalar, Any]:
            return learner.loss(*variables, batch)

        return eqx.filter_grad(loss, has_aux=True)((params, frozen, eta))

    (again, _, _), push_gradients, aux = jax.linearize(every_gradient, params, has_aux=True)
    gradient = again if gradient is None else gradient

    def apply(eta: Eta, state: PyTree, gradient: PyTree, aux: Any) -> PyTree:
        return learner.apply(eta, state, gradient, batch, aux, scale)[0]

    _, pull_apply = eqx.filter_vjp(apply, eta, state, gradient, aux)
    eta_bar, state_bar, gradient_bar, aux_bar = pull_apply(cotangent)
    params_too, frozen_too, eta_too = push_gradients(gradient_bar)
    (state_too,) = pull_split((params_too, frozen_too))
    eta_bar, state_bar = _tree.add(eta_bar, eta_too), _tree.add(state_bar, state_too)
    if learner.extras:
        _, pull_aux = eqx.filter_vjp(lambda eta, state: learner.gradient(eta, state, batch)[1][1], eta, state)
        eta_too, state_too = pull_aux(aux_bar)
        eta_bar, state_bar = _tree.add(eta_bar, eta_too), _tree.add(state_bar, state_too)
    return state_bar, pull_eta(eta_bar)[0]


def mixed_mode(
    problem: Problem, meta_params: MetaParams, state: PyTree, batches: Batch, terminal: Terminal, remat: bool
) -> Derivative:
    """Forward-over-reverse. Memory: one state a step, and one inner gradient a step unless `remat`."""
    learner = problem.learner
    assert isinstance(learner, Learner)

    def forward(state: PyTree, batch: Batch) -> tuple[PyTree, Any]:
        state, info, taken = take(problem, learner, meta_params, state, batch)
        return state, (info, taken._replace(batch=None, gradient=None if remat else taken.gradient))

    def backward(carry: tuple[PyTree, MetaParams], saved: tuple[Taken, Batch]) -> tuple[Any, None]:
        (cotangent, meta_grad), (taken, batch) = carry, saved
        taken = taken._replace(batch=unpack(batch)[0])
        cotangent, share = pull_back(problem, learner, meta_params, taken, cotangent)
        return (cotangent, _tree.add(meta_grad, share)), None

    last, (infos, taken) = scan(forward, state, batches)

    def judged(variables: tuple[MetaParams, PyTree]) -> tuple[Scalar, Any]:
        return terminal(*variables)

    (value, aux), (meta_grad, cotangent) = eqx.filter_value_and_grad(judged, has_aux=True)((meta_params, last))
    (_, meta_grad), _ = scan(backward, (cotangent, meta_grad), (taken, batches), reverse=True)
    return meta_grad, last, infos, value, aux
