"""Results of protocol N for people: a table in the terminal, one in Markdown, figures of what happens at a change."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import plotly.graph_objects as go
from plotly.subplots import make_subplots
from rich import box
from rich.console import Group
from rich.table import Table

from selftune.experiments.records import Records, Row

HEADS = (
    "method",
    "score",
    "95 % interval",
    "mean",
    "lower quartile",
    "dead",
    "recovered",
    "steps to recover",
    "regret",
)
NARROW = (0, 1, 2, 4, 5, 6, 7)
"""Of `HEADS`, what a terminal has room for."""
HIGHEST_BAR = 1.2


def bar(oracle: float) -> float:
    """What protocol N asks for: 1.2, or half of the way from the best fixed setting to an oracle that is nearer."""
    return min(HIGHEST_BAR, 1.0 + 0.5 * max(oracle - 1.0, 0.0))


def table(rows: Sequence[Row]) -> Group:
    """A table for each experiment, as narrow as a terminal."""
    return Group(*(_narrow(name, rows) for name in dict.fromkeys(row.experiment for row in rows)))


def _narrow(experiment: str, rows: Iterable[Row]) -> Table:
    shown = Table(title=experiment, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), title_justify="left")
    for place in NARROW:
        shown.add_column(HEADS[place], justify="left" if place == 0 else "right")
    for row in rows:
        if row.experiment == experiment:
            cells = _cells(row)
            shown.add_row(*(cells[place] for place in NARROW))
    return shown


def markdown(path: Path) -> str:
    """The section of protocol N for `docs/results.md`, from the rows of a file."""
    rows = Records(path).rows
    parts = ["## Worlds that change (protocol N)", ""]
    for experiment in dict.fromkeys(row.experiment for row in rows):
        parts += [*_section([row for row in rows if row.experiment == experiment]), ""]
    return "\n".join(parts)


def figure(rows: Sequence[Row], experiment: str, methods: Sequence[str], shown: Sequence[str]) -> go.Figure:
    """Level and metaparameters around a change, averaged over changes.

    Lines are interquartile means over runs; bands hold the middle half of the runs.

    Args:
        rows: Of a file.
        experiment: Such as `"two_colors abrupt"`.
        methods: Rows to show.
        shown: `"level"` and names of metaparameters, a panel each.
    """
    drawn = make_subplots(rows=len(shown), shared_xaxes=True, vertical_spacing=0.05)
    chosen = [row for row in rows if row.experiment == experiment and row.row in methods]
    for number, row in enumerate(chosen):
        for place, name in enumerate(shown):
            curve = row.details.get("around", {}).get(name)
            if curve:
                _draw(drawn, curve, row.row, COLOURS[number % len(COLOURS)], place + 1)
    for place, name in enumerate(shown):
        scale = "linear" if name in ("level", "discount", "trace_decay", "clip_range") else "log"
        drawn.update_yaxes(title_text=name.replace("_", " "), type=scale, row=place + 1, col=1)
        drawn.add_vline(x=0, line_dash="dot", line_color="grey", row=place + 1, col=1)  # pyright: ignore
    drawn.update_xaxes(title_text="environment steps after the change", row=len(shown), col=1)
    return drawn.update_layout(template="plotly_white", title=experiment, height=220 * len(shown) + 80)


COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")


def _draw(drawn: go.Figure, curve: dict, name: str, colour: str, place: int) -> None:
    ends = [*curve["high"], *reversed(curve["low"])]
    offsets = [*curve["offsets"], *reversed(curve["offsets"])]
    style = {"legendgroup": name, "hoverinfo": "skip", "showlegend": False}
    band = go.Scatter(x=offsets, y=ends, fill="toself", line_width=0, fillcolor=colour, opacity=0.15, **style)
    line = go.Scatter(
        x=curve["offsets"], y=curve["middle"], name=name, line_color=colour, legendgroup=name, showlegend=place == 1
    )
    drawn.add_traces([band, line], rows=place, cols=1)


def _section(rows: Sequence[Row]) -> list[str]:
    first = rows[0]
    oracle = next((row.ours for row in rows if row.row == "oracle"), 1.0)
    told = f"{first.steps:,} steps, {first.seeds} seeds, {first.details.get('agent', '')}; `{first.command}`"
    world, kind = first.experiment.split(" ", 1)
    goal = "1, lower end of the interval at least 0.95" if kind == "none" else f"{bar(oracle):.2f}"
    lines = [
        f"### {world}, {kind}",
        "",
        f"{told}. Bar: {goal}.",
        "",
        f"| {' | '.join(HEADS)} |",
        "|---" * len(HEADS) + "|",
    ]
    return [*lines, *(f"| {' | '.join(_cells(row))} |" for row in rows)]


def _cells(row: Row) -> list[str]:
    details = row.details
    waits, share = details.get("recovery_steps"), details.get("recovered")
    return [
        row.row.replace("_", " "),
        f"{row.ours:.2f}",
        f"{row.ci_low:.2f} … {row.ci_high:.2f}",
        _number(details.get("mean"), ".2f"),
        _number(details.get("lower_quartile"), ".2f"),
        _number(details.get("dead"), ".0%"),
        _number(share, ".0%"),
        "" if share is None else "never" if waits is None else f"{waits:,.0f}",
        _number(details.get("regret_to_best"), ".3g"),
    ]


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)
