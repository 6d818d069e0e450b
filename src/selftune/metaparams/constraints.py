"""Constraints: bijections between the coordinates a gradient moves and the values a person reads.

Every constraint is an open set, whose boundary is infinitely far away in unconstrained coordinates. A value on the
boundary, or nearer to it than `EPSILON` (of the unit interval that is stretched over the set; `POSITIVE_EPSILON` for
`positive` and `simplex`), is moved inside to that distance, with a `BoundNotice`.
"""

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

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
"""The same for `positive` and `simplex`, whose coordinates are logarithms."""


ROUNDING = 1e-7
"""How far outside a value may seem to lie, as 0.3 is below 1 - 0.7; of ends beyond 1, times their size."""


class BoundNotice(UserWarning):
    """A value on an open bound was moved inside."""


class Constraint(NamedTuple):
    """A named bijection from unconstrained coordinates onto an open set."""

    name: str
    forward: Callable[[Float[Array, "..."]], Float[Array, "..."]]
    """Unconstrained to constrained."""
    inverse: Callable[[Float[Array, "..."]], Float[Array, "..."]]
    """Constrained to unconstrained; finite up to the boundary, by moving inside what lies on it."""
    lower: float
    """Infimum of every entry."""
    upper: float
    """Supremum of every entry."""

    def admit(self, value: Float[Array, "..."], name: str) -> Float[Array, "..."]:
        """The value, moved inside if it lies on a bound.

        Raises:
            ConstraintError: The value is not finite or lies outside the constraint.
        """
        if isinstance(value, Tracer):
            return value
        entries = np.asarray(value, dtype=float)
        self.refuse_outside(np.where(np.isfinite(entries), entries, np.nan), name)
        inside = self.forward(self.inverse(value))
        precision = max(1e-5, 2.0 * float(jnp.finfo(value.dtype).eps))
        coarse = 1e-6 * (self.upper - self.lower) if np.isfinite(self.upper - self.lower) else 0.0  # what float32 loses
        on_bound = np.isclose(entries, self.lower, rtol=1e-7, atol=1e-9) | np.isclose(
            entries, self.upper, rtol=1e-7, atol=0.0
        )
        if not on_bound.any() and np.allclose(inside, entries, rtol=precision, atol=coarse):
            return value
        warnings.warn(
            f"{name} = {_plain(entries)} lies on an open bound of {self.name}, where no gradient can move it; "
            f"started at {_plain(np.asarray(inside))} instead.",
            BoundNotice,
            stacklevel=3,
        )
        return inside

    def refuse_outside(self, entries: Float[np.ndarray, "..."], name: str) -> None:
        """Refuse what is no number, or beyond the constraint's ends.

        Raises:
            ConstraintError: An entry is.
        """
        low, high = (ROUNDING * max(1.0, abs(end)) if np.isfinite(end) else 0.0 for end in (self.lower, self.upper))
        outside = not ((entries >= self.lower - low) & (entries <= self.upper + high)).all()
        if self.name == "simplex":
            outside = outside or entries.ndim == 0 or not (abs(entries.sum(axis=-1) - 1.0) <= 1e-5).all()
        if outside:
            raise ConstraintError(
                f"{name} = {_plain(entries)} is outside its constraint {self.name}. Give {self._expected()}, "
                "or declare another constraint."
            )

    def coordinates(
        self, ends: tuple[float, float], name: str = "an interval"
    ) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """An interval of a number, in coordinates, the lower end first (`one_minus` falls as they rise).

        An end that is the constraint's own is moved inside.

        Args:
            ends: Constrained values, in either order.
            name: What they are, for the error.

        Raises:
            ConstraintError: An end is outside the constraint. Or the entries of a simplex lean on one another: none has
                coordinates of its own.
        """
        if self.name == "simplex":
            raise ConstraintError(
                f"bounds {ends} on a simplex: each entry depends on the coordinates of all, so none can be held by "
                "its own. Leave it out of the bounds, or declare the weights apart, each in an interval."
            )
        if not any(isinstance(end, Tracer) for end in ends):
            self.refuse_outside(np.asarray(ends, float), name)
        lowest, highest = jnp.sort(self.inverse(jnp.asarray(ends, jnp.result_type(float))))
        return lowest, highest

    def _expected(self) -> str:
        if self.name == "simplex":
            return "a vector of positive entries that sum to 1"
        if self.name == "free":
            return "a finite number"
        upper = "" if self.upper == np.inf else f" and below {self.upper:g}"
        return f"a number above {self.lower:g}{upper}"


def _inner_logit(fraction: Float[Array, "..."]) -> Float[Array, "..."]:
    return logit(jnp.clip(fraction, EPSILON, 1.0 - EPSILON))


def _centered(x: Float[Array, "... n"]) -> Float[Array, "... n"]:
    return x - x.mean(axis=-1, keepdims=True)


def _numbers(*bounds: Any) -> bool:
    """Whether these are finite numbers."""
    try:
        return all(np.ndim(bound) == 0 and bool(np.isfinite(bound)) for bound in bounds)
    except TypeError:
        return False


def _held(lower: float, upper: float) -> bool:
    """Whether floats, as JAX has them, hold the bounds and the width between them."""
    real = np.dtype(jnp.result_type(float))
    with np.errstate(over="ignore"):
        *bounds, width = np.asarray([lower, upper, upper - lower], real)
    return bool(np.isfinite(bounds).all() and np.finfo(real).tiny <= width < np.inf)


def interval(lower: float, upper: float) -> Constraint:
    """Values in `(lower, upper)`: `lower + (upper - lower) * sigmoid(x)`."""
    if not (_numbers(lower, upper) and lower < upper and _held(lower, upper)):
        raise ConstraintError(
            f"interval({lower!r}, {upper!r}): expected two finite numbers, lower < upper, and a width that "
            f"{jnp.result_type(float)} holds. Give other bounds, or take free or positive."
        )
    width = upper - lower
    return Constraint(
        name=f"interval({lower:g}, {upper:g})",
        forward=lambda x: lower + width * jax.nn.sigmoid(x),
        inverse=lambda value: _inner_logit((value - lower) / width),
        lower=lower,
        upper=upper,
    )


def one_minus(lower: float = 1e-4, upper: float = 0.7) -> Constraint:
    """Values whose distance from 1 lies in `(lower, upper)`, for discounts and trace decays.

    `1 - value = lower * (upper / lower) ** sigmoid(x)`: equal steps are equal factors of the horizon `1 / (1 - value)`.
    """
    if not (_numbers(lower, upper) and 0.0 < lower < upper <= 1.0):
        raise ConstraintError(f"one_minus({lower!r}, {upper!r}): expected two numbers, 0 < lower < upper <= 1.")
    ratio = float(np.log(upper / lower))
    return Constraint(
        name=f"one_minus({lower:g}, {upper:g})",
        forward=lambda x: 1.0 - lower * jnp.exp(ratio * jax.nn.sigmoid(x)),
        inverse=lambda value: _inner_logit(jnp.log((1.0 - value) / lower) / ratio),
        lower=1.0 - upper,
        upper=1.0 - lower,
    )


free = Constraint("free", lambda x: x, lambda value: value, -np.inf, np.inf)
"""Any real number."""

positive = Constraint("positive", jnp.exp, lambda value: jnp.log(jnp.maximum(value, POSITIVE_EPSILON)), 0.0, np.inf)
"""Positive numbers: `exp(x)`, so that equal steps are equal factors."""

unit = interval(0.0, 1.0)._replace(name="unit")
"""Values in (0, 1)."""

simplex = Constraint(
    "simplex",
    forward=lambda x: jax.nn.softmax(x, axis=-1),
    inverse=lambda value: _centered(jnp.log(jnp.maximum(value, POSITIVE_EPSILON))),
    lower=0.0,
    upper=1.0,
)
"""Vectors of positive entries that sum to 1: `softmax(x)` over the last axis."""


def _plain(value: np.ndarray | np.floating) -> str:
    return f"{value:.6g}" if np.ndim(value) == 0 else np.array2string(np.asarray(value), precision=6)
