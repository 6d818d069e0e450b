"""Lines in bands, as the pictures of all scenarios have them."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float


def band(
    figure: go.Figure, x: Float[np.ndarray, " P"], values: Float[np.ndarray, "N P"], name: str, colour: str
) -> None:
    """The mean of `N` curves, and two standard errors about it."""
    middle, error = values.mean(axis=0), 2.0 * values.std(axis=0) / np.sqrt(len(values))
    ribbon(figure, x, middle - error, middle, middle + error, name, colour)


def ribbon(
    figure: go.Figure,
    x: Sequence | np.ndarray,
    low: np.ndarray,
    middle: np.ndarray,
    high: np.ndarray,
    name: str,
    colour: str,
) -> None:
    """A line in a band of its colour."""
    xs, ys = np.concatenate([x, x[::-1]]), np.concatenate([high, low[::-1]])
    figure.add_scatter(
        x=xs, y=ys, fill="toself", line_width=0, fillcolor=colour, opacity=0.15, hoverinfo="skip", showlegend=False,
        legendgroup=name,
    )  # fmt: skip
    figure.add_scatter(x=x, y=middle, name=name, line_color=colour, legendgroup=name)
