"""What is measured on people: difficulties of items, and how children differ and grow.

    P(right | theta) = sigmoid(slope * theta + easiness)        theta ~ N(0, 1)

The two-parameter logistic model by marginal maximum likelihood (Bock and Aitkin 1981, Psychometrika 46:443), on the
answers of 2 x 1000 people to two sections of the Law School Admission Test (Bock and Lieberman 1970, Psychometrika
35:179, whose tables of response patterns are these).
"""

from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import minimize

from selftune.types import Array, Float, Int

LSAT6 = (
    3, 6, 2, 11, 1, 1, 3, 4, 1, 8, 0, 16, 0, 3, 2, 15,
    10, 29, 14, 81, 3, 28, 15, 80, 16, 56, 21, 173, 11, 61, 28, 298,
)  # fmt: skip
"""People with each pattern of right (1) and wrong (0) answers, 00000, 00001 ... 11111, the first item first."""
LSAT7 = (
    12, 19, 1, 7, 3, 19, 3, 17, 10, 5, 3, 7, 7, 23, 8, 28,
    7, 39, 11, 34, 14, 51, 15, 90, 6, 25, 7, 35, 18, 136, 32, 308,
)  # fmt: skip
"""The same for the other section."""
SECTIONS: Mapping[str, tuple[int, ...]] = {"LSAT6": LSAT6, "LSAT7": LSAT7}
PUBLISHED: Mapping[str, tuple[float, ...]] = {
    "LSAT6": (0.755, 2.730, 0.999, 0.240, 1.307, 2.100),
    "LSAT7": (0.988, 1.081, 1.706, 0.765, 0.736, 1.856, 0.808, 1.804, 0.486, 1.855),
}
"""Of LSAT6, one slope for all and easinesses (Thissen 1982, Psychometrika 47:175, as the R package ltm prints them); of
LSAT7, five slopes and easinesses (the R package mirt)."""
NODES = 61
"""Points of the Gauss-Hermite quadrature."""


class Growth(NamedTuple):
    """Growth curves of children's mathematics, in logits and school years."""

    children: int
    level_spread: float
    """Standard deviation of the level between children, half way through primary school."""
    growth: float
    """Mean a year."""
    growth_spread: float
    """Standard deviation of a child's growth."""
    correlation: float
    """Of level and growth."""


GROWTH = Growth(1721, 0.909, 0.747, 0.145, 0.50)
"""The Sustaining Effects Study (Carter 1984), as it stands in `egsingle` of the R package mlmRev: a mixed linear model
`math ~ year` with an intercept and a slope for each child, by restricted maximum likelihood. Variances .827 and .021,
covariance .066. Raudenbush and Bryk (2002, chapter 8) report a mean growth of .763 with schools as a third level."""


class Items(NamedTuple):
    """The items of a section."""

    slope: Float[np.ndarray, " I"]
    easiness: Float[np.ndarray, " I"]
    """Logit of a right answer of an average person."""
    log_likelihood: float


def patterns(items: int = 5) -> Int[np.ndarray, "P I"]:
    """All patterns of right and wrong answers, in the order of the tables."""
    return (np.arange(2**items)[:, None] >> np.arange(items)[::-1]) & 1


def calibrate(counts: tuple[int, ...], one_slope: bool) -> Items:
    """Slopes and easinesses of the items of a section.

    Args:
        counts: People with each pattern.
        one_slope: Whether the items share their slope (the Rasch model, but for the scale).
    """
    items = int(np.log2(len(counts)))
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    told, people = jnp.asarray(patterns(items), jnp.float32), jnp.asarray(counts, jnp.float32)
    theta, log_weights = jnp.asarray(nodes, jnp.float32), jnp.asarray(np.log(weights / weights.sum()), jnp.float32)

    def loss(flat: Float[Array, " K"]) -> Float[Array, ""]:
        slope, easiness = jnp.broadcast_to(flat[:-items], (items,)), flat[-items:]
        logits = theta[:, None] * slope[None] + easiness[None]
        given = jax.nn.log_sigmoid(logits) @ told.T + jax.nn.log_sigmoid(-logits) @ (1.0 - told).T
        return -(people * jax.nn.logsumexp(given + log_weights[:, None], axis=0)).sum() / people.sum()

    start = np.concatenate([np.ones(1 if one_slope else items), np.ones(items)])
    found = minimize(jax.jit(jax.value_and_grad(loss)), start, jac=True, method="L-BFGS-B", options={"gtol": 1e-7})
    slope, easiness = np.broadcast_to(found.x[:-items], items), found.x[-items:]
    return Items(slope, easiness, float(-found.fun * sum(counts)))


def levels() -> tuple[float, float, float]:
    """Difficulties of easy, medium and hard items, in logits: means of the terciles of all ten, moved to a mean of 0.

    Only the spread is taken over: these items are easy for those who sat the test.
    """
    hard = np.sort(np.concatenate([-calibrate(counts, one_slope=True).easiness for counts in SECTIONS.values()]))
    easy, medium, difficult = (float(part.mean()) for part in np.array_split(hard - hard.mean(), [3, 7]))
    return round(easy, 2), round(medium, 2), round(difficult, 2)
