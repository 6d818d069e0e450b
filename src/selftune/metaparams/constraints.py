"""Constraints: bijections between the coordinates a gradient moves and the values a person reads.

Every constraint is an open set. A value that lies exactly on its boundary is moved inside by `EPSILON` (of the width
of the set; of 1 for `positive`), with a `BoundNotice`, because the boundary is infinitely far away in unconstrained
coordinates.
"""

import warnings
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.scipy.special import logit

from selftune.errors import ConstraintError
from selftune.types import Array, Float

EPSILON = 1e-4
"""How far inside its open set a boundary value is moved, as a fraction of the unit interval."""

POSITIVE_EPSILON = 1e-8
"""The same for `positive`, whose only finite bound is 0."""


class BoundNotice(UserWarning):
    """A value on an open bound was moved inside."""


class Constraint(NamedTuple):
    """A named bijection from unconstrained coordinates onto an open set."""

    name: str
    forward: Callable[[Float[Array, "..."]], Float[Array, "..."]]
    """Unconstrained to constrained."""
    inverse: Callable[[Float[Array, "..."]], Float[Array, "..."]]
    """Constrained to unconstrained."""
    lower: float
    """Infimum of every entry."""
    upper: float
    """Supremum of every entry."""
    epsilon: float = 0.0
    """How far a value on a bound is moved inside."""

    def admit(self, value: Float[Array, "..."], name: str) -> Float[Array, "..."]:
        """The value, moved inside if it lies on a bound.

        Raises:
            ConstraintError: The value is not finite or lies outside the constraint.
        """
        if isinstance(value, Tracer):
            return value
        entries = np.asarray(value, dtype=float)
        outside = ~np.isfinite(entries) | (entries < self.lower) | (entries > self.upper)
        if self.name == "simplex":
            outside = outside | (abs(entries.sum(axis=-1, keepdims=True) - 1.0) > 1e-5)
        if outside.any():
            raise ConstraintError(
                f"{name} = {_plain(entries)} is outside its constraint {self.name}. Give {self._expected()}, "
                "or declare another constraint."
            )
        inside = np.clip(entries, self.lower + self.epsilon, self.upper - self.epsilon)
        if self.epsilon and (inside != entries).any():
            inside = inside / inside.sum(axis=-1, keepdims=True) if self.name == "simplex" else inside
            warnings.warn(
                f"{name} = {_plain(entries)} lies on an open bound of {self.name}, where no gradient can move it; "
                f"started at {_plain(inside)} instead.",
                BoundNotice,
                stacklevel=3,
            )
            return jnp.asarray(inside, dtype=value.dtype)
        return value

    def _expected(self) -> str:
        if self.name == "simplex":
            return "a vector of positive entries that sum to 1"
        if self.name == "free":
            return "a finite number"
        upper = "" if self.upper == np.inf else f" and below {self.upper:g}"
        return f"a number above {self.lower:g}{upper}"


def interval(lower: float, upper: float) -> Constraint:
    """Values in `(lower, upper)`: `lower + (upper - lower) * sigmoid(x)`."""
    if not (np.isfinite([lower, upper]).all() and lower < upper):
        raise ConstraintError(f"interval({lower}, {upper}): expected two finite numbers, lower < upper.")
    width = upper - lower
    return Constraint(
        name=f"interval({lower:g}, {upper:g})",
        forward=lambda x: lower + width * jax.nn.sigmoid(x),
        inverse=lambda value: logit((value - lower) / width),
        lower=lower,
        upper=upper,
        epsilon=EPSILON * width,
    )


def one_minus(lower: float = 1e-4, upper: float = 0.7) -> Constraint:
    """Values whose distance from 1 lies in `(lower, upper)`, for discounts and trace decays.

    `1 - value = lower * (upper / lower) ** sigmoid(x)`: equal steps are equal factors of the horizon `1 / (1 - value)`.
    """
    if not 0.0 < lower < upper <= 1.0:
        raise ConstraintError(f"one_minus({lower}, {upper}): expected 0 < lower < upper <= 1.")
    ratio = float(np.log(upper / lower))
    return Constraint(
        name=f"one_minus({lower:g}, {upper:g})",
        forward=lambda x: 1.0 - lower * jnp.exp(ratio * jax.nn.sigmoid(x)),
        inverse=lambda value: logit(jnp.log((1.0 - value) / lower) / ratio),
        lower=1.0 - upper,
        upper=1.0 - lower,
        epsilon=lower * (float(np.exp(ratio * EPSILON)) - 1.0),
    )


free = Constraint("free", lambda x: x, lambda value: value, -np.inf, np.inf)
"""Any real number."""

positive = Constraint("positive", jnp.exp, jnp.log, 0.0, np.inf, POSITIVE_EPSILON)
"""Positive numbers: `exp(x)`, so that equal steps are equal factors."""

unit = interval(0.0, 1.0)._replace(name="unit")
"""Values in (0, 1)."""

simplex = Constraint(
    "simplex",
    forward=lambda x: jax.nn.softmax(x, axis=-1),
    inverse=lambda value: jnp.log(value) - jnp.log(value).mean(axis=-1, keepdims=True),
    lower=0.0,
    upper=1.0,
    epsilon=EPSILON,
)
"""Vectors of positive entries that sum to 1: `softmax(x)` over the last axis."""


def _plain(value: np.ndarray | np.floating) -> str:
    return f"{value:.6g}" if np.ndim(value) == 0 else np.array2string(np.asarray(value), precision=6)
