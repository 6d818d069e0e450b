"""A schedule as a figure: one panel for each field that changes, and where it changes."""

from typing import Any

import numpy as np

from selftune.envs.drift.schedule import Drift, whole
from selftune.errors import SettingError

BOUNDARIES = 100
"""More regimes than these are not marked one by one."""


def figure(drift: Drift, steps: int, points: int = 2000) -> Any:
    """Draw a schedule over environment steps.

    Args:
        drift: What changes; at least one field.
        steps: How far.
        points: About how many points a curve has.

    Returns:
        A `plotly.graph_objects.Figure`.

    Raises:
        SettingError: Nothing changes, or no steps.
    """
    if not drift.changes:
        raise SettingError("This drift changes nothing, there is nothing to draw; expected at least one change.")
    whole("steps", steps, 1)
    from plotly.subplots import make_subplots

    regimes = drift.regimes(steps)
    edges = [edge for begin, end in regimes for edge in (begin, end - 1)] if len(regimes) <= points else []
    at = np.unique([*np.linspace(0, steps - 1, points).astype(np.int64), *edges])
    drawn = make_subplots(rows=len(drift.changes), shared_xaxes=True, vertical_spacing=0.06)
    for row, change in enumerate(drift.changes, start=1):
        jumps = change.kind in ("abrupt", "random_walk")
        levels = [float(drift.level(change, int(step))) for step in at]
        drawn.add_scatter(
            x=at, y=levels, name=change.field, line={"shape": "hv" if jumps else "linear", "width": 2}, row=row, col=1
        )
        unit = "factor of " if change.factors is not None else ""
        drawn.update_yaxes(title_text=unit + change.field, row=row, col=1)
    if len(regimes) <= BOUNDARIES:
        for begin, _ in regimes[1:]:
            drawn.add_vline(begin, line={"width": 1, "dash": "dot", "color": "#888"})
    drawn.update_xaxes(title_text="environment steps", row=len(drift.changes), col=1)
    return drawn.update_layout(showlegend=False, template="plotly_white", height=120 + 180 * len(drift.changes))
