"""`within_reach`: a metaparameter that lies farther from home than a gradient can take it comes back soon.

Against a leak of a fraction l an update, steps of s hold nothing farther than s / l from home. What lies beyond was put
there before anything was learned, and the leak alone takes 1 / l updates to bring it e times nearer.
"""

import math
from collections.abc import Mapping

import jax
import jax.numpy as jnp

from selftune.errors import SettingError
from selftune.guards.attempt import Attempt, Fired, Guard, Position
from selftune.metaparams import MetaParam, Spec, check_names, tuned
from selftune.types import Array, Float


def within_reach(
    priors: Mapping[str, float], reach: float = 1.0, leak: float = 0.3, starts: Mapping[str, float] | None = None
) -> Guard:
    """Draw metaparameters back by a fraction of what lies beyond their reach; what lies within is left alone.

    Args:
        priors: `{name: value}`, constrained: home.
        reach: Distance from home, in unconstrained coordinates, above 0.
        leak: Fraction of what lies beyond that a metaparameter comes back at every update, in (0, 1].
        starts: `{name: value}`, constrained: their distance from home is the reach where it is larger.

    Raises:
        SettingError: A setting out of range.
        UnknownMetaParamError: A prior or a start for a metaparameter that is not tuned.
    """
    if not (0.0 < reach < math.inf and 0.0 < leak <= 1.0):
        raise SettingError(f"within_reach(reach={reach}, leak={leak}): expected a reach above 0, a leak in (0, 1].")
    begun = dict(starts or {})

    def check(spec: Spec, attempt: Attempt) -> tuple[Position, Fired]:
        moving = tuned(spec)
        check_names([*priors, *begun], moving)
        meta_params, fired = dict(attempt.after.meta_params), {}
        for name, prior in priors.items():
            entry = moving[name]
            home = _coordinate(entry, prior)
            farthest = jnp.maximum(reach, jnp.abs(_coordinate(entry, begun.get(name, prior)) - home))
            far = meta_params[name]

            def nearer(x: Float[Array, "..."], home: Array = home, farthest: Array = farthest) -> Float[Array, "..."]:
                beyond = x - jnp.clip(x, home - farthest, home + farthest)
                return (x - leak * beyond).astype(x.dtype)

            meta_params[name] = entry.scope.move(nearer, far)
            moved = jax.tree.map(lambda a, b: (a != b).any(), meta_params[name], far)
            fired[f"within_reach/{name}"] = jnp.where(jnp.stack(jax.tree.leaves(moved)).any(), 1, 0)
        return attempt.after._replace(meta_params=meta_params), fired

    return Guard("within_reach", check)


def _coordinate(entry: MetaParam, value: float) -> Float[Array, ""]:
    return entry.constraint.inverse(jnp.asarray(value, jnp.result_type(float)))
