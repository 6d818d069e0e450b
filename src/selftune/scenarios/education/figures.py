"""The pictures of the education scenario."""

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go

from selftune.envs.worlds.tutoring import HOLIDAY, ILLNESS, SESSIONS, SPURT
from selftune.scenarios.drawing import band, ribbon
from selftune.scenarios.education.lessons import Course
from selftune.scenarios.education.measures import worth
from selftune.scenarios.page import COLOURS

AROUND = np.arange(-3, 13)
"""Lessons of an event that are over; 0 just before its first."""
EVENTS = {"illness": ILLNESS, "spurt": SPURT, "holiday": HOLIDAY}


def exams(courses: Mapping[str, Course]) -> go.Figure:
    """The expected exam after each lesson."""
    figure = go.Figure()
    for number, (name, course) in enumerate(courses.items()):
        scores = np.concatenate([course.before[:, None], course.exam], axis=1)
        band(figure, np.arange(SESSIONS + 1.0), scores, name, COLOURS[number % len(COLOURS)])
    figure.update_xaxes(title_text="lesson").update_yaxes(title_text="expected exam score")
    return figure.update_layout(height=420)


def tails(courses: Mapping[str, Course]) -> go.Figure:
    """Growth of the exam by pupils' rank under each tutor: the left end is the lower tail."""
    figure = go.Figure()
    for number, (name, course) in enumerate(courses.items()):
        gains = np.sort(worth(course).gain)
        share = 100.0 * (np.arange(len(gains)) + 0.5) / len(gains)
        figure.add_scatter(x=share, y=gains, name=name, line_color=COLOURS[number % len(COLOURS)])
    figure.update_xaxes(title_text="pupils, from those who gained least (per cent)")
    return figure.update_yaxes(title_text="growth of the expected exam").update_layout(height=380)


def pace_around_events(course: Course) -> go.Figure:
    """The tutor's pace around what happened to a pupil, relative to pupils to whom nothing happened."""
    pace, event, stayed = np.log(course.shown["pace"]), course.pupil.event, course.here[:, -1]
    usual = pace[(event == 0) & stayed].mean(axis=0)
    figure = go.Figure()
    for number, (name, kind) in enumerate(EVENTS.items()):
        chosen = np.flatnonzero((event == kind) & stayed)
        if len(chosen) > 1:
            lessons = np.clip(np.asarray(course.pupil.begins)[chosen, None] - 1 + AROUND, 0, SESSIONS - 1)
            own = np.exp(pace[chosen[:, None], lessons] - usual[lessons])
            band(figure, AROUND.astype(float), own / own[:, AROUND <= 0].mean(), name, COLOURS[number])
    figure.add_vline(x=0, line_dash="dot", line_color="grey")
    figure.update_xaxes(title_text="lessons after it began").update_yaxes(title_text="pace, relative to before")
    return figure.update_layout(height=360)


def fitting(courses: Mapping[str, Course]) -> go.Figure:
    """The tutor's pace lesson by lesson: median, and the middle half of the pupils."""
    figure = go.Figure()
    for number, (name, course) in enumerate(courses.items()):
        low, middle, high = np.quantile(course.shown["pace"], [0.25, 0.5, 0.75], axis=0)
        ribbon(figure, np.arange(1.0, SESSIONS + 1), low, middle, high, name, COLOURS[number])
    figure.update_xaxes(title_text="lesson")
    return figure.update_yaxes(title_text="pace (logits an item)", type="log").update_layout(height=360)
