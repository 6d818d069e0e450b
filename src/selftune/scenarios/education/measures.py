"""What a course was worth: one number a pupil, intervals over pupils, and comparisons of the same pupils."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from selftune.envs.worlds.tutoring import LASTS, NOTHING
from selftune.experiments.statistics import Interval, bootstrap, mean, paired_ratio, rank_correlation
from selftune.scenarios.education.lessons import Course


class Worth(NamedTuple):
    """Of each pupil. Skills that were mastered before the first lesson are not the course's, and not counted."""

    mastered: Float[np.ndarray, " N"]
    """Skills that were not mastered before, and are at the end."""
    per_hour: Float[np.ndarray, " N"]
    """The same, by hours of practice."""
    gain: Float[np.ndarray, " N"]
    """Growth of the expected exam, in [-1, 1]."""
    retained: Float[np.ndarray, " N"]
    """Skills that were not mastered before, and are four weeks after the last lesson."""
    gave_up: Float[np.ndarray, " N"]
    """1 or 0."""
    hours: Float[np.ndarray, " N"]


def worth(course: Course) -> Worth:
    """What each pupil has of a course."""
    hours, mastered = course.minutes[:, -1] / 60.0, course.mastered[:, -1] - course.already
    return Worth(
        np.asarray(mastered),
        np.asarray(mastered / hours),
        np.asarray(course.exam[:, -1] - course.before),
        np.asarray(course.retained - course.already),
        np.asarray(1.0 - course.here[:, -1]),
        np.asarray(hours),
    )


def average(values: Float[np.ndarray, " N"], seed: int) -> Interval:
    """The mean over pupils."""
    return bootstrap([values], mean, seed=seed)


def lower_decile(values: Float[np.ndarray, " N"]) -> float:
    """What nine of ten pupils reach."""
    return float(np.quantile(values, 0.1))


def row(taught: str, name: str, course: Course, fixed_pace: Worth, seed: int) -> Mapping[str, Any]:
    """A tutor's figures, in a class.

    Skills an hour are means of each pupil's own; minutes a skill are those of all pupils together.
    """
    own = worth(course)
    per_hour, gain = average(own.per_hour, seed), average(own.gain, seed)
    times = paired_ratio(own.per_hour, fixed_pace.per_hour, seed)
    return {
        "class": taught,
        "tutor": name,
        "pupils": len(own.gain),
        "mastered_before": float(np.mean(course.already)),
        "mastered": float(own.mastered.mean()),
        "mastered_per_hour": per_hour.estimate,
        "ci_low": per_hour.low,
        "ci_high": per_hour.high,
        "times_fixed_pace": times and times.estimate,
        "times_low": times and times.low,
        "times_high": times and times.high,
        "lower_decile_per_hour": lower_decile(own.per_hour),
        "lower_decile_gain": lower_decile(own.gain),
        "gain": gain.estimate,
        "gain_low": gain.low,
        "gain_high": gain.high,
        "minutes_per_skill": float(60.0 * own.hours.sum() / max(own.mastered.sum(), 1e-9)),
        "retained": float(own.retained.mean()),
        "gave_up": float(own.gave_up.mean()),
        "worse_than_fixed_pace": float((own.gain < fixed_pace.gain).mean()),
    }


class Follows(NamedTuple):
    """Rank correlations of the tutor's pace, over pupils who stayed and to whom nothing happened."""

    rate: Interval
    """With the pupil's true rate of learning."""
    level: Interval
    """With what the pupil knew at first."""
    rate_alone: Interval
    """With the rate, among pupils of equal level: quick pupils know more at first, which a tutor notices sooner."""


def follows(course: Course, lesson: int, seed: int, resamples: int = 1000) -> Follows:
    """Whom the tutor's pace follows, after a lesson."""
    chosen = np.asarray(course.here[:, -1]) & (np.asarray(course.pupil.event) == 0)
    pace, rate = np.asarray(course.shown["pace"])[chosen, lesson], np.asarray(course.pupil.rate)[chosen]
    columns = np.stack([pace, rate, np.asarray(course.pupil.first)[chosen].mean(axis=1)])
    drawn = np.random.default_rng(seed).integers(0, len(rate), (resamples, len(rate)))
    values = np.array([_correlations(columns[:, one]) for one in drawn])
    ends = np.quantile(values, [0.025, 0.975], axis=0)
    return Follows(*(Interval(*map(float, told)) for told in zip(_correlations(columns), *ends, strict=True)))


def around(course: Course, kind: int, seed: int, lessons: int = LASTS, resamples: int = 1000) -> Interval | None:
    """The tutor's pace after so many lessons of an event over that before it, relative to undisturbed pupils.

    `None` where nobody who stayed met with it, or everybody met with something. The interval is of other pupils of
    both kinds.
    """
    pace, stayed = np.log(np.asarray(course.shown["pace"])), np.asarray(course.here[:, -1])
    event, begins = np.asarray(course.pupil.event), np.asarray(course.pupil.begins)
    struck, calm = (np.flatnonzero((event == one) & stayed) for one in (kind, NOTHING))
    if not (len(struck) and len(calm)):
        return None

    def moved(struck: Int[np.ndarray, " K"], calm: Int[np.ndarray, " M"]) -> float:
        path, rows, first = pace[struck] - pace[calm].mean(axis=0), np.arange(len(struck)), begins[struck]
        return float(np.exp((path[rows, first + lessons - 1] - path[rows, first - 1]).mean()))

    chance = np.random.default_rng(seed)
    drawn = [moved(*(chance.choice(some, len(some)) for some in (struck, calm))) for _ in range(resamples)]
    return Interval(moved(struck, calm), *map(float, np.quantile(drawn, [0.025, 0.975])))


def _correlations(columns: Float[np.ndarray, "3 N"]) -> tuple[float, float, float]:
    """Of the first with the second, with the third, and with the second where the third is equal."""
    one, two, three = columns
    ab, ac, bc = (float(rank_correlation(*pair)) for pair in ((one, two), (one, three), (two, three)))
    rest = (1.0 - ac**2) * (1.0 - bc**2)
    return ab, ac, 0.0 if rest <= 1e-12 else (ab - ac * bc) / float(np.sqrt(rest))
