"""What is tuned: a dictionary of `MetaParam`s (and of plain numbers, which stay as they are), bound to the parameters.

Coordinates are stored unconstrained and spoken constrained. The bijections run here and nowhere else.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from selftune.errors import MetaParamError, NotDifferentiableError, UnknownMetaParamError, did_you_mean
from selftune.metaparams.constraints import Constraint, positive
from selftune.metaparams.scopes import Scope, scalar
from selftune.types import Array, Eta, Float, MetaParams, Params, PRNGKey, PyTree

TUNABLE = (
    "What can be tuned is any real number that the loss or the update rule computes with: a rate, a discount, a cost, "
    "a weight, an optimizer's constant."
)

CONSTANT = (
    "as the constants of a spec are, which loss and rule see as arrays. A whole number that sizes something, or a "
    "choice, belongs into the function itself."
)


@dataclass(frozen=True, eq=False)
class MetaParam:
    """One metaparameter as its user declares it.

    Attributes:
        value: Initial value, constrained; a float or an array of floats.
        constraint: Where it lives: `free`, `positive`, `unit`, `interval(lo, hi)`, `one_minus(lo, hi)`, `simplex`.
        scope: What it is one number of: `scalar`, `per_layer`, `per_parameter`, `contextual(size)`.
        doc: What it does, for reports.

    Raises:
        NotDifferentiableError: The value is an integer, a boolean or no number at all.
        ConstraintError: The value lies outside its constraint.
        MetaParamError: The constraint or the scope is something else.
    """

    value: Any
    constraint: Constraint = positive
    scope: Scope = scalar
    doc: str = ""

    def __post_init__(self) -> None:
        for name, kind in {"constraint": Constraint, "scope": Scope}.items():
            if not isinstance(got := getattr(self, name), kind):
                raise MetaParamError(
                    f"MetaParam(..., {name}={got!r}): expected a {kind.__name__} of selftune, such as "
                    "selftune.one_minus() (called) or selftune.positive; selftune.scalar or selftune.per_layer."
                )
        object.__setattr__(self, "value", self.constraint.admit(_real(self.value, "value"), "value"))


Spec: TypeAlias = Mapping[str, MetaParam | Any]
"""Metaparameters by name; a plain number in place of a `MetaParam` is a constant that loss and rule also see."""


class MetaSpace(NamedTuple):
    """A spec bound to the shapes of the parameters."""

    spec: Spec
    init: Callable[[PRNGKey], MetaParams]
    """Coordinates of the declared values."""
    resolve: Callable[[MetaParams, Float[Array, " C"] | None], Eta]
    """`resolve(meta_params, context) -> eta`: constraints, scopes, context networks; runs in every inner step."""


def tuned(spec: Spec) -> dict[str, MetaParam]:
    """Those entries of a spec that are learned."""
    return {name: entry for name, entry in spec.items() if isinstance(entry, MetaParam)}


def values(spec: Spec, params: Params | None = None) -> Eta:
    """The initial, constrained value of every entry: what `learner.init` takes as `eta`.

    Args:
        spec: Metaparameters by name.
        params: Parameters, or anything of their shapes, for a rule that takes a `per_layer` or `per_parameter` entry
            for the tree it will be; without them each is the number that was declared, which suits all of
            `selftune.optim`.
    """
    declared = {name: _initial(name, entry) for name, entry in spec.items()}
    if params is None:
        return declared
    spread = {name: entry for name, entry in tuned(spec).items() if not entry.scope.reads_context}
    space = bind(spread, params)
    return {**declared, **space.resolve(space.init(jax.random.key(0)), None)}


def placed(spec: Spec, meta_params: MetaParams, at: Mapping[str, float]) -> MetaParams:
    """Coordinates of which those that are named, and learned, are where the constrained value is what it says.

    Of a function of the context, the output's offset is.
    """

    def moved(entry: MetaParam, value: float, coordinates: PyTree) -> PyTree:
        target = entry.constraint.inverse(jnp.asarray(value, jnp.result_type(float)))
        return entry.scope.move(lambda x: jnp.full_like(x, target), coordinates)

    named = {name: entry for name, entry in tuned(spec).items() if name in at}
    return {**meta_params, **{name: moved(entry, at[name], meta_params[name]) for name, entry in named.items()}}


def check_names(names: Iterable[str], known: Iterable[str], fixed: Iterable[str] = ()) -> None:
    """Refuse names that cannot be tuned.

    Args:
        names: What the user asked for.
        known: What can be tuned.
        fixed: Settings that exist and are no real numbers, such as a batch size.

    Raises:
        NotDifferentiableError: A name is in `fixed`.
        UnknownMetaParamError: A name is in neither.
    """
    known, fixed = sorted(known), set(fixed)
    for name in names:
        if name in fixed:
            raise NotDifferentiableError(
                f"{name!r} is a whole number or a choice: no gradient can move it. {TUNABLE} Here: {', '.join(known)}."
            )
        if name not in known:
            raise UnknownMetaParamError(f"There is no metaparameter {name!r}; {did_you_mean(name, known)}")


def bind(spec: Spec, params: Params) -> MetaSpace:
    """Bind a spec to the parameters it tunes the learning of.

    Args:
        spec: Metaparameters by name.
        params: Parameters, or anything of their shapes.
    """
    if not isinstance(spec, Mapping) or not all(isinstance(name, str) for name in spec):
        raise MetaParamError(f"A spec is a mapping from names to MetaParams, got {type(spec).__name__}.")
    shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(jnp.shape(leaf), jnp.result_type(leaf)), params)
    constants = {name: _initial(name, entry) for name, entry in spec.items() if not isinstance(entry, MetaParam)}
    learned = tuned(spec)

    def init(key: PRNGKey) -> MetaParams:
        keys = jax.random.split(key, max(len(learned), 1))
        return {
            name: entry.scope.init(entry.constraint.inverse(entry.value), shapes, k)
            for k, (name, entry) in zip(keys, learned.items(), strict=False)
        }

    def resolve(meta_params: MetaParams, context: Float[Array, " C"] | None = None) -> Eta:
        moving = {
            name: jax.tree.map(entry.constraint.forward, entry.scope.expand(meta_params[name], shapes, context))
            for name, entry in learned.items()
        }
        return {**constants, **moving}

    return MetaSpace(spec, init, resolve)


def _initial(name: str, entry: MetaParam | Any) -> Float[Array, "..."]:
    return entry.value if isinstance(entry, MetaParam) else _real(entry, name, CONSTANT)


def _real(value: Any, name: str, hint: str = f"so no gradient can move it. {TUNABLE}") -> Float[Array, "..."]:
    """A strongly typed floating-point array; integers, booleans and everything else are refused."""
    dtype = value.dtype if hasattr(value, "dtype") else np.asarray(value).dtype
    if not jnp.issubdtype(dtype, jnp.floating):
        raise NotDifferentiableError(f"{name} = {value!r} is not a real number, {hint} Write 1.0, not 1.")
    keep = dtype if isinstance(value, jax.Array) else jnp.result_type(float)
    return jnp.asarray(value, dtype=keep)
