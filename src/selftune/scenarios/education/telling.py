"""The education scenario: the same pupils with each tutor, and what came of it."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from selftune.envs.worlds.curriculum import FRACTIONS, Curriculum, curriculum
from selftune.envs.worlds.tutoring import ITEMS, SESSIONS, tutoring
from selftune.experiments.statistics import Interval, paired_ratio
from selftune.scenarios.education import figures
from selftune.scenarios.education.lessons import Course, Tutor, taught
from selftune.scenarios.education.measures import follows, row, worth
from selftune.scenarios.education.rivals import expert_rule, fixed_pace, leitner
from selftune.scenarios.education.tutor import self_tuning, untuned
from selftune.scenarios.story import Ask, Picture, Say, Story, Table

PUPILS, QUICK = 2000, 200
FIRST = 1000
"""Seeds of test pupils begin here; `START` was chosen with pupils of other seeds."""
OTHER_CLASS: Mapping[str, float] = {"pace": 0.4, "learning_rate": 0.03, "level_rate": 0.03}
"""Settings of a tutor that was made for pupils who learn four times as fast and need no watching."""
FIXED, TUNED = "fixed agent", "self-tuned"
MISFIT_FIXED, MISFIT_TUNED = "fixed agent, set for another class", "self-tuned, set for another class"


def tutors(taught: Curriculum) -> list[Tutor]:
    """All who compete."""
    needs, skills = jnp.asarray(taught.needs), len(taught.skills)
    return [
        fixed_pace(skills),
        leitner(skills),
        expert_rule(needs),
        untuned(needs, name=FIXED),
        self_tuning(needs, name=TUNED),
        untuned(needs, OTHER_CLASS, name=MISFIT_FIXED),
        self_tuning(needs, OTHER_CLASS, name=MISFIT_TUNED),
    ]


def tell(ask: Ask, say: Say = print, pupils: int | None = None) -> Story:
    """Give the same pupils to every tutor.

    Args:
        ask: 200 pupils when quick, else 2000; other seeds, other pupils.
        say: Where a line goes after each tutor.
        pupils: How many instead.
    """
    count = pupils or (QUICK if ask.quick else PUPILS)
    plan = curriculum(FRACTIONS)
    env, keys = tutoring(plan), jax.random.split(jax.random.key(FIRST + ask.seed), count)
    courses: dict[str, Course] = {}
    for tutor in tutors(plan):
        courses[tutor.name] = jax.device_get(taught(tutor, env, keys))
        say(f"{tutor.name}: {worth(courses[tutor.name]).mastered.mean():.2f} of {len(plan.skills)} skills mastered")
    first = worth(courses["fixed pace"])
    rows = [row(name, course, first, ask.seed) for name, course in courses.items()]
    return Story(
        title="The pace follows the pupil",
        summary=tuple(_summary(rows, courses, count, ask.seed)),
        tables=(_table(rows, len(plan.skills)), _tuning(courses, ask.seed)),
        pictures=tuple(_pictures(courses)),
        limits=LIMITS,
        rows=tuple(rows),
    )


LIMITS = (
    "The pupils are simulated. How they learn, forget, tire and give up is assumed; only the spread of item "
    "difficulties, of first knowledge and of rates of learning between children was measured on people "
    "(docs/education.md says where).",
    "The tutor knows the form of the pupils' learning and forgetting, though none of their values; real pupils keep to "
    "no such form. Fatigue, illness and mood are unknown to it.",
    "The curriculum is an example, and an exam of medium items is not what a school is for.",
    "The fixed pace is a timetable as strict as they come; a teacher who looks at the class would do better, as the "
    "expert's rule does.",
)


def _summary(rows: list[Mapping[str, Any]], courses: Mapping[str, Course], count: int, seed: int) -> list[str]:
    by, an_hour = {told["tutor"]: told for told in rows}, {name: worth(one).per_hour for name, one in courses.items()}
    own, fixed, pace, lost, found = (by[name] for name in (TUNED, FIXED, "fixed pace", MISFIT_FIXED, MISFIT_TUNED))
    same = _times(paired_ratio(an_hour[TUNED], an_hour[FIXED], seed))
    better = _times(paired_ratio(an_hour[MISFIT_TUNED], an_hour[MISFIT_FIXED], seed))
    return [
        f"{count} simulated pupils master {own['times_fixed_pace']:.1f} times as many skills an hour with the "
        f"self-tuned tutor as at a fixed pace ({own['mastered_per_hour']:.2f} against "
        f"{pace['mastered_per_hour']:.2f}), and nine of ten gain at least {own['lower_decile_gain']:.3f} in the exam, "
        f"against {pace['lower_decile_gain']:.3f}.",
        "Most of that is owed to watching the pupil at all, not to self-tuning: the same tutor with constants that "
        f"suit this class masters {fixed['mastered_per_hour']:.2f} an hour; the self-tuned one {same}.",
        "Where the constants were made for another class, the self-tuned tutor masters "
        f"{found['mastered_per_hour']:.2f} skills an hour and the fixed one {lost['mastered_per_hour']:.2f} "
        f"({better}); {100 * found['gave_up']:.0f} and {100 * lost['gave_up']:.0f} of a hundred give up.",
        f"{100 * own['worse_than_fixed_pace']:.1f} of a hundred pupils gain less with the self-tuned tutor than they "
        "would have at the fixed pace (by more than .02 of the exam).",
    ]


def _table(rows: list[Mapping[str, Any]], skills: int) -> Table:
    columns = (
        "tutor", f"mastered, of {skills}", "an hour", "times the fixed pace", "exam", "exam, lowest tenth",
        "minutes a skill", "after 4 weeks", "gave up", "worse than fixed pace",
    )  # fmt: skip
    cells = tuple(
        (
            told["tutor"],
            f"{told['mastered']:.2f}",
            f"{told['mastered_per_hour']:.3f} [{told['ci_low']:.3f}, {told['ci_high']:.3f}]",
            f"{told['times_fixed_pace']:.2f} [{told['times_low']:.2f}, {told['times_high']:.2f}]",
            f"{told['gain']:+.3f} [{told['gain_low']:+.3f}, {told['gain_high']:+.3f}]",
            f"{told['lower_decile_gain']:+.3f}",
            f"{told['minutes_per_skill']:.0f}",
            f"{told['retained']:.2f}",
            f"{told['gave_up']:.1%}",
            f"{told['worse_than_fixed_pace']:.1%}",
        )
        for told in rows
    )
    note = (
        f"A course of {SESSIONS} lessons of {ITEMS} items. Means over pupils with 95 % intervals; a skill is mastered "
        "when four of five medium items would be solved."
    )
    return Table("Seven tutors, the same pupils", columns, cells, note)


def _tuning(courses: Mapping[str, Course], seed: int) -> Table:
    rows = []
    for name in (TUNED, MISFIT_TUNED):
        shown = courses[name].shown
        ends = (f"{np.median(path[:, 0]):.3g} → {np.median(path[:, -1]):.3g}" for path in shown.values())
        early, late = (_interval(follows(courses[name], lesson, seed)) for lesson in (5, SESSIONS - 1))
        rows.append((name, early, late, *ends))
    names = (name.replace("_", " ") for name in courses[TUNED].shown)
    note = (
        "The first columns are rank correlations of pace and the pupil's true rate of learning, where nothing "
        "happened; the others medians over pupils after the first and the last lesson."
    )
    return Table("What the tutor tuned", ("tutor", "after lesson 6", "at the end", *names), tuple(rows), note)


def _pictures(courses: Mapping[str, Course]) -> list[Picture]:
    fits = {name: courses[name] for name in (TUNED, MISFIT_TUNED)}
    told = {
        "Learning, lesson by lesson": (figures.exams(courses), "Expected exam score; bands are two standard errors."),
        "The lower tail": (figures.tails(courses), "Pupils sorted by what they gained, for each tutor."),
        "How quickly the pace fits": (figures.fitting(fits), "Median and middle half of the pupils."),
        "Around an illness, a spurt, a holiday": (
            figures.pace_around_events(courses[TUNED]),
            "Relative to pupils to whom nothing happened.",
        ),
    }
    return [Picture(title, *drawn) for title, drawn in told.items()]


def _interval(told: Interval) -> str:
    return f"{told.estimate:.2f} [{told.low:.2f}, {told.high:.2f}]"


def _times(told: Interval) -> str:
    return f"{told.estimate:.2f} times, 95 % interval {told.low:.2f} to {told.high:.2f}"
