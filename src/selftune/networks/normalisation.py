"""Running statistics of observations and rewards: plain state, and pure functions of it.

All is kept in float32. What is not finite is never counted; neither is what exceeds 1e15 in size, whose square could
overflow. Each entry is counted for itself: one broken sensor spoils nothing beside it.
"""

from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Shaped

from selftune.errors import SettingError

Number: TypeAlias = float | int | Float[Array, ""]

LARGEST = 1e15
"""An entry beyond this is not counted."""

LONGEST = 2.0**20
"""Rows that are remembered, about a million. Beyond them the oldest fade, and each new one still counts for more than
float32 rounds away: the statistics follow a world that drifts, however long it runs."""

SMALL, MOST = 0.1, 1000.0
"""Observations of a root mean square below the first are multiplied, at most by the second."""

EPSILON = 1e-12
"""Variance that is always added, so that what never varied is not divided by 0."""


class Statistics(NamedTuple):
    """Mean and variance of every entry of all rows so far.

    The mean is kept relative to the first entry. Without that, float32 could not tell a value near a million from one
    0.01 away, and what never varies would have a variance of rounding errors.
    """

    rows: Float[Array, "..."]
    """[*shape] in how many it was counted, up to `LONGEST`."""
    origin: Float[Array, "..."]
    """[*shape] its first value."""
    mean: Float[Array, "..."]
    """[*shape] less `origin`."""
    variance: Float[Array, "..."]
    """[*shape] mean squared distance from the mean."""


class Magnitude(NamedTuple):
    """How large the entries of observations are, all together."""

    statistics: Statistics
    """Of single entries."""


class ReturnScale(NamedTuple):
    """How large the discounted returns of `B` environments are."""

    returns: Float[Array, " B"]
    """Discounted sum of the rewards of the episode so far."""
    statistics: Statistics
    """Of those sums, after every step."""


def readable(x: Shaped[Array, "..."]) -> Shaped[Array, "..."]:
    """What can be reckoned with: 0 in place of every entry that would not be counted, as of a broken sensor.

    Args:
        x: of any shape and real type; whole numbers are as they are.

    Returns:
        Of its shape and type, below 1e15 in size.
    """
    if not jnp.issubdtype(x.dtype, jnp.floating):
        return x
    return jnp.where(jnp.abs(x) < LARGEST, x, 0.0).astype(x.dtype)


def statistics(shape: tuple[int, ...]) -> Statistics:
    """Statistics of nothing yet.

    Args:
        shape: shape of one row, such as one observation.
    """
    zeros = jnp.zeros(shape, jnp.float32)
    return Statistics(zeros, zeros, zeros, zeros)


def include(statistics: Statistics, batch: Shaped[Array, "..."]) -> Statistics:
    """Count the rows of a batch in.

    The moments of the batch are merged with those so far (Chan, Golub and LeVeque 1979, Updating formulae and a
    pairwise algorithm for computing sample variances), written with shares of the count::

        mean     += share * delta                                       # delta = mean of the batch - mean
        variance += share * (batch variance - variance + (1 - share) * delta^2)

    Args:
        statistics: those so far.
        batch: [..., *shape] of any real type; entries that are not finite are left out.

    Returns:
        Statistics of the same shapes and types.

    Raises:
        SettingError: if the batch does not end in the shape of a row.
    """
    rows = _rows(batch, statistics.mean.shape)
    keep = jnp.abs(rows) < LARGEST
    size = keep.sum(axis=0, dtype=jnp.float32)

    def average(x):
        return jnp.where(keep, x, 0.0).sum(axis=0) / jnp.maximum(size, 1.0)

    # Nothing counted yet: the first good value becomes the origin.
    first = jnp.take_along_axis(rows, keep.argmax(axis=0)[None], axis=0)[0]
    origin = jnp.where((statistics.rows == 0) & keep.any(axis=0), first, statistics.origin)
    rows = rows - origin[None]
    batch_mean = average(rows)
    batch_variance = average((rows - batch_mean[None]) ** 2)

    total = jnp.minimum(statistics.rows + size, LONGEST)
    share = size / jnp.maximum(jnp.maximum(total, size), 1.0)
    delta = batch_mean - statistics.mean
    mean = statistics.mean + share * delta
    variance = statistics.variance + share * (batch_variance - statistics.variance + (1 - share) * delta**2)
    return Statistics(total, origin, mean, jnp.maximum(variance, 0.0))


def normalise(statistics: Statistics, x: Shaped[Array, "..."], clip: Number = 10.0) -> Float[Array, "..."]:
    """Observations of mean 0 and variance 1: `(x - mean) / sqrt(variance + 1e-12)`, clipped.

    Args:
        statistics: what was seen so far.
        x: [..., *shape] observations.
        clip: bound on the size of the result; a new value after a stretch that never varied meets it.

    Returns:
        [..., *shape] within ±`clip`, 0 where `x` would not be counted, and `x` as long as nothing was.
    """
    x = jnp.asarray(x, jnp.promote_types(jnp.float32, x.dtype))
    known, origin, mean, deviation = (
        jnp.broadcast_to(part, x.shape)
        for part in (statistics.rows > 0, statistics.origin, statistics.mean, _deviation(statistics))
    )
    scaled = jnp.clip(((x - origin) - mean) / deviation, -clip, clip)
    return jnp.where(jnp.abs(x) < LARGEST, jnp.where(known, scaled, x), 0.0)


def magnitude() -> Magnitude:
    """The magnitude of nothing yet."""
    return Magnitude(statistics(()))


def measure(magnitude: Magnitude, batch: Shaped[Array, "..."]) -> Magnitude:
    """Count all entries of a batch of observations in.

    Args:
        magnitude: so far.
        batch: of any shape and real type; entries that are not finite are left out.
    """
    return Magnitude(include(magnitude.statistics, batch))


def lift(magnitude: Magnitude, x: Shaped[Array, "..."]) -> Float[Array, "..."]:
    """Observations whose root mean square is under 0.1, multiplied so that it is 0.1; all others as they are.

    A network whose inputs are all tiny learns next to nothing for a long time; large ones do no harm to it. One factor
    for all entries leaves their proportions alone, and what is rare rare.

    Args:
        magnitude: what was seen so far.
        x: of any shape.

    Returns:
        `x` times 1 to 1000, of its shape; of its type, or float32 where that is of whole numbers.
    """
    x = x if jnp.issubdtype(x.dtype, jnp.floating) else x.astype(jnp.float32)
    seen = magnitude.statistics
    size = jnp.sqrt((seen.origin + seen.mean) ** 2 + seen.variance)
    factor = jnp.where(size > 0.0, jnp.clip(SMALL / jnp.maximum(size, SMALL / MOST), 1.0), 1.0)
    return (factor * x).astype(x.dtype)


def return_scale(batch: int) -> ReturnScale:
    """The scale of nothing yet.

    Args:
        batch: parallel environments, `B`.
    """
    return ReturnScale(jnp.zeros(batch, jnp.float32), statistics(()))


def follow(scale: ReturnScale, reward: Float[Array, "T B"], done: Bool[Array, "T B"], discount: Number) -> ReturnScale:
    """Follow the size of the discounted returns over a rollout.

    Engstrom et al. 2020, Implementation matters in deep policy gradients (https://arxiv.org/abs/2005.12729).

    Args:
        scale: where it stood.
        reward: [T, B]; one that is not finite is passed over.
        done: [T, B] whether the episode ended with this step, in any way.
        discount: in [0, 1].

    Returns:
        A scale of the same shapes and types.
    """
    returns, seen = discounted_returns(scale.returns, reward, done, discount)
    return ReturnScale(returns, include(scale.statistics, seen))


def discounted_returns(
    before: Float[Array, " B"], reward: Float[Array, "T B"], done: Bool[Array, "T B"], discount: Number
) -> tuple[Float[Array, " B"], Float[Array, "T B"]]:
    """The discounted returns so far, `R <- discount * R + reward`, over a rollout; a new episode starts at 0.

    Args:
        before: [B] where they stood.
        reward: [T, B]; one that is not finite is passed over.
        done: [T, B] whether the episode ended with this step, in any way.
        discount: in [0, 1].

    Returns:
        [B] where they stand, and [T, B] what each step reached, NaN where its reward was not finite.
    """

    def step(returns, inputs):
        reward, good, done = inputs
        returns = discount * returns + jnp.where(good, reward, 0.0)
        return jnp.where(done, 0.0, returns), jnp.where(good, returns, jnp.nan)

    reward, discount = reward.astype(jnp.float32), jnp.asarray(discount, jnp.float32)
    good = jnp.abs(reward) < LARGEST
    return jax.lax.scan(step, before, (reward, good, done))


def scale_reward(scale: ReturnScale, reward: Float[Array, "..."], clip: Number = 10.0) -> Float[Array, "..."]:
    """Rewards by the standard deviation of the discounted return; their sign and their zero stay where they are.

    Args:
        scale: what was seen so far.
        reward: [...]
        clip: bound on the size of the result; infinity for none.

    Returns:
        [...] within ±`clip`, or `reward` unchanged as long as nothing was counted.
    """
    scaled = jnp.clip(reward / _deviation(scale.statistics), -clip, clip)
    return jnp.where(scale.statistics.rows > 0, scaled, reward)


def _deviation(statistics: Statistics) -> Float[Array, "..."]:
    return jnp.sqrt(statistics.variance + EPSILON)


def _rows(batch, shape):
    split = batch.ndim - len(shape)
    if split < 0 or batch.shape[split:] != shape:
        raise SettingError(
            f"Running statistics of shape {shape} got a batch of shape {batch.shape}, expected [..., "
            f"{', '.join(map(str, shape))}]: begin with statistics(shape) of one observation."
        )
    return batch.reshape(-1, *shape).astype(jnp.float32)
