"""From curves to a row of results: everything that protocol N tells of a method in one world."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from selftune.experiments.measures import (
    DEAD,
    Stream,
    aligned,
    by_regime,
    normalised,
    recovery,
    regret,
    returns,
    segments,
    told,
)
from selftune.experiments.records import significant
from selftune.experiments.sweep import Curves

SHOWN = ("learning_rate", "critic_learning_rate", "entropy_cost", "discount", "trace_decay", "clip_range")
"""Metaparameters whose way around a change is kept."""
BEFORE, AFTER = 0.25, 0.75
"""Of the time between two changes: how much of it is kept around a change."""


class References(NamedTuple):
    """Levels by regime, on the average of the test's runs."""

    random: Float[np.ndarray, " G"]
    best: Float[np.ndarray, " G"]
    oracle: Float[np.ndarray, " G"]


def scored(curves: Curves, stream: Stream, continuing: bool, references: References) -> dict[str, Any]:
    """Estimate, interval, and the details of a row."""
    level = lost_as_random(curves.level(continuing), references.random)
    levels, shares = by_regime(level, curves.steps, stream)
    scores = normalised(levels, references.random, references.best, shares)
    return {
        **told(scores),
        "scores": significant(scores),
        "levels": significant(levels.mean(axis=0)),
        "area": significant(level.mean(axis=1)),
        "total_reward": significant(curves.reward.sum(axis=1)),
        "final": significant(lost_as_random(returns(curves, continuing)["final"], references.random)),
        "regret_to_best": float(np.mean(regret(levels, references.best, shares))),
        "regret_to_oracle": float(np.mean(regret(levels, references.oracle, shares))),
        **_recovered(level, curves, stream, references),
        "around": _around(curves, level, stream),
    }


def mean_levels(
    curves: Curves, stream: Stream, continuing: bool, random: Float[np.ndarray, " G"]
) -> Float[np.ndarray, " G"]:
    """Levels by regime, on the average of runs; those that are lost count as in every row."""
    return by_regime(lost_as_random(curves.level(continuing), random), curves.steps, stream)[0].mean(axis=0)


def lost_as_random(level: Float[np.ndarray, "N *P"], random: Float[np.ndarray, " G"]) -> Float[np.ndarray, "N *P"]:
    """A run without a single episode, or with no number, counts as the worst of the random policy."""
    return np.nan_to_num(level, nan=float(random.min()), posinf=float(random.min()), neginf=float(random.min()))


def _recovered(level: np.ndarray, curves: Curves, stream: Stream, references: References) -> dict[str, Any]:
    """After which share of changes something was lost, which share of that came back in time, and when."""
    regimes, random = np.asarray(stream.regimes), references.random
    learned = random + DEAD * np.maximum(references.best - random, 0.0)
    waits = recovery(level, curves.steps, stream, random[regimes], learned[regimes])
    waits = waits[~np.isnan(waits)]
    if not waits.size:
        return {}
    lost = waits[waits > 0.0]
    told: dict[str, Any] = {"lost": float((waits > 0.0).mean())}
    if lost.size:
        middle = float(np.median(lost))
        told |= {"back": float(np.isfinite(lost).mean()), "back_steps": middle if np.isfinite(middle) else None}
    return told


def _around(curves: Curves, level: np.ndarray, stream: Stream) -> Mapping[str, Any]:
    """Level and metaparameters around a change."""
    if not stream.changes:
        return {}
    points = int(np.bincount(segments(curves.steps, stream)).min())
    window = max(1, int(BEFORE * points)), max(1, int(AFTER * points))
    shown = {"level": level, **{name: curves.eta[name] for name in SHOWN if name in curves.eta}}
    means = {name: aligned(values, curves.steps, stream, *window) for name, values in shown.items()}
    return {
        name: {key: significant(value) for key, value in mean._asdict().items()} for name, mean in means.items() if mean
    }
