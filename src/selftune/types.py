"""The vocabulary of types: what a loss, an update rule and a batch look like.

Axis letters, everywhere: `T` time, `B` parallel environments, `A` actions, `K` inner updates in one window, `M` scalar
metaparameters, `C` entries of a context.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

import optax
from jaxtyping import Array, Bool, Float, Int, Key, PyTree, Shaped

Params: TypeAlias = PyTree
"""Whatever the inner loop improves: any pytree of arrays."""

Frozen: TypeAlias = PyTree
"""Whatever one inner gradient holds still: bootstrap parameters, target networks, normalisers."""

Eta: TypeAlias = Mapping[str, Any]
"""Constrained metaparameters by name; each value an array or a pytree of arrays."""

MetaParams: TypeAlias = PyTree
"""Unconstrained coordinates of the metaparameters: what the meta-optimizer moves."""

Batch: TypeAlias = PyTree
"""The data of one inner update, its randomness included."""

Scalar: TypeAlias = Float[Array, ""]
PRNGKey: TypeAlias = Key[Array, ""]

Loss: TypeAlias = Callable[[Params, Frozen, Eta, Batch], tuple[Scalar, Any]]
"""`loss(params, frozen, eta, batch) -> (scalar, aux)`; the gradient is taken with respect to `params` only."""

Rule: TypeAlias = Callable[[Eta], optax.GradientTransformation]
"""`rule(eta)`: an optax transformation, built inside the trace, so that any constant in it is differentiable."""

__all__ = [
    "Array",
    "Batch",
    "Bool",
    "Eta",
    "Float",
    "Frozen",
    "Int",
    "Key",
    "Loss",
    "MetaParams",
    "PRNGKey",
    "Params",
    "PyTree",
    "Rule",
    "Scalar",
    "Shaped",
    "Transitions",
]


class Transitions(NamedTuple):
    """A stretch of experience of `B` parallel environments over `T` steps; `B` may be absent.

    `next_observation[t]` is the true successor of `observation[t]`, also where an episode ends (never the first
    observation of the next episode), so that a time limit is bootstrapped from the state that was cut off.
    """

    observation: PyTree
    """[T, B, ...] what the agent saw before it acted."""
    action: Shaped[Array, "..."]
    """[T, B] whole numbers, or [T, B, A] in [-1, 1]."""
    reward: Float[Array, "..."]
    """[T, B]"""
    terminated: Bool[Array, "..."]
    """[T, B] the episode ended for good: there is no future to bootstrap from."""
    truncated: Bool[Array, "..."]
    """[T, B] the episode was cut (a time limit): there is a future, it was not seen."""
    next_observation: PyTree
    """[T, B, ...] the successor, before any reset."""
    notes: PyTree = ()
    """[T, B, ...] what the agent noted as it acted: log probabilities, what a recurrent network carried, context."""
