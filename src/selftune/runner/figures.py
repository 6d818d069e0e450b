"""The plots of a report, as plain data in Plotly's schema; a colour is a name that the page's style sheet resolves."""

import html
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from jaxtyping import Float

from selftune.runner import axes
from selftune.runner.readable import has_horizon, label, number
from selftune.runner.series import RunSeries, drift_edges, running_mean, thin

COLOURS = 8
_DASHES = ("solid", "dash", "dot", "dashdot")


@dataclass(frozen=True)
class Card:
    """One plot with its heading: `title` and `note` are plain text, `figure` is Plotly's `data` and `layout`."""

    title: str
    figure: dict[str, Any]
    note: str = ""


@dataclass(frozen=True)
class Line:
    """One curve: the values `y` [rows] of run number `run`; `name` tells apart the curves of one run."""

    run: int
    y: Float[np.ndarray, " rows"]
    name: str = ""


class Figures:
    """Draws runs together: one colour a run, environment steps along every horizontal axis.

    Args:
        runs: what to draw.
        points: about how many points a curve may have.
    """

    def __init__(self, runs: Sequence[RunSeries], points: int):
        self._runs = runs
        self._points = points

    def returns(self) -> list[Card]:
        """The return over steps."""
        lines = self._column("return_mean")
        return [self._card("return", lines, axes.linear("return"), height=380)] if lines else []

    def rewards(self) -> list[Card]:
        """The mean reward of a step: all there is to see where episodes are long or never end."""
        lines = self._column("reward_mean")
        return [self._card("reward per step", lines, axes.linear("reward per step"))] if lines else []

    def throughput(self) -> list[Card]:
        """Environment steps a second."""
        lines = self._column("steps_per_second")
        return [self._card("throughput", lines, axes.linear("steps per second"))] if lines else []

    def others(self) -> list[Card]:
        """Losses and whatever else was logged."""
        groups = self._grouped(RunSeries.others)
        return [self._card(name, lines, axes.spaced("value", _values(lines))) for name, lines in groups.items()]

    def guards(self) -> list[Card]:
        """How often each guard fired, added up; those that never did are left out."""
        lines = {
            name: [Line(line.run, np.cumsum(np.nan_to_num(line.y)), line.name) for line in lines]
            for name, lines in self._grouped(lambda run: run.named("guard")).items()
        }
        return [
            Card(label(name), self._figure([self._traces(fired, "y")], [axes.linear("times fired")], 220))
            for name, fired in lines.items()
            if any(line.y[-1] > 0 for line in fired)
        ]

    def metaparameters(self) -> list[Card]:
        """Each metaparameter that moved in some run and, beneath it, its meta-gradient."""
        gradients = self._grouped(lambda run: run.named("meta_grad"))
        values = self._grouped(lambda run: run.named("eta"))
        return [
            self._metaparameter(name, lines, gradients.get(name, []))
            for name, lines in values.items()
            if any(np.nanmax(line.y) > np.nanmin(line.y) for line in lines)
        ]

    def drift(self) -> list[Card]:
        """What changed in the world, as it was; with a line where the schedule says that it changes."""
        lines = self._grouped(lambda run: run.named("drift"))
        return [
            Card(label(name), self._figure([self._traces(found, "y")], [axes.spaced("value", _values(found))], 200))
            for name, found in lines.items()
        ]

    def _metaparameter(self, name: str, values: list[Line], gradients: list[Line]) -> Card:
        if has_horizon(name) and axes.spans_horizons(_values(values)):
            traces, axis = self._horizons(values), axes.horizons("value", _values(values))
            note = "Spaced by its horizon, 1/(1 - value)."
        else:
            traces, axis, note = self._traces(values, "y"), axes.spaced("value", _values(values)), ""
        if not gradients:
            return Card(label(name), self._figure([traces], [axis], 260), note)
        hover = {"hovertemplate": "meta-gradient %{y:.3~g}"}
        slopes = [trace | hover for trace in self._smoothed(gradients, "y2")]
        slope = axes.robust("meta-gradient", _values(gradients))
        return Card(label(name), self._figure([traces, slopes], [axis, slope], 380), note)

    def _card(self, name: str, lines: list[Line], axis: dict[str, Any], height: int = 220) -> Card:
        return Card(label(name), self._figure([self._smoothed(lines, "y")], [axis], height))

    def _column(self, key: str) -> list[Line]:
        return [Line(place, run.columns[key]) for place, run in enumerate(self._runs) if key in run.columns]

    def _grouped(self, named: Callable[[RunSeries], Iterable[tuple[str, Any]]]) -> dict[str, list[Line]]:
        """Lines by the first part of their name: `learning_rate/policy` and `learning_rate/critic` share a plot."""
        groups: dict[str, list[Line]] = {}
        for place, run in enumerate(self._runs):
            for key, column in named(run):
                name, _, part = key.partition("/")
                groups.setdefault(name, []).append(Line(place, column, part))
        return groups

    def _smoothed(self, lines: list[Line], axis: str) -> list[dict[str, Any]]:
        """Each line as logged, faint, and its running mean; a short line as it is."""
        window = self.window()
        if window == 1:
            return self._traces(lines, axis)
        means = [Line(line.run, running_mean(line.y, window), line.name) for line in lines]
        faint = {"opacity": 0.28, "hoverinfo": "skip"}
        raw = [trace | faint | {"line": trace["line"] | {"width": 1}} for trace in self._traces(lines, axis)]
        return raw + self._traces(means, axis)

    def window(self) -> int:
        """How many rows the running mean spans."""
        return max(1, max((len(run.steps) for run in self._runs), default=0) // 40)

    def _traces(self, lines: list[Line], axis: str) -> list[dict[str, Any]]:
        return [self._trace(line, axis, thin(line.y, self._points), order) for order, line in _ordered(lines)]

    def _horizons(self, lines: list[Line]) -> list[dict[str, Any]]:
        traces = []
        for order, line in _ordered(lines):
            rows = thin(line.y, self._points)
            trace = self._trace(Line(line.run, 1 / (1 - line.y), line.name), "y", rows, order)
            hover = "%{customdata} (%{y:.3~s} steps)"
            traces.append(trace | {"customdata": [number(value) for value in line.y[rows]], "hovertemplate": hover})
        return traces

    def _trace(self, line: Line, axis: str, rows: list[int], order: int) -> dict[str, Any]:
        run = self._runs[line.run]
        dash = _DASHES[(order + line.run // COLOURS) % len(_DASHES)]
        return {
            "type": "scatter",
            "mode": "lines" if len(rows) > 1 else "markers",
            "name": html.escape(" · ".join(part for part in (run.name, label(line.name)) if part)),
            "meta": line.run,
            "x": _numbers(run.steps[rows]),
            "y": _numbers(line.y[rows]),
            "xaxis": "x",
            "yaxis": axis,
            "hovertemplate": "%{y:.4~g}",
            "line": {"color": f"var(--run-{line.run % COLOURS})", "width": 2, "dash": dash, "simplify": False},
        }

    def _figure(self, traces: list[list[dict]], vertical: list[axes.Axis], height: int) -> dict[str, Any]:
        """One plot, or two above one another over the same steps."""
        last = max(float(run.steps[-1]) for run in self._runs if run.steps.size)
        placed = {"yaxis": vertical[0], "xaxis": _STEPS | {"range": [-0.01 * last, 1.01 * last]}}
        if len(vertical) == 2:
            placed["yaxis"] = vertical[0] | {"domain": [0.42, 1]}
            placed["yaxis2"] = vertical[1] | {"domain": [0, 0.3]}
            placed["xaxis"] = placed["xaxis"] | {"anchor": "y2"}
        edges = sorted({edge for run in self._runs for edge in drift_edges(run)})
        marks = {"shapes": [_mark(edge) for edge in edges]} if edges else {}
        return {"data": list(chain.from_iterable(traces)), "layout": {**_LAYOUT, "height": height, **placed, **marks}}


_STEPS = {
    **axes.LINES,
    "title": {"text": "environment steps"},
    "tickformat": "~s",
    "hoverformat": ",d",
    "spikecolor": "var(--soft)",
    "spikethickness": 1,
    "spikedash": "solid",
}
_LAYOUT: dict[str, Any] = {
    "autosize": True,
    "margin": {"l": 64, "r": 12, "t": 8, "b": 44},
    "paper_bgcolor": "rgba(0,0,0,0)",
    "plot_bgcolor": "rgba(0,0,0,0)",
    "font": {"family": "system-ui, sans-serif", "size": 12, "color": "var(--soft)"},
    "hovermode": "x unified",
    "hoversubplots": "axis",
    "hoverlabel": {
        "bgcolor": "var(--card)",
        "bordercolor": "var(--line)",
        "font": {"color": "var(--ink)"},
        "namelength": -1,
    },
    "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": "var(--line)", "activecolor": "var(--soft)"},
    "showlegend": False,
}


def _mark(step: float) -> dict[str, Any]:
    """A line through the whole plot where the world changed."""
    where = {"type": "line", "x0": step, "x1": step, "xref": "x", "y0": 0, "y1": 1, "yref": "paper", "layer": "below"}
    return where | {"line": {"color": "var(--soft)", "width": 1, "dash": "dot"}}


def _ordered(lines: Sequence[Line]) -> list[tuple[int, Line]]:
    """Each line with its place among the lines of its run."""
    runs = [line.run for line in lines]
    return [(runs[:place].count(line.run), line) for place, line in enumerate(lines)]


def _values(lines: Sequence[Line]) -> Float[np.ndarray, " rows"]:
    """All values of all lines."""
    return np.concatenate([line.y for line in lines])


def _numbers(values: Float[np.ndarray, " points"]) -> list[float | int | None]:
    """Six significant digits, whole numbers as such, null for a gap."""
    return [_six(value) for value in values.tolist()]


def _six(value: float) -> float | int | None:
    if not math.isfinite(value):
        return None
    return int(value) if value.is_integer() else float(f"{value:.6g}")
