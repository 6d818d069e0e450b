"""What a run was worth in a world that changes. Levels are returns or rewards per step, [N, P]: `N` runs, `P` points.

normalised = 1 + sum over regimes, by their share of the time, of (level - best fixed setting) / gap
gap        = best fixed setting - random policy

A regime is a state of the world that may come again; a segment is the time between two changes.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from selftune.errors import SettingError
from selftune.experiments.statistics import bootstrap, interquartile_mean, mean
from selftune.experiments.sweep import Curves

DEAD = 0.2
"""A run with a lower normalised score is dead."""
NARROWEST = 0.05
"""Of the widest gap between the random policy and the best fixed setting: what the gap of a regime is taken for at
least, so that a regime in which nothing can be won does not outweigh all others."""


class Stream(NamedTuple):
    """When the world changed."""

    changes: tuple[int, ...]
    """Environment steps, ascending; none in a world that does not change."""
    regimes: tuple[int, ...]
    """The regime before the first change, and after each: one more than there are changes."""


def segments(steps: Int[np.ndarray, " P"], stream: Stream) -> Int[np.ndarray, " P"]:
    """The segment in which the middle of each point's steps lies.

    Raises:
        SettingError: The stream's regimes are not one more than its changes.
    """
    if len(stream.regimes) != len(stream.changes) + 1:
        raise SettingError(f"Got {len(stream.changes)} changes and {len(stream.regimes)} regimes; expected one more.")
    middle = steps - np.diff(steps, prepend=0) / 2
    return np.searchsorted(np.asarray(stream.changes), middle, side="right")


def by_regime(
    level: Float[np.ndarray, "N P"], steps: Int[np.ndarray, " P"], stream: Stream
) -> tuple[Float[np.ndarray, "N G"], Float[np.ndarray, " G"]]:
    """The mean level in each regime that occurs, in ascending order, and each one's share of the time."""
    regime = np.asarray(stream.regimes)[segments(steps, stream)]
    inside = [regime == number for number in np.unique(regime)]
    levels = np.stack([level[:, chosen].mean(axis=1) for chosen in inside], axis=1)
    return levels, np.array([chosen.mean() for chosen in inside])


def normalised(
    levels: Float[np.ndarray, "N G"],
    random: Float[np.ndarray, " G"],
    best: Float[np.ndarray, " G"],
    shares: Float[np.ndarray, " G"],
) -> Float[np.ndarray, " N"]:
    """Protocol N's score: 0 = the random policy, 1 = the best fixed setting in hindsight, regime by regime.

    The best fixed setting is 1 also where it is no better than the random policy in some regime; that is then above 0.
    """
    gap = best - random
    least = max(NARROWEST * float(gap.max()), 1e-3 * float(np.abs(random).max()), 1e-9)
    return 1.0 + ((levels - best[None]) / np.maximum(gap, least)[None]) @ shares


def regret(
    levels: Float[np.ndarray, "N G"], reference: Float[np.ndarray, " G"], shares: Float[np.ndarray, " G"]
) -> Float[np.ndarray, " N"]:
    """How much less than a reference a run had, on the average of all steps; in units of the level."""
    return (reference[None] - levels) @ shares


def recovery(
    level: Float[np.ndarray, "N P"],
    steps: Int[np.ndarray, " P"],
    stream: Stream,
    random: Float[np.ndarray, " S"],
    learned: Float[np.ndarray, " S"],
    share: float = 0.9,
    window: int = 3,
) -> Float[np.ndarray, "N C"]:
    """Steps after each of `C` changes until what was lost is back: a share of the level before it.

    Args:
        level: Of the runs.
        steps: Up to each point.
        stream: When the world changed.
        random: Level of the random policy in each segment, the zero from which the share is taken.
        learned: Level in each segment from which on there is something to lose.
        share: Of what the last fifth of the segment before had above the random policy.
        window: Points, all after the change, whose mean must reach it, after such a mean that did not.

    Returns:
        0 where nothing was lost, infinity where the next change came first, no number where there was nothing to lose.
    """
    segment = segments(steps, stream)
    waits = np.full((len(level), len(stream.changes)), np.nan)
    for number, change in enumerate(stream.changes):
        before, after = np.flatnonzero(segment == number), np.flatnonzero(segment == number + 1)
        if not len(before) or len(after) < window:
            continue
        usual = level[:, before[-max(1, len(before) // 5) :]].mean(axis=1)
        target = random[number + 1] + share * (usual - random[number])
        means = np.lib.stride_tricks.sliding_window_view(level[:, after], window, axis=1).mean(axis=2)
        ends = np.array([*steps[after[window - 1 :]] - change, np.inf, 0.0])
        waits[:, number] = np.where(usual > learned[number], ends[back(means < target[:, None])], np.nan)
    return waits


def back(short: Bool[np.ndarray, "N W"]) -> Int[np.ndarray, " N"]:
    """Of `W` windows, the first that is not short after one that was; `W` where none is, -1 where none was short."""
    returned = ~short & np.logical_or.accumulate(short, axis=1)
    found = np.where(returned.any(axis=1), returned.argmax(axis=1), short.shape[1])
    return np.where(short.any(axis=1), found, -1)


def final_return(
    returns: Float[np.ndarray, "N P"], episodes: Float[np.ndarray, "N P"], steps: Int[np.ndarray, " P"]
) -> Float[np.ndarray, " N"]:
    """Mean over the episodes that ended in the last fifth of the steps; over all of the run where none did."""
    late = steps > 0.8 * steps[-1]
    ended = episodes[:, late].sum(axis=1)
    known = returns.sum(axis=1) / np.maximum(episodes.sum(axis=1), 1.0)
    return np.where(ended > 0, returns[:, late].sum(axis=1) / np.maximum(ended, 1.0), known)


def returns(curves: Curves, continuing: bool) -> dict[str, Float[np.ndarray, " N"]]:
    """Final return and mean return of each run, [N]; rewards per step where there are no episodes.

    No number for a run in which no episode ended, where those of others did.
    """
    level = curves.level(continuing)
    late = level[:, curves.steps > 0.8 * curves.steps[-1]].mean(axis=1)
    final = late if continuing else final_return(curves.returns, curves.episodes, curves.steps)
    known = continuing | (curves.episodes.sum(axis=1) > 0)
    return {"final": np.where(known, final, np.nan), "area": level.mean(axis=1)}


class Aligned(NamedTuple):
    """A curve around a change: averaged over all changes of each run, then over runs."""

    offsets: Int[np.ndarray, " W"]
    """Steps after the change."""
    middle: Float[np.ndarray, " W"]
    """Interquartile mean over runs."""
    low: Float[np.ndarray, " W"]
    """Lower quartile over runs."""
    high: Float[np.ndarray, " W"]


def aligned(
    values: Float[np.ndarray, "N P"], steps: Int[np.ndarray, " P"], stream: Stream, before: int, after: int
) -> Aligned | None:
    """The event-aligned average of a level or a metaparameter.

    Args:
        values: Of the runs.
        steps: Up to each point, equally far apart.
        stream: When the world changed; changes without enough points around them are left out.
        before: Points before each change.
        after: Points after it.
    """
    places = [int(np.searchsorted(steps, change, side="right")) for change in stream.changes]
    windows = [values[:, p - before : p + after] for p in places if p >= before and p + after <= len(steps)]
    if not windows:
        return None
    each = np.mean(windows, axis=0)
    middle = np.array([interquartile_mean(column) for column in each.T])
    offsets = np.arange(-before + 1, after + 1) * int(steps[1] - steps[0])
    return Aligned(offsets, middle, *np.quantile(each, [0.25, 0.75], axis=0))


def told(scores: Float[np.ndarray, " N"], strata: Sequence[int] | None = None) -> Mapping[str, Any]:
    """Scores of runs in a few numbers: interquartile mean with its interval, mean, lower quartile, share of the dead.

    Args:
        scores: Normalised.
        strata: A number for each run; runs are resampled among those of their own number.
    """
    groups = np.zeros(len(scores), int) if strata is None else np.asarray(strata)
    interval = bootstrap([scores[groups == number] for number in np.unique(groups)])
    return {
        "ours": interval.estimate,
        "ci_low": interval.low,
        "ci_high": interval.high,
        "mean": mean(scores),
        "lower_quartile": float(np.quantile(scores, 0.25)),
        "dead": dead(scores),
    }


def dead(scores: Float[np.ndarray, " N"]) -> float:
    """The share of runs that are dead, or that are no number any more."""
    lost: Bool[np.ndarray, " N"] = ~(scores >= DEAD)
    return float(lost.mean())
