"""How every picture of the documentation looks, and how it is written: SVG whose text stays text."""

from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

HERE = Path(__file__).parent
RESULTS = HERE.parents[1] / "results"
GREY, RED, BLUE, GREEN, PURPLE, ORANGE, BLACK, PINK, TEAL = (
    "#7f7f7f", "#b0563b", "#1f6fb2", "#2a7f3f", "#8e5ea2", "#e69f00", "#212f3c", "#d81b60", "#148f77",
)  # fmt: skip
mpl.use("svg")
mpl.rcParams |= {
    "svg.fonttype": "none",
    "svg.hashsalt": "selftune",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "savefig.bbox": "tight",
}


def panels(
    count: int, width: float = 3.2, height: float = 2.4, legend: float = 0.0, rows: int = 1
) -> tuple[Figure, list[Axes]]:
    """Axes side by side, row after row.

    Args:
        count: Of axes in a row.
        width: Of each, inches.
        height: Of each, inches.
        legend: Room for it, inches.
        rows: How many.
    """
    figure = Figure(figsize=(width * count + legend, height * rows), layout="constrained")
    return figure, list(figure.subplots(rows, count, squeeze=False).ravel())


def beside(figure: Figure, axes: Axes) -> None:
    """The legend of some axes to the right of all."""
    figure.legend(*axes.get_legend_handles_labels(), loc="outside right upper")


def save(figure: Figure, name: str, folder: Path = HERE) -> Path:
    """Write `name.svg`, the same bytes for the same picture."""
    path = folder / f"{name}.svg"
    figure.savefig(path, metadata={"Date": None, "Creator": None})
    return path
