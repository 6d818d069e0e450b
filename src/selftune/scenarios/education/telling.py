"""The education scenario: the same pupils with each tutor, and what came of it."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from selftune.envs.worlds.curriculum import FRACTIONS, Curriculum, curriculum
from selftune.envs.worlds.tutoring import ILLNESS, ITEMS, LASTS, SESSIONS, SPURT, Params, tutoring
from selftune.experiments.statistics import Interval, paired_ratio
from selftune.scenarios.education import figures
from selftune.scenarios.education.lessons import Course, Tutor, classroom
from selftune.scenarios.education.measures import around, follows, row, worth
from selftune.scenarios.education.rivals import expert_rule, fixed_pace, leitner
from selftune.scenarios.education.tutor import self_tuning, untuned
from selftune.scenarios.education.wording import cell, interval, moves, owed, righted, so, times
from selftune.scenarios.story import Ask, Picture, Say, Story, Table

PUPILS, QUICK = 2000, 200
FIRST = 1000
"""Seeds of test pupils begin here; `START` was chosen with pupils of other seeds."""
MISSET: Mapping[str, float] = {"pace": 0.4, "learning_rate": 0.03, "level_rate": 0.03}
"""Deliberately wrong constants: four times the pace, and hardly an ear for answers."""
FIXED_PACE, EXPERT, FIXED, TUNED = "fixed pace", "expert rule", "fixed agent", "self-tuned"
MISSET_FIXED, MISSET_TUNED = "fixed agent, set wrong", "self-tuned, set wrong"
OWN = "the class it was set for"
CLASSES: Mapping[str, Params] = {
    OWN: Params(),
    "a slow class": Params()._replace(learning=0.1, half_life=6.0, guess=0.25),
    "a quick class": Params()._replace(learning=0.9, half_life=24.0),
}
"""A third of the rate and half of the memory, with more to guess; three times the rate and twice the memory. No tutor
is told."""


def tutors(plan: Curriculum) -> list[Tutor]:
    """All who compete."""
    needs, skills = jnp.asarray(plan.needs), len(plan.skills)
    return [
        fixed_pace(skills),
        leitner(skills),
        expert_rule(needs),
        untuned(needs, name=FIXED),
        self_tuning(needs, name=TUNED),
        untuned(needs, MISSET, name=MISSET_FIXED),
        self_tuning(needs, MISSET, name=MISSET_TUNED),
    ]


def tell(ask: Ask, say: Say = print, pupils: int | None = None) -> Story:
    """Give the same pupils to every tutor.

    Args:
        ask: 200 pupils when quick, else 2000; other seeds, other pupils.
        say: Where a line goes after each tutor.
        pupils: How many instead.
    """
    count = pupils or (QUICK if ask.quick else PUPILS)
    plan, keys = curriculum(FRACTIONS), jax.random.split(jax.random.key(FIRST + ask.seed), count)
    rooms = {tutor.name: classroom(tutor, tutoring(plan)) for tutor in tutors(plan)}
    courses: dict[str, dict[str, Course]] = {}
    for name, params in CLASSES.items():
        courses[name] = {}
        for tutor in rooms if name == OWN else (FIXED_PACE, EXPERT, FIXED, TUNED):
            courses[name][tutor] = course = jax.device_get(rooms[tutor](params, keys))
            say(f"{name}, {tutor}: {worth(course).mastered.mean():.2f} of {len(plan.skills)} skills newly mastered")
    return story(courses, len(plan.skills), ask.seed)


def story(courses: Mapping[str, Mapping[str, Course]], skills: int, seed: int) -> Story:
    """What came out.

    Args:
        courses: By class and tutor; the first class is the one the tutors were set for.
        skills: Of the curriculum.
        seed: Of the intervals.
    """
    rows = [
        row(name, tutor, course, worth(by_tutor[FIXED_PACE]), seed)
        for name, by_tutor in courses.items()
        for tutor, course in by_tutor.items()
    ]
    own = courses[OWN]
    tuning = [_tuned(name, own[name], seed) for name in (TUNED, MISSET_TUNED)]
    return Story(
        title="The pace follows the pupil",
        summary=tuple(_summary(rows, courses, tuning, seed)),
        tables=(*(_table(name, rows, skills) for name in courses), _tuning(tuning)),
        pictures=tuple(_pictures(own)),
        limits=LIMITS,
        rows=(*rows, *tuning),
    )


LIMITS = (
    "The pupils are simulated. How they learn, forget, tire and give up is assumed; only the spread of item "
    "difficulties, of first knowledge and of rates of learning between children was measured on people "
    "(docs/education.md says where).",
    "The agents own the simulator's equations: the form of learning and forgetting, what items take, how often pupils "
    "guess and slip, and the mean level of the class. What they are not told is each pupil's pace, memory and "
    "knowledge, that later skills are known less at first, fatigue, mood, illness, and that a class is another one. "
    "Real pupils keep to no such equations.",
    "The agent's constants were chosen on other pupils of this class; the timetable, the cards and the expert's rule "
    "are as they are usually described.",
    "The curriculum is an example, and an exam of medium items is not what a school is for.",
    "The fixed pace is a timetable as strict as they come; a teacher who looks at the class would do better, as the "
    "expert's rule does. The cards know nothing of prerequisites.",
)


def _summary(
    rows: list[Mapping[str, Any]],
    courses: Mapping[str, Mapping[str, Course]],
    tuning: list[Mapping[str, Any]],
    seed: int,
) -> list[str]:
    by = {told["tutor"]: told for told in rows if told["class"] == OWN}
    own, pace = by[TUNED], by[FIXED_PACE]

    def beside(name: str, ours: str, theirs: str) -> Interval | None:
        own, other = (worth(courses[name][one]).per_hour for one in (ours, theirs))
        return paired_ratio(own, other, seed)

    tuned, wrong = beside(OWN, TUNED, FIXED), beside(OWN, MISSET_TUNED, MISSET_FIXED)
    others = "; ".join(f"in {name} {times(beside(name, TUNED, FIXED))}" for name in courses if name != OWN)
    return [
        f"{own['pupils']} simulated pupils newly master {own['mastered_per_hour']:.2f} skills an hour with the "
        f"self-tuned tutor and {pace['mastered_per_hour']:.2f} at a fixed pace{so(own['times_fixed_pace'])}, and nine "
        f"of ten gain at least {own['lower_decile_gain']:.3f} in the exam, against {pace['lower_decile_gain']:.3f}.",
        f"{owed(tuned)}: beside the same tutor with constants that stand still, the self-tuned one masters in an "
        f"hour {times(tuned)} in the class whose constants these are; {others}.",
        f"From constants that are deliberately wrong {righted(wrong)}: it masters in an hour {times(wrong)} "
        f"beside the tutor who keeps them, and {100 * by[MISSET_TUNED]['gave_up']:.0f} instead of "
        f"{100 * by[MISSET_FIXED]['gave_up']:.0f} of a hundred give up.",
        f"{moves(tuning[0]['illness'], tuning[0]['spurt'])}. The rank correlation of the pace after six lessons with "
        f"the true rate of learning is {interval(tuning[0]['rate'])}, and {interval(tuning[0]['rate_alone'])} among "
        "pupils who knew as much at first.",
        f"{100 * own['worse_than_fixed_pace']:.1f} of a hundred pupils gain less in the exam with the self-tuned tutor "
        "than at the fixed pace.",
    ]


def _table(name: str, rows: list[Mapping[str, Any]], skills: int) -> Table:
    columns = (
        "tutor", f"newly mastered, of {skills}", "an hour", "times the fixed pace", "exam", "exam, lowest tenth",
        "minutes a skill", "after 4 weeks", "gave up", "worse than fixed pace",
    )  # fmt: skip
    cells = tuple(
        (
            told["tutor"],
            f"{told['mastered']:.2f}",
            f"{told['mastered_per_hour']:.3f} [{told['ci_low']:.3f}, {told['ci_high']:.3f}]",
            cell(told["times_fixed_pace"], told["times_low"], told["times_high"]),
            f"{told['gain']:+.3f} [{told['gain_low']:+.3f}, {told['gain_high']:+.3f}]",
            f"{told['lower_decile_gain']:+.3f}",
            f"{told['minutes_per_skill']:.0f}",
            f"{told['retained']:.2f}",
            f"{told['gave_up']:.1%}",
            f"{told['worse_than_fixed_pace']:.1%}",
        )
        for told in rows
        if told["class"] == name
    )
    before = next(told["mastered_before"] for told in rows if told["class"] == name)
    note = (
        f"A course of {SESSIONS} lessons of {ITEMS} items. Means over pupils with 95 % intervals; a skill is mastered "
        f"when four of five medium items would be solved. The {before:.2f} a pupil that were so before the first "
        "lesson are not counted."
    )
    return Table(f"The same pupils, each with every tutor: {name}", columns, cells, note)


def _tuned(name: str, course: Course, seed: int) -> Mapping[str, Any]:
    """What a tutor tuned: medians over pupils after the first and the last lesson, and whom the pace followed."""
    ends = {key: [float(np.median(path[:, at])) for at in (0, -1)] for key, path in course.shown.items()}
    then = {key: told._asdict() for key, told in follows(course, 5, seed)._asdict().items()}
    late = follows(course, SESSIONS - 1, seed).rate._asdict()
    moved = {event: around(course, kind, seed) for event, kind in (("illness", ILLNESS), ("spurt", SPURT))}
    events = {event: told and told._asdict() for event, told in moved.items()}
    return {"tuned": name, **then, "rate_at_the_end": late, **events, "medians": ends}


def _tuning(tuning: list[Mapping[str, Any]]) -> Table:
    kinds = ("rate", "rate_alone", "level", "rate_at_the_end", "illness", "spurt")
    rows = tuple(
        (
            told["tuned"],
            *(interval(told[kind]) for kind in kinds),
            *(f"{first:.3g} → {last:.3g}" for first, last in told["medians"].values()),
        )
        for told in tuning
    )
    heads = ("rate", "rate, equal level", "level", "rate, at the end", "in an illness", "in a spurt")
    names = (name.replace("_", " ") for name in tuning[0]["medians"])
    note = (
        "First rank correlations of the pace after six lessons (and at the end) with the pupil's true rate of learning "
        "and first level, of pupils who stayed and to whom nothing happened; then the pace after the "
        f"{LASTS} lessons of an event over that before, all with 95 % intervals; then medians over pupils after the "
        "first and the last lesson."
    )
    return Table("What the tutor tuned", ("tutor", *heads, *names), rows, note)


def _pictures(courses: Mapping[str, Course]) -> list[Picture]:
    fits = {name: courses[name] for name in (TUNED, MISSET_TUNED)}
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
