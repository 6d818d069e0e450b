"""One vocabulary of metaparameters for all agents: on the command line, in Python, in logs and in files."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from numbers import Real
from typing import Any, NamedTuple

from selftune.errors import ConstraintError, NotDifferentiableError, SettingError
from selftune.metaparams import (
    Constraint,
    MetaParam,
    Scope,
    Spec,
    between,
    check_names,
    free,
    one_minus,
    positive,
    unit,
)
from selftune.types import Array


class Entry(NamedTuple):
    """A metaparameter that agents know: what it does, where it starts, how far it may go."""

    value: float
    """Where it starts unless the user says otherwise: the literature's default."""
    constraint: Constraint
    lowest: float
    highest: float
    """Documented bounds, inclusive; the `range` guard holds it between them."""
    effect: str
    """What more of it does."""


VOCABULARY: Mapping[str, Entry] = {
    "learning_rate": Entry(7e-4, positive, 1e-6, 0.1, "step size of the policy: faster, then unstable"),
    "critic_learning_rate": Entry(7e-4, positive, 1e-6, 0.1, "step size of the critic"),
    "discount": Entry(0.99, one_minus(), 0.3, 0.9999, "how far ahead the agent looks: 1 / (1 - discount) steps"),
    "trace_decay": Entry(
        0.95, one_minus(1e-3, 1.0), 0.0, 0.999, "how far ahead it trusts rewards more than its critic"
    ),
    "entropy_cost": Entry(1e-2, positive, 1e-6, 1.0, "how strongly it is kept exploring"),
    "value_cost": Entry(0.5, positive, 1e-3, 10.0, "weight of the critic's loss"),
    "max_grad_norm": Entry(0.5, positive, 1e-3, 100.0, "longest gradient that passes unscaled"),
    "reward_scale": Entry(1.0, positive, 1e-3, 1e3, "factor on every reward"),
    "adam_b1": Entry(0.9, unit, 0.0, 0.999, "how long gradients are averaged"),
    "adam_b2": Entry(0.999, unit, 0.5, 0.9999, "how long squared gradients are averaged"),
    "adam_eps": Entry(1e-5, positive, 1e-8, 1.0, "below this size gradients are not normalised"),
    "gradient_floor": Entry(1e-6, positive, 1e-8, 1.0, "policy gradients shorter than this make shorter steps"),
    "clip_range": Entry(0.2, positive, 0.01, 1.0, "how far the policy may leave the one that acted before PPO stops"),
    "kl_cost": Entry(1e-3, positive, 1e-6, 10.0, "how strongly it is held to the policy that acted"),
    "rho_mix": Entry(0.99, unit, 0.001, 0.999, "how much the importance ratios of TD errors are clipped"),
    "c_mix": Entry(0.99, unit, 0.001, 0.999, "how much the importance ratios of traces are clipped"),
    "epsilon": Entry(0.1, unit, 1e-3, 0.999, "how often it acts at random"),
    "target_mix": Entry(5e-3, unit, 1e-4, 0.999, "how fast target networks follow"),
    "temperature": Entry(1.0, positive, 1e-4, 100.0, "worth of entropy beside reward"),
    "target_entropy": Entry(-1.0, free, -1000.0, 1000.0, "entropy that the temperature is steered to, in nats"),
}


def build_spec(
    names: Iterable[str],
    tune: Iterable[str],
    init: Mapping[str, Any],
    settings: Iterable[str],
    defaults: Mapping[str, float] | None = None,
    scopes: Mapping[str, Scope] | None = None,
) -> dict[str, MetaParam | Any]:
    """The spec of an agent.

    Args:
        names: Metaparameters that the agent has.
        tune: Those of them that are learned; the others stay where they start.
        init: Where they start, instead of the vocabulary's value; floats or scalar arrays.
        settings: Names of the agent's other settings, which nothing can tune.
        defaults: Where this kind of agent starts, instead of the vocabulary's value, when the user says nothing.
        scopes: Of learned ones that are more than one number, by name; none of them leaves the documented bounds.

    Raises:
        UnknownMetaParamError: A name that the agent does not have.
        NotDifferentiableError: A setting that no gradient can move, or a value that is no number.
        ConstraintError: A value outside the documented bounds.
    """
    names, tune = list(names), set(tune)
    check_names(tune, names, settings)
    start = {**(defaults or {}), **init}
    check_names(start, names, settings)
    for name, value in (defaults or {}).items():
        _within_bounds(name, value)
    spec: dict[str, MetaParam | Any] = {}
    for name in names:
        entry = VOCABULARY[name]
        value = _within_bounds(name, start[name]) if name in start else entry.value
        spec[name] = MetaParam(value, entry.constraint, doc=entry.effect) if name in tune else value
    for name, scope in (scopes or {}).items():
        if name not in tune:
            raise SettingError(f"{name!r} is to be a function of its context and is not tuned; tuned: {sorted(tune)}.")
        entry = VOCABULARY[name]
        lowest, highest = entry.constraint.coordinates((entry.lowest, entry.highest))
        spec[name] = replace(spec[name], scope=between(lowest, highest, scope))
    return spec


def bounds(spec: Spec) -> dict[str, tuple[float, float]]:
    """The documented bounds of those entries of a spec that are learned."""
    return {
        name: (VOCABULARY[name].lowest, VOCABULARY[name].highest)
        for name, entry in spec.items()
        if isinstance(entry, MetaParam)
    }


def priors(spec: Spec, defaults: Mapping[str, float] | None = None) -> dict[str, float]:
    """What those entries of a spec that are learned are drawn to."""
    known = {name: entry.value for name, entry in VOCABULARY.items()} | dict(defaults or {})
    return {name: _within_bounds(name, known[name]) for name, entry in spec.items() if isinstance(entry, MetaParam)}


def rates_together(init: Mapping[str, Any] | None) -> dict[str, Any]:
    """What the user gave; a `critic_learning_rate` that was not starts at the `learning_rate`."""
    given = dict(init or {})
    return {"critic_learning_rate": given["learning_rate"], **given} if "learning_rate" in given else given


def homes(
    spec: Spec, given: Mapping[str, Any] | None, start: Mapping[str, float], home: Mapping[str, float]
) -> dict[str, float]:
    """Where those metaparameters are drawn to that begin at a recipe's start, since the user did not say where."""
    return {name: value for name, value in priors(spec, home).items() if name in start and name not in (given or {})}


def _within_bounds(name: str, value: Any) -> Any:
    if isinstance(value, Array):  # a draw inside a compiled program: its range is the caller's
        return value
    entry = VOCABULARY[name]
    if isinstance(value, bool) or not isinstance(value, Real):
        raise NotDifferentiableError(f"initial {name} = {value!r} is not a number.")
    lowest, highest = entry.lowest - 1e-6 * abs(entry.lowest), entry.highest + 1e-6 * abs(entry.highest)
    value = float(value)
    if not (math.isfinite(value) and lowest <= value <= highest):  # but for the rounding to single precision
        raise ConstraintError(
            f"initial {name} = {value:g} is outside its bounds; expected {entry.lowest:g} to {entry.highest:g} "
            f"({entry.effect})."
        )
    return value
