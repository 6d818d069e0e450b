"""Alarms: from how well an agent does, update after update, whether it should start anew.

watched = alarm.init()
watched, rung = alarm.hear(watched, level, share)     share: of the alarm's memory, that went by since the last level
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from selftune.types import Array, Int, PyTree, Scalar


class Alarm(NamedTuple):
    """A test on a stream of levels; what is not finite is passed over, and after it rang it begins anew."""

    init: Callable[[], PyTree]
    hear: Callable[[PyTree, Scalar, float], tuple[PyTree, Array]]
    """`hear(past, level, share) -> (past, rung)`: a number, in any unit in which more is better; the share of the
    alarm's memory, above 0, that it lasted; whether it rang, a truth value."""


def all_is_lost(
    left: float = 0.1,
    patience: float = 0.1,
    deviations: float = 3.0,
    certainty: float = 5.0,
    waiting: float = 0.05,
    fading: float = 5.0,
    stretch: float = 1.0,
) -> Alarm:
    """Whether what an agent had learned is gone: it does hardly better than when it began, and has done so before.

    A beginner's level is the mean of half a memory, before it has learned; `gain` is what the best mean was above
    that. It should keep a share `left` of the gain; by how much it falls short is summed, so that a deep fall counts
    sooner than a shallow one: `short <- max(0, short + share * (beginner + left * gain - level) / gain)`. Above
    `patience`, nothing is lost by starting anew.

    Levels are noisy, and neighbours alike, so that a few low ones in a row are no loss. Nothing counts unless the gain
    is `deviations` of their standard deviations, and the sum must exceed `certainty * (deviation / gain)**2`, since the
    chance that noise about a higher level sums up to a bound falls exponentially with the bound over the variance, as a
    Brownian motion's with a drift does. That reckons with noise that is correlated over a third of a memory, as returns
    so far are; slower or very uneven noise (a rare reward, long episodes in phase) can still ring. Where it took long
    to learn, beginning again costs as long, and it waits in proportion: all this is for who took no longer than
    `1 / waiting` memories, and grows with the time. Ours; `docs/study.md` has what was tried.

    Args:
        left: Share of the gain under which it falls short, in (0, 1).
        patience: The sum that is too much, above 0: one memory without any gain makes `left`.
        deviations: Least gain that is one, in standard deviations of the levels, above 0. The best of many noisy means
            and an unlucky beginning alone make one to three.
        certainty: How unlikely it must be that a sum is noise, at least 0.
        waiting: By how many times its least the bound grows with each memory that it took to learn, above 0, without
            limit. It took as long as until the gain last doubled.
        fading: Memories over which the deviation fades, above 0. A jump from quiet levels is a gain, and no noise, if
            this is above `1.25 * deviations`; all of it only after as many memories.
        stretch: How many times as long its memory is as the one in which patience, waiting and fading are told, above
            0. Means of few long levels need a long memory; what is lost is lost as soon.
    """
    patience, waiting, fading = patience / stretch, waiting * stretch, fading / stretch

    def hear(past: Standing, level: Scalar, share: float) -> tuple[Standing, Array]:
        gain = past.best - past.beginner
        learned = gain > deviations * past.deviation
        unit = jnp.where(learned, gain, 1.0)
        fall = (past.beginner + left * gain - level) / unit
        short = jnp.where(learned, jnp.maximum(past.short + share * fall, 0.0), 0.0)
        rate, slowly = 1.0 - jnp.exp(-share), 1.0 - jnp.exp(-share / fading)
        weight = past.weight + rate * (1.0 - past.weight)
        off = level - past.mean
        mean = past.mean + rate / weight * off
        usual = (past.age > 0.0) & (short == 0.0)
        known = past.known + jnp.where(usual, slowly * (1.0 - past.known), 0.0)
        closer = slowly / jnp.maximum(known, slowly) * (DEVIATION * jnp.abs(off) - past.deviation)
        deviation = past.deviation + jnp.where(usual, closer, 0.0)
        young = past.age < 0.5
        beginner = jnp.where(young, mean, past.beginner)
        best = jnp.where(young, mean, jnp.maximum(past.best, mean))
        now, gained = past.age + share, best - beginner
        doubles = (gained > 0.0) & (gained >= 2.0 * past.doubled)
        doubled, took = jnp.where(doubles, gained, past.doubled), jnp.where(doubles, now, past.took)
        after = Standing(mean, weight, deviation, known, beginner, best, short, now, doubled, took)
        enough = jnp.maximum(patience, certainty * (past.deviation / unit) ** 2)
        return after, short > enough * jnp.maximum(1.0, waiting * took)

    return _alarm(lambda: Standing(*[jnp.zeros(())] * 10), hear)


DEVIATION = math.sqrt(math.pi / 2.0)
"""A normal distribution's standard deviation over its mean absolute one."""


class Standing(NamedTuple):
    """What `all_is_lost` remembers: running means with weights that fade, and two levels to compare with."""

    mean: Scalar
    weight: Scalar
    """Of the mean, below 1 while it is young."""
    deviation: Scalar
    """Standard deviation of the levels that did not fall short, since a fall would hide itself. From their mean
    absolute deviation, since squares would make noise of a quick learner's rise."""
    known: Scalar
    """Weight of the deviation."""
    beginner: Scalar
    best: Scalar
    short: Scalar
    """How far it has fallen short lately, in gains times memories."""
    age: Scalar
    """In memories; below 0 while it is settling."""
    doubled: Scalar
    """The gain when it last doubled."""
    took: Scalar
    """The age then."""


SETTLING = 4.0
"""Memories that `settling` gives."""


def settling(past: PyTree) -> PyTree:
    """What an alarm remembers at first, of an agent that begins with what another had learned.

    Returns so far, and often episodes, have only begun; from a level that is taken too soon they alone would be a gain,
    and what an expert loses of it all that it ever had. So its own level is taken later, whatever happens until then.
    """
    return past._replace(age=past.age - SETTLING) if isinstance(past, Standing) else past


def pages_test(
    rate: float = 0.05, tolerance: float = 0.5, threshold: float = 15.0, warm_up: int = 30, least: float = 0.1
) -> Alarm:
    """Whether the level falls below its own recent past (Page 1954, https://doi.org/10.1093/biomet/41.1-2.100).

    `total <- max(0, total + (mean - level) / deviation - tolerance)`, with the mean and deviation of what came before.
    It counts levels, as if they were independent: neighbours that last less than `least` are heard as one.

    Args:
        rate: Of the running mean and variance.
        tolerance: Standard deviations that a level may lie below the mean without counting.
        threshold: Sum of standard deviations that is a change.
        warm_up: Levels before anything counts.
        least: Share of the alarm's memory that a level lasts at least. A rollout of A2C's lasts as long, and returns so
            far are alike over some of them.
    """

    def hear(past: Falls, level: Scalar, share: float) -> tuple[Falls, Array]:
        waited = past.waited + share
        level = past.pooled + share / waited * (level - past.pooled)
        waiting, (after, rung) = past._replace(waited=waited, pooled=level), heard(past, level)
        enough = waited >= least
        return jax.tree.map(lambda new, old: jnp.where(enough, new, old), after, waiting), rung & enough

    def heard(past: Falls, level: Scalar) -> tuple[Falls, Array]:
        deviation = jnp.sqrt(past.variance) + 1e-6 * (1.0 + jnp.abs(past.mean))
        fall = (past.mean - level) / deviation - tolerance
        total = jnp.where(past.seen >= warm_up, jnp.maximum(past.total + fall, 0.0), 0.0)
        faster = jnp.maximum(rate, 1.0 / (past.seen + 1))
        off = level - past.mean
        mean, variance = past.mean + faster * off, (1.0 - faster) * (past.variance + faster * off**2)
        nothing = jnp.zeros(())
        return Falls(mean, variance, total, past.seen + 1, nothing, nothing), total > threshold

    def init() -> Falls:
        nothing = jnp.zeros(())
        return Falls(nothing, nothing, nothing, jnp.zeros((), jnp.int32), nothing, nothing)

    return _alarm(init, hear)


class Falls(NamedTuple):
    """What Page's test remembers."""

    mean: Scalar
    variance: Scalar
    total: Scalar
    """The sum of the falls, never below 0."""
    seen: Int[Array, ""]
    """Levels so far."""
    waited: Scalar
    """How much of the memory those lasted that are not heard yet."""
    pooled: Scalar
    """Their mean."""


def _alarm(init: Callable[[], PyTree], hear: Callable[..., tuple[PyTree, Array]]) -> Alarm:
    def guarded(past: PyTree, level: Scalar, share: float) -> tuple[PyTree, Array]:
        then, rung = hear(past, level, share)
        fine = jnp.isfinite(level)
        after = jax.tree.map(
            lambda new, next_, old: jnp.where(fine, jnp.where(rung, new, next_), old), init(), then, past
        )
        return after, rung & fine

    return Alarm(init, guarded)
