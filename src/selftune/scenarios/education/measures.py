"""What a course was worth: one number a pupil, intervals over pupils, and comparisons of the same pupils."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.stats import rankdata

from selftune.experiments.statistics import Interval, bootstrap, mean, paired_ratio
from selftune.scenarios.education.lessons import Course


class Worth(NamedTuple):
    """Of each pupil."""

    mastered: Float[np.ndarray, " N"]
    """Skills at the end."""
    per_hour: Float[np.ndarray, " N"]
    """Skills mastered in an hour of practice."""
    gain: Float[np.ndarray, " N"]
    """Growth of the expected exam, in [-1, 1]."""
    retained: Float[np.ndarray, " N"]
    """Skills mastered four weeks after the last lesson."""
    gave_up: Float[np.ndarray, " N"]
    """1 or 0."""
    hours: Float[np.ndarray, " N"]


def worth(course: Course) -> Worth:
    """What each pupil has of a course."""
    hours = course.minutes[:, -1] / 60.0
    return Worth(
        np.asarray(course.mastered[:, -1]),
        np.asarray(course.mastered[:, -1] / hours),
        np.asarray(course.exam[:, -1] - course.before),
        np.asarray(course.retained),
        np.asarray(1.0 - course.here[:, -1]),
        np.asarray(hours),
    )


def average(values: Float[np.ndarray, " N"], seed: int) -> Interval:
    """The mean over pupils."""
    return bootstrap([values], mean, seed=seed)


def lower_decile(values: Float[np.ndarray, " N"]) -> float:
    """What nine of ten pupils reach."""
    return float(np.quantile(values, 0.1))


def row(name: str, course: Course, fixed_pace: Worth, seed: int) -> Mapping[str, Any]:
    """A tutor's figures."""
    own = worth(course)
    per_hour, gain = average(own.per_hour, seed), average(own.gain, seed)
    times = paired_ratio(own.per_hour, fixed_pace.per_hour, seed)
    return {
        "tutor": name,
        "pupils": len(own.gain),
        "mastered": float(own.mastered.mean()),
        "mastered_per_hour": per_hour.estimate,
        "ci_low": per_hour.low,
        "ci_high": per_hour.high,
        "times_fixed_pace": times.estimate,
        "times_low": times.low,
        "times_high": times.high,
        "lower_decile_per_hour": lower_decile(own.per_hour),
        "lower_decile_gain": lower_decile(own.gain),
        "gain": gain.estimate,
        "gain_low": gain.low,
        "gain_high": gain.high,
        "minutes_per_skill": float(60.0 * own.hours.sum() / max(own.mastered.sum(), 1e-9)),
        "retained": float(own.retained.mean()),
        "gave_up": float(own.gave_up.mean()),
        "worse_than_fixed_pace": float((own.gain < fixed_pace.gain - 0.02).mean()),
    }


def follows(course: Course, lesson: int, seed: int, resamples: int = 1000) -> Interval:
    """Rank correlation of the tutor's pace after a lesson with the pupil's true rate of learning.

    Of pupils who stayed and to whom nothing happened; 0 where all are alike.
    """
    chosen = np.asarray(course.here[:, -1]) & (np.asarray(course.pupil.event) == 0)
    pace, rate = np.asarray(course.shown["pace"])[chosen, lesson], np.asarray(course.pupil.rate)[chosen]
    drawn = np.random.default_rng(seed).integers(0, len(rate), (resamples, len(rate)))
    low, high = np.quantile([_rank_correlation(pace[one], rate[one]) for one in drawn], [0.025, 0.975])
    return Interval(_rank_correlation(pace, rate), float(low), float(high))


def _rank_correlation(a: Float[np.ndarray, " N"], b: Float[np.ndarray, " N"]) -> float:
    ranks = [rankdata(values) - (len(values) + 1) / 2 for values in (a, b)]
    size = np.sqrt(np.square(ranks).sum(axis=1).prod())
    return float(ranks[0] @ ranks[1] / size) if size > 0 else 0.0
