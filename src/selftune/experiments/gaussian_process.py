"""A Gaussian process over settings and time, in NumPy, as PB2 needs it: a few hundred points, refitted now and then.

k((x, t), (x', t')) = exp(-|x - x'|^2 / 2 l^2) * (1 - w)^(|t - t'| / 2)

Parker-Holder, Nguyen & Roberts 2020, Provably efficient online hyperparameter optimization with population-based
bandits (arXiv:2002.02518), section 4. `l`, `w` and the noise are those of a grid that make the data likeliest.
"""

import itertools
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

LENGTHS = (0.2, 0.5, 1.2)
FORGETTING = (0.0, 0.05, 0.2)
NOISES = (0.03, 0.2, 1.0)
"""Variances, beside the data's own of 1."""


class Process(NamedTuple):
    """A fitted process."""

    x: Float[np.ndarray, "N D"]
    t: Float[np.ndarray, " N"]
    factor: Float[np.ndarray, "N N"]
    """Lower Cholesky factor of the covariance of the data."""
    weights: Float[np.ndarray, " N"]
    length: float
    forgetting: float
    noise: float


def fit(x: Float[np.ndarray, "N D"], t: Float[np.ndarray, " N"], y: Float[np.ndarray, " N"]) -> Process:
    """The likeliest process of the grid.

    Args:
        x: Settings in [0, 1].
        t: When each was tried, in intervals.
        y: What came of it, standardised.
    """
    grid = itertools.product(LENGTHS, FORGETTING, NOISES)
    return max((_given(x, t, y, *point) for point in grid), key=lambda process: _likelihood(process, y))


def predict(
    process: Process, x: Float[np.ndarray, "M D"], t: float
) -> tuple[Float[np.ndarray, " M"], Float[np.ndarray, " M"]]:
    """Mean and standard deviation of the function, without noise, at settings `x` and one time."""
    when = np.full(len(x), float(t))
    across = _kernel(x, when, process.x, process.t, process.length, process.forgetting)
    solved = np.linalg.solve(process.factor, across.T)
    return across @ process.weights, np.sqrt(np.maximum(1.0 - (solved**2).sum(axis=0), 1e-12))


def extended(process: Process, x: Float[np.ndarray, "M D"], t: float, y: Float[np.ndarray, " M"]) -> Process:
    """The same process with more data."""
    when = np.concatenate([process.t, np.full(len(x), float(t))])
    values = np.concatenate([_values(process), y])
    return _given(np.concatenate([process.x, x]), when, values, process.length, process.forgetting, process.noise)


def choose(process: Process, t: float, count: int, chance: np.random.Generator) -> Float[np.ndarray, "count D"]:
    """Settings to try next, one after another, each by its upper confidence bound.

    A setting that was chosen counts as tried, with the outcome that was expected of it, so that the next goes elsewhere
    (the paper's algorithm 2). The width of the bound follows the authors' code in Ray Tune: sqrt(0.2 + log(0.4 n)).
    """
    chosen = []
    for _ in range(count):
        width = np.sqrt(0.2 + max(0.0, np.log(0.4 * len(process.x))))
        dimension = process.x.shape[1]
        near = np.clip(
            process.x[chance.integers(len(process.x), size=256)] + chance.normal(0, 0.1, (256, dimension)), 0, 1
        )
        candidates = np.concatenate([chance.random((768, dimension)), near])
        expected, deviation = predict(process, candidates, t)
        best = int(np.argmax(expected + width * deviation))
        chosen.append(candidates[best])
        process = extended(process, candidates[best : best + 1], t, expected[best : best + 1])
    return np.array(chosen)


def _given(x, t, y, length: float, forgetting: float, noise: float) -> Process:
    covariance = _kernel(x, t, x, t, length, forgetting) + noise * np.eye(len(x))
    factor = np.linalg.cholesky(covariance)
    weights = np.linalg.solve(factor.T, np.linalg.solve(factor, y))
    return Process(x, t, factor, weights, length, forgetting, noise)


def _values(process: Process) -> Float[np.ndarray, " N"]:
    return process.factor @ (process.factor.T @ process.weights)


def _likelihood(process: Process, y: Float[np.ndarray, " N"]) -> float:
    """Log marginal likelihood, up to a constant."""
    return float(-0.5 * y @ process.weights - np.log(np.diag(process.factor)).sum())


def _kernel(x, t, other_x, other_t, length: float, forgetting: float) -> Float[np.ndarray, "N M"]:
    distance = ((x[:, None] - other_x[None]) ** 2).sum(axis=2)
    return np.exp(-0.5 * distance / length**2) * (1.0 - forgetting) ** (0.5 * np.abs(t[:, None] - other_t[None]))
