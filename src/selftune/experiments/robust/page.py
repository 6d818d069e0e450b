"""The pictures of protocol R: how runs learn, from where they fail, and where their settings go."""

from collections.abc import Iterator, Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from selftune.experiments.contest.methods import SEARCHED, method
from selftune.experiments.drawing_settings import LINEAR, SEED_STEP, TEST, draw, is_drawn, quantity
from selftune.experiments.robust.scores import DRAWS, Score

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#8c564b", "#7f7f7f")


def figures(rows: Sequence[Score]) -> Iterator[tuple[str, go.Figure]]:
    """For each environment and agent: learning curves, final scores by initial values, paths of metaparameters."""
    for env, agent in dict.fromkeys((row.env, row.agent) for row in rows):
        own = [row for row in rows if (row.env, row.agent) == (env, agent)]
        yield f"{agent} in {env}: how the runs learn", learning_curves(own)
        yield f"{agent} in {env}: final score by initial value", by_initial_value(own)
        for row in own:
            if row.details.get("eta", {}).get("ways") and row.method != "best_fixed":
                yield f"{agent} in {env}: paths of {row.method} from {row.start}", paths(row)


def learning_curves(rows: Sequence[Score]) -> go.Figure:
    """The median run of each method, by environment steps."""
    drawn = go.Figure()
    for number, row in enumerate(row for row in rows if "curve" in row.details):
        curve, name = row.details["curve"], f"{row.method} from {row.start}"
        dash = "solid" if row.start == DRAWS else "dot"
        style = {"color": COLOURS[number % len(COLOURS)], "dash": dash}
        drawn.add_trace(go.Scatter(x=curve["steps"], y=curve["middle"], name=name, line=style))
    return drawn.update_layout(
        template="plotly_white",
        height=420,
        xaxis_title="environment steps",
        yaxis_title="return (or reward a step), median",
    )


def by_initial_value(rows: Sequence[Score]) -> go.Figure:
    """A panel for each hyperparameter: where does a method start to fail?"""
    names = SEARCHED[rows[0].agent]
    drawn = make_subplots(
        rows=1, cols=len(names), shared_yaxes=True, subplot_titles=[axis_title(name) for name in names]
    )
    chosen = [row for row in rows if row.score == "final" and row.start == DRAWS and _drawn(row.method)]
    for number, row in enumerate(chosen):
        starts = draw(names, row.draws, TEST + SEED_STEP * row.seed)
        for place, name in enumerate(names):
            points = go.Scatter(
                x=quantity(name, starts[name]), y=row.details["scores"], name=row.method, legendgroup=row.method,
                mode="markers", marker_color=COLOURS[number % len(COLOURS)], showlegend=place == 0,
            )  # fmt: skip
            drawn.add_trace(points, row=1, col=place + 1)
    for place, name in enumerate(names):
        drawn.update_xaxes(type=axis_type(name), row=1, col=place + 1)
    return drawn.update_layout(template="plotly_white", height=420, yaxis_title="final score")


def _drawn(name: str) -> bool:
    """Whether it begins at the drawn settings."""
    return name not in ("random", "best_fixed") and method(name).strategy is None


def paths(row: Score) -> go.Figure:
    """The way of each metaparameter from all starts: do they meet?"""
    steps, eta = row.details["eta"]["steps"], row.details["eta"]["ways"]
    drawn = make_subplots(rows=1, cols=len(eta), subplot_titles=[axis_title(name) for name in eta])
    scores = np.asarray(row.details["scores"])
    for place, (name, ways) in enumerate(eta.items()):
        for way, score in zip(ways, scores, strict=True):
            shade = f"rgba({_shade(score)}, 0.6)"
            line = go.Scatter(x=steps, y=quantity(name, np.asarray(way)), line={"color": shade, "width": 1})
            drawn.add_trace(line, row=1, col=place + 1)
        drawn.update_yaxes(type=axis_type(name), row=1, col=place + 1)
    return drawn.update_layout(template="plotly_white", height=420, showlegend=False)


def axis_title(name: str) -> str:
    """What an axis of a metaparameter says."""
    return "1 - discount" if name == "discount" else name.replace("_", " ")


def axis_type(name: str) -> str:
    """How the axis of a metaparameter is divided."""
    return "linear" if is_drawn(name, LINEAR) else "log"


def _shade(score: float) -> str:
    """Red for a dead run, blue for one as good as the best fixed setting."""
    place = float(np.clip(score, 0.0, 1.0))
    return ", ".join(str(round(low + place * (high - low))) for low, high in ((213, 0), (94, 114), (0, 178)))
