"""Pictures of tracks: wealth, what followed volatility, and how far wealth fell."""

from collections.abc import Callable

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from selftune.scenarios.page import COLOURS
from selftune.scenarios.story import Picture
from selftune.scenarios.trading.measures import fallen
from selftune.scenarios.trading.trial import FIXED, TUNED, Track, Tracks

POINTS = 1200
"""Of a curve, at most."""
CRISIS = (np.datetime64("2008-09-15"), np.datetime64("2009-06-30"))
"""From the failure of Lehman Brothers to the end of the recession (NBER)."""
SMOOTHED = 20
"""Rows over which turnover is averaged in a picture."""


def crosses_the_crisis(tracks: Tracks) -> bool:
    """Whether all of the crisis is in the tracks."""
    return bool(tracks.times[0] < CRISIS[0] and CRISIS[1] < tracks.times[-1])


def wealth(tracks: Tracks) -> Picture:
    """Wealth of every way to trade, out of 1."""
    figure = _curves(tracks, lambda track: np.exp(np.log1p(track.net).cumsum(axis=1)).mean(axis=0))
    return Picture(
        f"{tracks.trial.prices.name}: wealth",
        figure.update_yaxes(type="log", title="wealth, of 1"),
        "After costs; traders are means over their first policies.",
    )


def falls(tracks: Tracks) -> Picture:
    """How far each is below its highest wealth so far."""
    figure = _curves(tracks, lambda track: fallen(track.net).mean(axis=0))
    return Picture(
        f"{tracks.trial.prices.name}: drawdown",
        figure.update_yaxes(tickformat=".0%", title="below the highest so far"),
        "The deeper, the longer the way back.",
    )


def followed(tracks: Tracks) -> Picture:
    """Realised volatility, and what the traders made of it: risk aversion, price on turnover, turnover, investment."""
    tuned = tracks.by_name[TUNED]
    year = tracks.trial.goal.periods_per_year
    panels: dict[str, Callable[[Track], np.ndarray]] = {
        "risk aversion": lambda track: track.eta["risk_aversion"],
        "turnover cost [bp]": lambda track: 1e4 * track.eta["turnover_cost"],
        "turnover a year": lambda track: _smoothed(track.turnover) * year,
        "invested": lambda track: track.invested,
    }
    figure = make_subplots(len(panels) + 1, 1, shared_xaxes=True, vertical_spacing=0.03)
    thin = _thin(tracks)
    figure.add_scatter(
        x=tracks.times[thin], y=tracks.volatility[thin], line_color=COLOURS[7], name="realised volatility", row=1, col=1
    )
    figure.update_yaxes(title="volatility", tickformat=".0%", row=1, col=1)
    for row, (title, series) in enumerate(panels.items(), 2):
        for name, colour in ((TUNED, COLOURS[0]), (FIXED, COLOURS[1])):
            for one in series(tracks.by_name[name]):
                figure.add_scatter(
                    x=tracks.times[thin],
                    y=one[thin],
                    line={"color": colour, "width": 1},
                    name=name,
                    legendgroup=name,
                    showlegend=False,
                    row=row,
                    col=1,
                )
        figure.update_yaxes(title=title, row=row, col=1)
    figure.update_yaxes(type="log", row=2, col=1)
    return Picture(
        f"{tracks.trial.prices.name}: what followed volatility",
        _through_the_crisis(tracks, figure).update_layout(height=900, showlegend=False),
        f"Blue: {len(tuned.net)} traders that tune themselves; orange: the same ones fixed. A grey band: the crisis "
        "of 2008.",
    )


def _curves(tracks: Tracks, series: Callable[[Track], np.ndarray]) -> go.Figure:
    figure, thin = go.Figure(), _thin(tracks)
    for (name, track), colour in zip(tracks.by_name.items(), COLOURS, strict=False):
        figure.add_scatter(x=tracks.times[thin], y=series(track)[thin], name=name, line={"color": colour, "width": 1.5})
    return _through_the_crisis(tracks, figure).update_layout(height=420, legend={"orientation": "h"})


def _through_the_crisis(tracks: Tracks, figure: go.Figure) -> go.Figure:
    if crosses_the_crisis(tracks):
        figure.add_vrect(x0=str(CRISIS[0]), x1=str(CRISIS[1]), fillcolor="#808890", opacity=0.15, line_width=0)
    return figure


def _thin(tracks: Tracks) -> slice:
    return slice(None, None, max(1, len(tracks.times) // POINTS))


def _smoothed(series: np.ndarray) -> np.ndarray:
    """Trailing means over `SMOOTHED` rows, of fewer at the beginning."""
    total = np.cumsum(series, axis=1)
    before = np.concatenate([np.zeros_like(total[:, :SMOOTHED]), total[:, :-SMOOTHED]], axis=1)[:, : total.shape[1]]
    return (total - before) / np.minimum(np.arange(1, total.shape[1] + 1), SMOOTHED)
