"""The inner loop: one update of the parameters, as a pure function of the metaparameters.

    state, info = learner.step(eta, state, batch)

The loss takes what is differentiated and what is held still as two arguments, `params` and `frozen`; a semi-gradient
is the gradient with respect to the first. Nothing is cut, so meta-gradients reach every metaparameter in the loss.
"""

import functools
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from selftune import _tree
from selftune.errors import SettingError
from selftune.learning.judging import entry, judged
from selftune.learning.probing import probe_rule, question, traced
from selftune.types import Batch, Eta, Frozen, Loss, Params, PyTree, Rule, Scalar


class LearnerState(NamedTuple):
    """What the next inner update needs."""

    params: Params
    opt_state: PyTree
    memory: PyTree = ()
    """What a `Memory` keeps: target networks, normalisers, recurrent carries."""


class StepInfo(NamedTuple):
    """What a person wants to know about an inner update."""

    loss: Scalar
    aux: Any
    gradient_norm: Scalar
    scale: PyTree
    """The factors that a projection put on the update, `None` without one; hand them back to replay the same step."""
    distance: Scalar
    """What the projection measured between the parameters before and after its factors; 0 without one."""


class Acted(NamedTuple):
    """The batch of an update that was already taken, with the projection's factors, so that a replay repeats it."""

    batch: Batch
    scale: PyTree
    distance: Scalar | None = None
    """How far that update went, as measured then; `None` where nobody needs to know."""


class Memory(NamedTuple):
    """Slow state beside the parameters, moved after every update; differentiable like everything else.

    Its arrays keep the types that `init` gave them, whatever `update` computes with; another structure than that of
    `init` is refused with a `SettingError`.
    """

    init: Callable[[Params, Eta], PyTree]
    update: Callable[[Eta, PyTree, Params, Batch], PyTree]
    """`update(eta, memory, new_params, batch) -> memory`."""


NO_MEMORY = Memory(init=lambda params, eta: (), update=lambda eta, memory, params, batch: memory)
"""Nothing beside the parameters."""


class Projection(NamedTuple):
    """How far an update may go. `measure(params, updates, batch) -> (scale, distance)`.

    `scale` is a tree prefix of factors for the updates, a constant to every gradient: differentiated through, an active
    projection would hide the learning rate.
    """

    measure: Callable[[Params, PyTree, Batch], tuple[PyTree, Scalar]]


@dataclass(frozen=True)
class Learner:
    """An inner update in four pure functions: `init`, `gradient`, `apply`; `step` is apply after gradient."""

    loss: Loss
    rule: Rule
    freeze: Callable[[LearnerState], Frozen]
    memory: Memory
    extras: tuple[str, ...]
    projection: Projection | None = None
    _passed: set[Hashable] = field(default_factory=set, repr=False, compare=False)
    """What the rule was asked and has passed: an agent that can start anew begins twice, and would compile it twice."""
    _known: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """The values that `init` was given, for a rule that is asked later, when its extras are known."""

    def init(self, params: Params, eta: Eta) -> LearnerState:
        """The state before the first update.

        Raises:
            RuleError: The rule's derivative at a gradient of exactly zero is not finite. A rule with extras is asked
                at its first update, when they are known.
            SettingError: Parameters that are no real numbers, which have no gradient.
        """
        _refuse_whole(params)
        if self.extras:
            self._known.update({name: value for name, value in eta.items() if not traced(value)})
        else:
            self._ask(params, eta, {})
        params = _tree.strong(params)
        return LearnerState(params, *_tree.strong((self.rule(eta).init(params), self.memory.init(params, eta))))

    def _ask(self, params: Params, eta: Eta, extras: Mapping[str, Any]) -> None:
        asked = question(params, eta, extras)
        if asked not in self._passed:
            probe_rule(self.rule, params, eta, extras)
            self._passed.add(asked)

    def split(self, state: LearnerState) -> tuple[Params, Frozen]:
        """The two arguments of a loss: what is judged or differentiated, and what is held still."""
        return state.params, self.freeze(state)

    def gradient(self, eta: Eta, state: LearnerState, batch: Batch) -> tuple[PyTree, tuple[Scalar, Any]]:
        """The gradient of the loss with respect to the parameters; also `(loss, aux)`."""
        judge = functools.partial(judged, self.loss)
        (loss, aux), gradient = jax.value_and_grad(judge, has_aux=True)(*self.split(state), eta, batch)
        return gradient, (loss, aux)

    def apply(
        self,
        eta: Eta,
        state: LearnerState,
        gradient: PyTree,
        batch: Batch,
        aux: Any = None,
        scale: PyTree = None,
    ) -> tuple[LearnerState, tuple[PyTree, Scalar]]:
        """Let the rule turn the gradient into an update, hold it within the projection, and take it.

        Args:
            eta: Constrained metaparameters.
            state: The state before the update.
            gradient: Shaped like the parameters.
            batch: The data of this update.
            aux: What the loss returned beside its value; the rule is given the entries named in `extras`.
            scale: The factor of an earlier, identical update, to replay it; `None` lets the projection decide.

        Returns:
            The new state, and the scale and distance of the projection.
        """
        extras = {name: entry(aux, name) for name in self.extras}
        if extras:
            self._ask(state.params, {**eta, **self._known}, extras)
        transformation = optax.with_extra_args_support(self.rule(eta))
        updates, opt_state = transformation.update(gradient, state.opt_state, state.params, **extras)
        distance = jnp.zeros(())
        if self.projection is not None and scale is None:
            scale, distance = _tree.constant(self.projection.measure(state.params, updates, batch))
        if scale is not None:
            updates = _tree.scale(_tree.constant(scale), updates)
        params = optax.apply_updates(state.params, updates)
        memory = self.memory.update(eta, state.memory, params, batch)
        if (got := jax.tree.structure(memory)) != (expected := jax.tree.structure(state.memory)):
            raise SettingError(f"Memory.update gave {got}, expected what Memory.init gave: {expected}.")
        return LearnerState(params, opt_state, _tree.kept(memory, state.memory)), (scale, distance)

    def step(self, eta: Eta, state: LearnerState, batch: Batch, scale: PyTree = None) -> tuple[LearnerState, StepInfo]:
        """One inner update: a scan body."""
        gradient, (loss, aux) = self.gradient(eta, state, batch)
        state, (scale, distance) = self.apply(eta, state, gradient, batch, aux, scale)
        return state, StepInfo(loss, aux, optax.tree.norm(gradient), scale, distance)


def learner(
    loss: Loss,
    rule: Rule,
    *,
    freeze: Callable[[LearnerState], Frozen] = lambda state: state.params,
    memory: Memory = NO_MEMORY,
    extras: Sequence[str] = (),
) -> Learner:
    """An inner update from a loss and an update rule.

    Args:
        loss: `loss(params, frozen, eta, batch) -> (scalar, aux)`; differentiated with respect to `params` only.
        rule: `rule(eta)` returns an optax transformation, built anew inside each step.
        freeze: Derives from the state what one inner gradient holds still; by default the current parameters. Across
            steps meta-gradients do flow through it.
        memory: Slow state such as target networks, moved after each update.
        extras: Names of entries of `aux` that are handed to the rule's `update` as keyword arguments, such as the
            `features` of `selftune.optim.idbd`.

    Raises:
        SettingError: `loss` or `rule` is not a function.
    """
    for name, function in {"loss": loss, "rule": rule, "freeze": freeze}.items():
        if not callable(function):
            raise SettingError(
                f"learner expects {name} to be a function, got {type(function).__name__}. An update rule is a function "
                "of the metaparameters: `lambda eta: selftune.optim.adam(eta['learning_rate'])`."
            )
    return Learner(loss, rule, freeze, memory, tuple(extras))


def _refuse_whole(params: Params) -> None:
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        if not jnp.issubdtype(kind := getattr(leaf, "dtype", type(leaf)), jnp.inexact):
            raise SettingError(
                f"learner.init got parameters of the type {kind} at {_tree.path_name(path)!r}; expected real numbers, "
                "which a gradient can move: jnp.asarray(x, float)."
            )


@dataclass(frozen=True)
class BareStep:
    """Any `step(eta, state, batch) -> (state, info)` as an inner update, for estimators that ask for nothing more.

    The whole state takes the place of the parameters in `meta_loss(params, frozen, eta, batch)`.
    """

    function: Callable[[Eta, Any, Batch], tuple[Any, Any]]

    def split(self, state: Any) -> tuple[Any, Any]:
        """The state, twice: judged, and held still."""
        return state, state

    def step(self, eta: Eta, state: Any, batch: Batch, scale: PyTree = None) -> tuple[Any, Any]:
        """The user's function; it has no projection, so `scale` is always `None`."""
        return self.function(eta, state, batch)
