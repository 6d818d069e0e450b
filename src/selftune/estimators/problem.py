"""What an estimator is given, and what it gives back.

Estimators know nothing of reinforcement learning, networks or optimizers: an inner problem is a function to take one
step, and a function to judge where the steps led. "Exact" means exact for the given batches: how the data would have
changed with the metaparameters is not differentiated, here as everywhere in the literature.
"""

from collections.abc import Callable
from numbers import Integral
from typing import Any, NamedTuple

import jax

from selftune import _tree
from selftune.errors import EstimatorError
from selftune.learning import Acted, BareStep, Learner, StepInfo, judged
from selftune.types import Array, Batch, Bool, Eta, Float, Loss, MetaParams, PRNGKey, PyTree, Scalar


class Problem(NamedTuple):
    """An inner update, its metaparameters, and the judge of its result."""

    resolve: Callable[[MetaParams, Float[Array, " C"] | None], Eta]
    learner: Learner | BareStep
    meta_loss: Loss
    context: Callable[[Batch], Float[Array, " C"] | None] = lambda batch: None
    through: frozenset[str] = frozenset()
    """Which of `"eta"` and `"frozen"` the judge differentiates besides the parameters; none unless the user asks."""

    def eta(self, meta_params: MetaParams, batch: Batch) -> Eta:
        """Constrained values in the context of a batch."""
        return self.resolve(meta_params, self.context(unpack(batch)[0]))

    def step(self, meta_params: MetaParams, state: PyTree, batch: Batch) -> tuple[PyTree, Any]:
        """One inner update."""
        data, scale = unpack(batch)
        state, info = self.learner.step(self.eta(meta_params, batch), state, data, scale)
        return state, as_acted(info, batch)

    def judge(
        self, meta_params: MetaParams, state: PyTree, validation: Batch, still: tuple[PyTree, Eta] | None = None
    ) -> tuple[Scalar, Any]:
        """The outer loss of a state, on data that the update did not see.

        Args:
            meta_params: Coordinates.
            state: The learner's.
            validation: The data.
            still: What `held_still` gave of another state, to stand in its own's place: who perturbs and does not
                differentiate holds nothing still by cutting derivatives.
        """
        data, _ = unpack(validation)
        params, frozen = self.learner.split(state)
        eta = self.eta(meta_params, validation)
        still_frozen, still_eta = still or _tree.constant((frozen, eta))
        frozen = frozen if "frozen" in self.through else still_frozen
        return judged(self.meta_loss, params, frozen, eta if "eta" in self.through else still_eta, data)

    def held_still(self, meta_params: MetaParams, state: PyTree, validation: Batch) -> tuple[PyTree, Eta]:
        """`frozen` and `eta` of a state, as the judge holds them still."""
        return _tree.constant((self.learner.split(state)[1], self.eta(meta_params, validation)))


class EstimateInfo(NamedTuple):
    """What a person wants to know about a meta-gradient."""

    meta_loss: Scalar
    meta_aux: Any
    steps: Any
    """Infos of the inner updates, leading axis `K`."""
    ready: Bool[Array, ""]
    """Whether there was an update to judge; False only where an estimator has not yet seen enough."""


Estimate = tuple[MetaParams, PyTree, PyTree, EstimateInfo]


class Estimator(NamedTuple):
    """A way to estimate the gradient of the outer loss with respect to the metaparameters."""

    name: str
    init: Callable[[Problem, MetaParams, PyTree, Batch | None], PyTree]
    """`init(problem, meta_params, state, batches) -> estimator_state`; `batches` is an example, or `None`."""
    estimate: Callable[[Problem, MetaParams, PyTree, PyTree, Batch, Batch | None, PRNGKey], Estimate]
    """`estimate(problem, meta_params, state, estimator_state, batches, validation, key)`
    `-> (meta_grad, state, estimator_state, info)`; the leaves of `batches` have a leading axis of length `window`."""
    window: int
    """How many inner updates one estimate takes."""
    forget: Callable[[PyTree, PyTree], PyTree] = lambda estimator_state, state: estimator_state
    """`forget(estimator_state, state) -> estimator_state` without what it carries from one estimate to the next, as
    `init` made it, beside the learner's `state`."""


def stateless(problem: Problem, meta_params: MetaParams, state: PyTree, batches: Batch | None) -> PyTree:
    """The `init` of estimators that carry nothing from one estimate to the next."""
    return ()


def whole(*numbers: Any, least: int = 1) -> bool:
    """Whether these are whole numbers, and at least so large."""
    return all(isinstance(number, Integral) and int(number) >= least for number in numbers)


def unpack(batch: Batch) -> tuple[Batch, PyTree]:
    """A batch, and the projection's factors where the update was already taken."""
    return (batch.batch, batch.scale) if isinstance(batch, Acted) else (batch, None)


def as_acted(info: Any, batch: Batch) -> Any:
    """The info of an update, with the distance that was measured when it was taken first."""
    if not isinstance(batch, Acted) or batch.distance is None or not isinstance(info, StepInfo):
        return info
    return info._replace(distance=batch.distance)


def unroll(problem: Problem, meta_params: MetaParams, state: PyTree, batches: Batch) -> tuple[PyTree, Any]:
    """Take one inner update for each batch; infos come back with the leading axis of the batches."""
    return scan(lambda state, batch: problem.step(meta_params, state, batch), state, batches)


def scan(body: Callable[[Any, Any], tuple[Any, Any]], carry: Any, xs: Any, reverse: bool = False) -> tuple[Any, Any]:
    """`jax.lax.scan`, without the loop where there is a single step: compilers share work across the body then."""
    if length(xs) == 1:
        carry, out = body(carry, _tree.entry(xs, 0))
        return carry, jax.tree.map(lambda leaf: leaf[None], out)
    return jax.lax.scan(body, carry, xs, reverse=reverse)


def length(batches: Batch) -> int:
    """The leading axis that all leaves share."""
    return jax.tree.leaves(batches)[0].shape[0]


def needs_learner(problem: Problem, name: str) -> Learner:
    """The learner, for estimators that take the update apart.

    Raises:
        EstimatorError: The tuner was given a bare step function.
    """
    if not isinstance(problem.learner, Learner):
        raise EstimatorError(
            f"{name} takes an update apart into its gradient and its rule, and got a bare step function. Build it with "
            "selftune.learner(loss, rule), or use truncated(mode='reverse'), forward() or evolution()."
        )
    return problem.learner


def needs_validation(validation: Batch | None, name: str) -> Batch:
    """The validation batch.

    Raises:
        EstimatorError: There is none, and this estimator cannot do without.
    """
    if validation is None:
        raise EstimatorError(
            f"{name} got validation=None, which says that the next training batch is the judge; only truncated(1) can "
            "wait for it. Give a validation batch that the update does not train on."
        )
    return validation
