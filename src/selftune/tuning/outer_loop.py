"""The outer loop: differentiate through the inner update, and move the metaparameters.

meta_grad, state = estimate(problem, meta_params, state, batches, validation)
meta_params      = meta_params + optimizer(meta_grad)
position         = guards(position)
"""

import functools
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from selftune import _tree
from selftune.errors import EstimatorError, SettingError
from selftune.estimators import Estimator, Problem, truncated
from selftune.guards import Attempt, Guard, Position, numeric
from selftune.learning import Acted, BareStep, Learner, LearnerState, StepInfo
from selftune.metaparams import Spec, bind
from selftune.types import Array, Batch, Eta, Float, Int, Loss, MetaParams, PRNGKey, PyTree, Scalar


class Meta(NamedTuple):
    """The tuner's state."""

    meta_params: MetaParams
    """Unconstrained coordinates."""
    opt_state: PyTree
    estimator_state: PyTree
    updates: Int[Array, ""]
    """Updates so far."""


class TunerInfo(NamedTuple):
    """What a person wants to know about one update of the tuner."""

    eta: Eta
    """Constrained values after the update."""
    meta_grad: MetaParams
    """With respect to the unconstrained coordinates."""
    guards: dict[str, Int[Array, ""]]
    """1 for each guard that fired, 0 for each that did not; one number for guards that share a name. Agents that make
    several updates at a time say how many of them a trust region shortened."""
    meta_loss: Scalar
    meta_aux: Any
    steps: Any
    """Infos of the inner updates, leading axis `K`."""


@dataclass(frozen=True, eq=False)
class Tuner:
    """Learner and metaparameters improved together; see `tuner`.

    `act` and `update` are compiled at their first call, once for each set of shapes; they can be traced into larger
    programs.
    """

    spec: Spec
    learner: Learner | BareStep
    meta_loss: Loss
    estimator: Estimator
    optimizer: optax.GradientTransformation
    guards: tuple[Guard, ...]
    context: Callable[[Batch], Float[Array, " C"] | None]
    through: frozenset[str]

    def init(self, state: PyTree, batches: Batch | None = None, key: PRNGKey | None = None) -> Meta:
        """The tuner's state at the declared values.

        Args:
            state: The learner's state.
            batches: An example of what `update` will be given, for `truncated(1)` with `validation=None`.
            key: For the networks of contextual metaparameters.

        Raises:
            SettingError: The state is not the learner's.
            EstimatorError: The leading axis of the batches is not the estimator's window.
        """
        key = jax.random.key(0) if key is None else key
        if isinstance(self.learner, Learner) and not isinstance(state, LearnerState):
            raise SettingError(
                f"tuner.init expects the state that learner.init gave, got {type(state).__name__}: "
                "tuner.init(learner.init(params, selftune.values(spec)))."
            )
        if batches is not None:
            self._check_window(batches)
        meta_params = _tree.strong(bind(self.spec, self.learner.split(state)[0]).init(key))
        estimator_state = self.estimator.init(self.problem(state), meta_params, state, batches)
        return Meta(meta_params, self.optimizer.init(meta_params), estimator_state, jnp.asarray(0))

    def problem(self, state: PyTree) -> Problem:
        """The inner problem as estimators see it."""
        resolve = bind(self.spec, self.learner.split(state)[0]).resolve
        return Problem(resolve, self.learner, self.meta_loss, self.context, self.through)

    def act(self, meta: Meta, state: PyTree, batch: Batch) -> tuple[PyTree, Acted, Any]:
        """One inner update that is not differentiated, and the batch as `update` can replay it.

        What an estimator carries from update to update does not see it: neither the derivative of `forward` nor the
        update that `truncated(1)` holds until the next batch judges it, which belongs before a state without gaps.
        """
        return self._act(meta, state, batch)

    @functools.cached_property
    def _act(self) -> Callable:
        return jax.jit(self._trace_act)

    @functools.cached_property
    def _update(self) -> Callable:
        return jax.jit(self._trace_update)

    def _trace_act(self, meta: Meta, state: PyTree, batch: Batch) -> tuple[PyTree, Acted, Any]:
        problem = self.problem(state)
        state, info = problem.step(meta.meta_params, state, batch)
        taken = (info.scale, info.distance) if isinstance(info, StepInfo) else (None, None)
        return state, Acted(batch, *taken), info

    def update(
        self, meta: Meta, state: PyTree, batches: Batch, validation: Batch | None, key: PRNGKey
    ) -> tuple[Meta, PyTree, TunerInfo]:
        """K inner updates, a meta-gradient through them, a step of the metaparameters, and the guards.

        Args:
            meta: The tuner's state.
            state: The learner's state before the inner updates.
            batches: Their data; leaves have a leading axis of length K, the estimator's window. Batches of updates
                that were already taken (`act`) are replayed with the factors that were in force then.
            validation: Data that the updates do not see; `None` lets the next training batch be the judge
                (`truncated(1)` only).
            key: Randomness of the estimator.

        Returns:
            The tuner's state, the learner's state after the updates, and what to show.

        Raises:
            EstimatorError: The leading axis is not the estimator's window.
        """
        self._check_window(batches)
        return self._update(meta, state, batches, validation, key)

    def _trace_update(
        self, meta: Meta, state: PyTree, batches: Batch, validation: Batch | None, key: PRNGKey
    ) -> tuple[Meta, PyTree, TunerInfo]:
        problem = self.problem(state)
        before = Position(meta.meta_params, meta.opt_state, meta.estimator_state, state)
        meta_grad, new_state, estimator_state, info = self.estimator.estimate(
            problem, meta.meta_params, state, meta.estimator_state, batches, validation, key
        )
        updates, opt_state = self.optimizer.update(meta_grad, meta.opt_state, meta.meta_params)
        moved = optax.apply_updates(meta.meta_params, updates)
        meta_params, opt_state = _tree.where(info.ready, (moved, opt_state), (meta.meta_params, meta.opt_state))
        after, guards = Position(meta_params, opt_state, estimator_state, new_state), {}
        forgotten = self.estimator.forget(meta.estimator_state, state)
        for guard in self.guards:
            after, fired = guard.check(self.spec, Attempt(before, after, meta_grad, info, forgotten))
            twice = {name: jnp.maximum(guards[name], count) for name, count in fired.items() if name in guards}
            guards |= {**fired, **twice}
        last = jax.tree.map(lambda leaf: leaf[-1], batches)
        eta = problem.eta(after.meta_params, last)
        meta = Meta(after.meta_params, after.opt_state, after.estimator_state, meta.updates + 1)
        return meta, after.state, TunerInfo(eta, meta_grad, guards, info.meta_loss, info.meta_aux, info.steps)

    def _check_window(self, batches: Batch) -> None:
        shapes = {jnp.shape(leaf)[:1] for leaf in jax.tree.leaves(batches)}
        if shapes != {(self.estimator.window,)}:
            got = ", ".join(str(shape[0]) if shape else "none" for shape in sorted(shapes)) or "none (no arrays)"
            raise EstimatorError(
                f"{self.estimator.name} takes {self.estimator.window} batches an update, stacked along a leading "
                f"axis of that length in every leaf; got leading axes of length {got}. For a single batch: "
                "jax.tree.map(lambda x: x[None], batch)."
            )


def tuner(
    spec: Spec,
    learner: Learner | Callable,
    meta_loss: Loss,
    estimator: Estimator | None = None,
    optimizer: optax.GradientTransformation | None = None,
    guards: Sequence[Guard] | None = None,
    *,
    context: Callable[[Batch], Float[Array, " C"] | None] = lambda batch: None,
    through: Collection[str] = (),
) -> Tuner:
    """Tune what `spec` names while `learner` learns.

    Args:
        spec: Metaparameters by name; plain numbers are constants that the loss and the rule also see.
        learner: From `selftune.learner`, or a bare function `step(eta, state, batch) -> (state, info)`.
        meta_loss: `meta_loss(params, frozen, eta, batch) -> (scalar, aux)`, what the updates should make small on data
            they do not see. `frozen` and `eta` are held still in it, so that a metaparameter cannot improve its own
            judge.
        estimator: How to differentiate; `truncated(1)` when omitted.
        optimizer: Of the unconstrained coordinates; Adam at 0.01 when omitted.
        guards: Checked in this order after each update, but `numeric` last, so that what it puts back stays there;
            `[guards.numeric()]` when omitted.
        context: From a batch to the context of contextual metaparameters, [C].
        through: Any of `"eta"`, `"frozen"`: what the judge is differentiated through besides the parameters.

    Raises:
        SettingError: An unknown entry in `through`, a learner that is neither a `Learner` nor a function, or an
            estimator, optimizer or guard that is none.
    """
    if not set(through) <= {"eta", "frozen"}:
        raise SettingError(f"tuner(through={tuple(through)}): expected any of 'eta', 'frozen'.")
    if not isinstance(learner, Learner) and not callable(learner):
        raise SettingError(f"tuner expects a Learner or a step function, got {type(learner).__name__}.")
    estimator = truncated(1) if estimator is None else estimator
    optimizer = optax.adam(1e-2) if optimizer is None else optimizer
    _check("an estimator", estimator, Estimator, "selftune.truncated(1)")
    _check("an optimizer", optimizer, optax.GradientTransformation, "optax.adam(0.01)")
    for guard in guards or ():
        _check("guards", guard, Guard, "selftune.guards.numeric()")
    guards = [numeric()] if guards is None else sorted(guards, key=lambda guard: guard.name == "numeric")
    equipped: Learner | BareStep = learner if isinstance(learner, Learner) else BareStep(learner)
    for guard in guards:
        equipped = guard.equip(equipped)
    return Tuner(
        spec,
        equipped,
        meta_loss,
        estimator,
        optimizer,
        tuple(guards),
        context,
        frozenset(through),
    )


def _check(what: str, got: Any, kind: type, example: str) -> None:
    if not isinstance(got, kind):
        named = f"the function {got.__name__}, not called" if hasattr(got, "__name__") else repr(got)
        raise SettingError(f"tuner expects {what} such as {example}, got {named}.")
