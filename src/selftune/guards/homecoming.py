"""`within_reach`: a metaparameter that lies far from home comes back soon.

The leak of `range` takes 1 / leak updates to bring a metaparameter e times nearer to its prior, however far it is. Who
begins at settings that nobody chose has no time for that. Within its reach a metaparameter is the gradient's and that
leak's affair; what lies beyond comes back faster than a gradient moves, so that it is also where the gradient's way
ends.
"""

import math
from collections.abc import Mapping

import jax
import jax.numpy as jnp

from selftune.errors import SettingError
from selftune.guards.attempt import Attempt, Fired, Guard, Position
from selftune.metaparams import Spec, check_names, tuned
from selftune.types import Array, Float

TOLD = 0.01
"""Of a unit: an excess that is less is not told as something that fired."""


def within_reach(
    priors: Mapping[str, float], reach: float = 1.0, leak: float = 0.3, starts: Mapping[str, float] | None = None
) -> Guard:
    """Draw metaparameters back by a fraction of what lies beyond their reach; what lies within is left alone.

    Of a function of the context, the output's offset is drawn.

    Args:
        priors: `{name: value}`, constrained: home.
        reach: Distance from home in unconstrained coordinates, above 0: of a `positive` one 1 is a factor of e.
        leak: Fraction of what lies beyond that a metaparameter comes back at every update, in (0, 1].
        starts: `{name: value}`, constrained: all that is between home and there is no distance.

    Raises:
        SettingError: A setting out of range, or a start of what has no prior.
        ConstraintError: A prior or a start outside its constraint.
        UnknownMetaParamError: A prior or a start for a metaparameter that is not tuned.
    """
    if not (0.0 < reach < math.inf and 0.0 < leak <= 1.0):
        raise SettingError(f"within_reach(reach={reach}, leak={leak}): expected a reach above 0, a leak in (0, 1].")
    starts = dict(starts or {})
    if homeless := sorted(set(starts) - set(priors)):
        raise SettingError(f"within_reach: {homeless} have a start and no prior; give `priors` where their home is.")

    def check(spec: Spec, attempt: Attempt) -> tuple[Position, Fired]:
        moving = tuned(spec)
        check_names([*priors, *starts], moving)
        meta_params, fired = dict(attempt.after.meta_params), {}
        for name, prior in priors.items():
            entry = moving[name]
            low, high = entry.constraint.coordinates(
                (prior, starts.get(name, prior)), f"within_reach: home and start of {name!r}"
            )

            def nearer(x: Float[Array, "..."], low: Array = low - reach, high: Array = high + reach) -> Array:
                return (x - leak * (x - jnp.clip(x, low, high))).astype(x.dtype)

            far = meta_params[name]
            meta_params[name] = entry.scope.move(nearer, far)
            gone = jax.tree.map(lambda a, b: jnp.abs(a - b).max(), meta_params[name], far)
            moved = jnp.stack(jax.tree.leaves(gone)).max() > leak * TOLD
            fired[f"within_reach/{name}"] = jnp.where(moved, 1, 0)
        return attempt.after._replace(meta_params=meta_params), fired

    return Guard("within_reach", check)
