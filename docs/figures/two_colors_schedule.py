"""What a learned entropy cost does when the two colours swap their roles, and how often they may swap.

Reads `results/published.json`, as `selftune bench published` writes it.

    python docs/figures/two_colors_schedule.py        writes two_colors_schedule.svg and two_colors_flips.svg beside it
"""

from collections.abc import Sequence
from pathlib import Path

from selftune.experiments.published.two_colors import BOOTSTRAPPED, EXPERIMENT, FIXED, OURS
from selftune.experiments.published.two_colors_flips import COMPARED, RATES
from selftune.experiments.records import Records, Row

COLOURS = {
    "AC": "#7f7f7f",
    "BMG-context": "#c0392b",
    "BMG-rich": "#8e44ad",
    "MG-context": "#2471a3",
    "BMG": "#b9770e",
    "MG": "#148f77",
    FIXED: "#212f3c",
    OURS: "#d81b60",
    BOOTSTRAPPED: "#e67e22",
}
LEFT, RIGHT, WIDTH, TOP, HEIGHT, GAP = 70.0, 470.0, 760.0, 40.0, 150.0, 60.0
MIDDLE = (LEFT + RIGHT) / 2


def longest(rows: Sequence[Row], name: str) -> Row | None:
    """The row of that name with the most steps."""
    found = [row for row in rows if row.experiment == EXPERIMENT and row.row == name]
    return max(found, key=lambda row: row.steps, default=None)


def schedule(rows: Sequence[Row]) -> str:
    """Entropy cost and reward by the steps since the last swap, averaged over the swaps of the second half."""
    lines = {name: row for name in COLOURS if (row := longest(rows, name)) is not None}
    below = TOP + HEIGHT + GAP
    body = _panel(lines, "entropy_cost_around_flips", "entropy cost", TOP)
    body += _panel(lines, "reward_around_flips", "reward a step", below)
    body += _legend([(f"{name}, {row.steps / 1e6:g}M", COLOURS[name]) for name, row in lines.items()])
    for place, mark in ((LEFT, "0"), (MIDDLE, "1/2"), (RIGHT, "1")):
        body += _text(place, below + HEIGHT + 18, mark, "middle")
    body += _text(MIDDLE, below + HEIGHT + 38, "share of the time between two swaps", "middle")
    return _page("Around a swap of the two colours", body, below + HEIGHT + 54)


def flips(rows: Sequence[Row]) -> str:
    """Return by the steps between two swaps, with intervals."""
    told = {(name, every): longest(rows, f"{name}, swaps every {every}") for name in COMPARED for every in RATES}
    present = {where: row for where, row in told.items() if row is not None}
    low = min(0.0, *(row.ci_low for row in present.values()))
    high = max(0.0, *(row.ci_high for row in present.values()))
    body = _frame(low, high, "return, millions for 10M steps", TOP)
    for (name, every), row in present.items():
        middle = LEFT + (RIGHT - LEFT) * (RATES.index(every) + 0.5) / len(RATES)
        x = middle + 16 * COMPARED.index(name) - 8
        y, y_low, y_high = _heights((row.ours, row.ci_low, row.ci_high), low, high, TOP)
        body += f'<g stroke="{COLOURS[name]}" fill="{COLOURS[name]}" stroke-width="2">'
        body += f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4"/>'
        body += f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{y_low:.1f}" y2="{y_high:.1f}"/></g>'
        body += _text(middle, TOP + HEIGHT + 18, f"{every // 1000}k", "middle")
    body += _legend([(name, COLOURS[name]) for name in COMPARED])
    body += _text(MIDDLE, TOP + HEIGHT + 38, "steps between two swaps", "middle")
    return _page("How fast may the world change?", body, TOP + HEIGHT + 54)


def _text(x: float, y: float, text: str, anchor: str = "start", colour: str = "black") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{text}</text>'


def _legend(entries: Sequence[tuple[str, str]]) -> str:
    return "".join(
        _text(RIGHT + 12, TOP + 14 + 18 * index, text, colour=colour) for index, (text, colour) in enumerate(entries)
    )


def _panel(lines: dict[str, Row], key: str, title: str, top: float) -> str:
    series = {name: row.details[key] for name, row in lines.items()}
    values = [value for heights in series.values() for value in heights]
    low, high = min(0.0, *values), max(values)
    body = _frame(low, high, title, top)
    for name, heights in series.items():
        across = [LEFT + (RIGHT - LEFT) * (i + 0.5) / len(heights) for i in range(len(heights))]
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(across, _heights(heights, low, high, top), strict=True))
        body += f'<polyline points="{points}" fill="none" stroke="{COLOURS[name]}" stroke-width="2"/>'
    return body


def _frame(low: float, high: float, title: str, top: float) -> str:
    marks = [(value, y) for value, y in zip((low, 0.0, high), _heights((low, 0.0, high), low, high, top), strict=True)]
    body = _text(LEFT, top - 8, title) + '<g stroke="#bbb">'
    body += f'<line x1="{LEFT}" y1="{top}" x2="{LEFT}" y2="{top + HEIGHT}"/>'
    body += "".join(f'<line x1="{LEFT}" y1="{y:.1f}" x2="{RIGHT}" y2="{y:.1f}"/>' for _, y in marks) + "</g>"
    return body + "".join(_text(LEFT - 8, y + 4, f"{value:.2f}", "end") for value, y in dict(marks).items())


def _heights(values: Sequence[float], low: float, high: float, top: float) -> list[float]:
    return [top + HEIGHT * (high - value) / (high - low) for value in values]


def _page(title: str, body: str, height: float) -> str:
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:.0f} {height:.0f}"
 font-family="sans-serif" font-size="12">
<rect width="{WIDTH:.0f}" height="{height:.0f}" fill="white"/>
<text x="{LEFT:.0f}" y="16" font-size="14">{title}</text>
{body}
</svg>
"""


def main(results: Path = Path("results/published.json")) -> None:
    """Draw what there are rows for."""
    rows, folder = Records(results).rows, Path(__file__).parent
    if longest(rows, "BMG-context") is not None:
        (folder / "two_colors_schedule.svg").write_text(schedule(rows))
    if any(longest(rows, f"{name}, swaps every {every}") for name in COMPARED for every in RATES):
        (folder / "two_colors_flips.svg").write_text(flips(rows))


if __name__ == "__main__":
    main()
