"""The pictures of the robotics scenario, aligned at the change."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float
from plotly.subplots import make_subplots

from selftune.scenarios.drawing import ribbon
from selftune.scenarios.page import COLOURS
from selftune.scenarios.robotics.courses import Course

TOLD: Mapping[str, str] = {
    "learning_rate": "learning rate",
    "critic_learning_rate": "critic learning rate",
    "discount": "discount",
    "trace_decay": "trace decay",
    "entropy_cost": "entropy cost",
    "clip_range": "clip range",
    "temperature": "temperature",
}
"""Metaparameters in the order in which they are drawn, where the agent tunes them."""
LOGARITHMIC = ("learning_rate", "critic_learning_rate", "entropy_cost", "temperature")


def speeds(courses: Mapping[str, Sequence[Course]], before: int, window: int, changes: bool = True) -> go.Figure:
    """Speed of every method, the mean of an episode at a time; medians over seeds, from the lowest to the highest."""
    figure = go.Figure()
    for number, (name, runs) in enumerate(courses.items()):
        smooth = np.stack([trailing(course.speed, before, window) for course in runs])
        low, middle, high = np.quantile(smooth, [0.0, 0.5, 1.0], axis=0)
        ribbon(figure, offsets(runs[0], before), low, middle, high, name, COLOURS[number % len(COLOURS)])
    if changes:
        figure.add_vline(x=0, line_dash="dot", line_color="grey")
    figure.update_xaxes(title_text="thousand steps after the change" if changes else "thousand steps")
    return figure.update_yaxes(title_text="forward speed (m/s)").update_layout(height=420)


def metaparameters(runs: Sequence[Course], before: int) -> go.Figure:
    """What the self-tuned agent did to its metaparameters: each seed a thin line, the median a thick one."""
    shown = [name for name in TOLD if name in runs[0].eta]
    columns = min(3, len(shown))
    rows = -(-len(shown) // columns)
    figure = make_subplots(rows, columns, subplot_titles=[TOLD[name] for name in shown], vertical_spacing=0.16)
    x = offsets(runs[0], before)
    for number, name in enumerate(shown):
        row, place = divmod(number, columns)
        where: Any = {"row": row + 1, "col": place + 1}
        paths = np.stack([course.eta[name] for course in runs])
        for path in paths:
            figure.add_scatter(
                x=x, y=path, line={"color": COLOURS[1], "width": 1}, opacity=0.4, hoverinfo="skip", **where
            )
        figure.add_scatter(x=x, y=np.median(paths, axis=0), line={"color": COLOURS[1], "width": 3}, **where)
        figure.add_vline(x=0, line_dash="dot", line_color="grey", **where)
        if name in LOGARITHMIC:
            figure.update_yaxes(type="log", **where)
    figure.update_xaxes(title_text="thousand steps after the change", row=rows)
    return figure.update_layout(showlegend=False, height=240 * rows + 60)


def offsets(course: Course, before: int) -> Float[np.ndarray, " P"]:
    """Thousand environment steps after the change, of each point of a course."""
    return (course.steps - before * course.steps[0]) / 1000.0


def trailing(values: Float[np.ndarray, " P"], before: int, window: int) -> Float[np.ndarray, " P"]:
    """The mean of each point and those before it, up to a window, on its own side of the change only."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    ends = np.arange(1, len(values) + 1)
    begins = np.maximum(ends - window, np.where(ends > before, before, 0))
    return (sums[ends] - sums[begins]) / (ends - begins)
