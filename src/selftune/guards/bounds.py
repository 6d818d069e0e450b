"""`range`: metaparameters stay within stated bounds, and may be drawn towards priors."""

import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from selftune.errors import SettingError
from selftune.guards.attempt import Attempt, Fired, Guard, Position
from selftune.metaparams import MetaParam, Spec, check_names, tuned
from selftune.types import PyTree


def range(
    bounds: Mapping[str, tuple[float, float]] | None = None,
    leak: float = 0.0,
    priors: Mapping[str, float] | None = None,
    saturation: float = 8.0,
) -> Guard:
    """Hold metaparameters within bounds, out of the flat ends of their constraints, and near their priors.

    Of a function of the context, the output's offset is held and drawn.

    Args:
        bounds: `{name: (lowest, highest)}` in constrained values. A function of the context, which an offset does not
            bound, must be held by its scope, `selftune.between`, as well.
        leak: Fraction of the way to its prior that a metaparameter goes at every update, in unconstrained coordinates;
            in [0, 1).
        priors: `{name: value}`, constrained, for those that leak; all leak to their initial values when omitted.
        saturation: Farthest that a coordinate of a bounded constraint may go: at 8 the slope of a sigmoid is 3e-4.

    Raises:
        SettingError: A bound that is empty, or for a function of the context that may leave it; a leak outside [0, 1).
        ConstraintError: A bound or a prior outside its constraint.
        UnknownMetaParamError: A bound or a prior for a metaparameter that is not tuned.
    """
    if not 0.0 <= leak < 1.0 or not saturation > 0:
        raise SettingError(f"range(leak={leak}, saturation={saturation}): expected 0 <= leak < 1 and saturation > 0.")
    bounds = dict(bounds or {})
    for name, (lowest, highest) in bounds.items():
        if not lowest < highest:
            raise SettingError(f"range: bounds of {name!r} are ({lowest}, {highest}); expected lowest < highest.")

    def check(spec: Spec, attempt: Attempt) -> tuple[Position, Fired]:
        moving = tuned(spec)
        check_names([*bounds, *(priors or {})], moving)
        _refuse_unheld({name: moving[name] for name in bounds})
        meta_params, fired = dict(attempt.after.meta_params), {}
        for name, entry in moving.items():
            low, high = _limits(name, entry, bounds.get(name), saturation)
            prior = entry.value if priors is None else _prior(name, entry, priors)
            drawn = meta_params[name] if prior is None else _leaked(entry, meta_params[name], leak, prior)
            held = entry.scope.move(lambda x, low=low, high=high: jnp.clip(x, low, high).astype(x.dtype), drawn)
            moved = jax.tree.map(lambda a, b: (a != b).any(), held, drawn)
            fired[f"range/{name}"] = jnp.where(jnp.stack(jax.tree.leaves(moved)).any(), 1, 0)
            meta_params[name] = held
        return attempt.after._replace(meta_params=meta_params), fired

    return Guard("range", check)


def _refuse_unheld(bounded: Mapping[str, MetaParam]) -> None:
    for name, entry in bounded.items():
        if entry.scope.reads_context and not entry.scope.held:
            raise SettingError(
                f"range: {name!r} has bounds and the scope {entry.scope.name}: what the context adds to a held offset "
                "may lead out of them. Hold its values: MetaParam(..., scope=selftune.between(*constraint.coordinates("
                f"(lowest, highest)), selftune.{entry.scope.name}))."
            )


def _leaked(entry: MetaParam, coordinates: PyTree, leak: float, prior: Any) -> PyTree:
    """Coordinates a fraction of the way nearer to the prior's."""
    target = entry.constraint.inverse(jnp.asarray(prior, jnp.result_type(float)))
    return entry.scope.move(lambda x: (x + leak * (target - x)).astype(x.dtype), coordinates)


def _prior(name: str, entry: MetaParam, priors: Mapping[str, Any]) -> Any:
    if name in priors and not isinstance(priors[name], Tracer):
        entry.constraint.refuse_outside(np.asarray(priors[name], float), f"range: the prior of {name!r}")
    return priors.get(name)


def _limits(name: str, entry: MetaParam, bounds: tuple[float, float] | None, saturation: float) -> tuple:
    """Lowest and highest unconstrained coordinate."""
    if bounds is not None:
        return entry.constraint.coordinates(bounds, f"range: bounds of {name!r}")
    flat_ends = math.isfinite(entry.constraint.upper)
    return (-saturation, saturation) if flat_ends else (-math.inf, math.inf)
