"""The pictures of protocol N: what happens at a change, averaged over changes."""

from collections.abc import Iterator, Sequence

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from selftune.experiments.contest.methods import KNOWN
from selftune.experiments.records import Row

SHOWN = ("level", "learning_rate", "critic_learning_rate", "entropy_cost", "discount", "trace_decay")
"""Panels, where they were kept."""
LINEAR = ("level", "discount", "trace_decay", "clip_range")
AT_FIRST = ("best_fixed", "kl_adaptive", "pbt", "meta_gradient")
"""Methods that are seen when the page opens."""


def figures(rows: Sequence[Row]) -> Iterator[tuple[str, go.Figure]]:
    """One figure for each experiment in which something changes."""
    for experiment in dict.fromkeys(row.experiment for row in rows if row.details.get("around")):
        own = [row for row in rows if row.experiment == experiment and row.details.get("around")]
        kept = [name for name in SHOWN if any(name in row.details["around"] for row in own)]
        yield f"{experiment}: around a change", figure(own, kept)


def figure(rows: Sequence[Row], shown: Sequence[str]) -> go.Figure:
    """Level and metaparameters around a change.

    Lines are interquartile means over runs; bands hold the middle half of the runs.

    Args:
        rows: Of one experiment; those that are not in `AT_FIRST` wait in the legend.
        shown: `"level"` and names of metaparameters, a panel each.
    """
    drawn = make_subplots(rows=len(shown), shared_xaxes=True, vertical_spacing=0.05)
    for row in rows:
        for place, name in enumerate(shown):
            if curve := row.details["around"].get(name):
                _draw(drawn, curve, row.row, _colour(row.row), place + 1)
    for place, name in enumerate(shown):
        scale = "linear" if name in LINEAR else "log"
        drawn.update_yaxes(title_text=name.replace("_", " "), type=scale, row=place + 1, col=1)
        drawn.add_vline(x=0, line_dash="dot", line_color="grey", row=place + 1, col=1)  # pyright: ignore
    drawn.update_xaxes(title_text="environment steps after the change", row=len(shown), col=1)
    return drawn.update_layout(template="plotly_white", height=220 * len(shown) + 80)


def _colour(name: str) -> str:
    """The same in every figure; neighbours in the list of methods are far apart on the wheel."""
    known = ["best_fixed", *KNOWN]
    return f"hsl({360 * known.index(name) * 7 // len(known) % 360}, 65%, 42%)"


def _draw(drawn: go.Figure, curve: dict, name: str, colour: str, place: int) -> None:
    ends = [*curve["high"], *reversed(curve["low"])]
    offsets = [*curve["offsets"], *reversed(curve["offsets"])]
    style = {"legendgroup": name, "visible": True if name in AT_FIRST else "legendonly"}
    band = go.Scatter(
        x=offsets, y=ends, fill="toself", line_width=0, fillcolor=colour, opacity=0.15, hoverinfo="skip",
        showlegend=False, **style,
    )  # fmt: skip
    line = go.Scatter(
        x=curve["offsets"], y=curve["middle"], name=name, line_color=colour, showlegend=place == 1, **style
    )
    drawn.add_traces([band, line], rows=place, cols=1)
