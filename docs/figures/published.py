"""Pictures and table of the published experiments, from results/published.json.

python docs/figures/published.py        writes discounting_chain.svg and noisy_quadratic.svg beside this file and
                                        prints the table of docs/results.md
"""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from selftune.experiments.records import Records, Row

ROOT = Path(__file__).parents[2]
COLOURS = ("#b0563b", "#1f6fb2", "#2a7f3f", "#8e5ea2", "#c9a227", "#555555")
Line = tuple[str, Sequence[float], Sequence[float], str]
"""Name, x, y, colour."""


def panel(left: int, title: str, lines: Sequence[Line], low: float, high: float, marks: Sequence[tuple]) -> str:
    """One pair of axes, 300 by 180, with curves and their names beside the last point."""
    last = max(max(x) for _, x, _, _ in lines)

    def place(x: float, y: float) -> tuple[float, float]:
        return left + 300 * x / last, 220 - 180 * (min(max(y, low), high) - low) / (high - low)

    drawn = ""
    for _, xs, ys, colour in lines:
        points = " ".join("{:.1f},{:.1f}".format(*place(x, y)) for x, y in zip(xs, ys, strict=True))
        drawn += f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.6" opacity="0.85"/>\n'
    ticks = "".join(
        f'<text x="{left - 6}" y="{place(0, y)[1] + 4:.1f}" text-anchor="end" fill="#555">{text}</text>'
        for y, text in marks
    )
    axes = f'<path d="M{left},40V220H{left + 300}" fill="none" stroke="#999"/>'
    until = f'<text x="{left + 300}" y="238" text-anchor="end" fill="#555">{last:,.0f} updates</text>'
    return f'<text x="{left}" y="26" font-size="13">{title}</text>{axes}{ticks}{until}\n{drawn}'


def names(lines: Sequence[Line], left: int) -> str:
    """The legend, a line for each."""
    return "".join(
        f'<text x="{left}" y="{60 + 20 * i}" fill="{colour}" font-weight="bold">{name}</text>'
        for i, (name, _, _, colour) in enumerate(lines)
    )


def svg(body: str, width: int) -> str:
    """A white page around it."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} 250" font-family="sans-serif" font-size="12">\n'
        f'<rect width="{width}" height="250" fill="white"/>\n{body}\n</svg>\n'
    )


def discounting_chain(rows: Sequence[Row]) -> str:
    """Discount and return over updates, judged by either critic, of the longest runs there are."""
    longest = max(row.steps for row in rows)
    lines: dict[str, list[Line]] = {"discount": [], "return": []}
    for row in rows:
        judge, what = row.row.split(", ")
        if row.steps == longest:
            colour = COLOURS[0] if judge == "inner critic" else COLOURS[1]
            mean = np.mean(row.details["curves"], axis=0)
            lines[what].append((f"judged by the {judge}", row.details["updates"], mean.tolist(), colour))
    discount = panel(60, "learned discount", lines["discount"], 0.9, 1.0, [(y, f"{y:.2f}") for y in (0.9, 0.95, 1.0)])
    returns = panel(430, "return", lines["return"], 1.0, 1.1, [(y, f"{y:.2f}") for y in (1.0, 1.05, 1.1)])
    return svg(discount + returns + names(lines["discount"], 750), 930)


def noisy_quadratic(rows: Sequence[Row]) -> str:
    """The learning rate over updates, by estimator, relative to the best constant one."""
    lines = []
    for row in rows:
        if "rates" in row.details:
            ratios = np.log10(np.array(row.details["rates"]) / row.details["best_constant_rate"])
            updates = np.linspace(0, row.steps, len(ratios) + 1)[1:].tolist()
            lines.append((row.row.split(", final")[0], updates, ratios.tolist(), COLOURS[len(lines)]))
    marks = [(float(y), f"1e{y}" if y else "1") for y in (-2, -1, 0)]
    return svg(panel(60, "learning rate / best constant rate", lines, -2.0, 0.2, marks) + names(lines, 380), 540)


def table(rows: Sequence[Row]) -> str:
    """Markdown."""
    told = ["| experiment | row | steps | runs | ours [95 %] | published |", "|---|---|---|---|---|---|"]
    for row in rows:
        ours = f"{_short(row.ours)} [{_short(row.ci_low)}, {_short(row.ci_high)}]"
        told.append(f"| {row.experiment} | {row.row} | {row.steps:,} | {row.seeds} | {ours} | {row.published or ''} |")
    return "\n".join(told)


def _short(number: float) -> str:
    return f"{number:.4g}" if math.isfinite(number) else str(number)


if __name__ == "__main__":
    every = Records(ROOT / "results/published.json").rows
    for draw in (discounting_chain, noisy_quadratic):
        if of := [row for row in every if row.experiment == draw.__name__]:
            (Path(__file__).parent / f"{draw.__name__}.svg").write_text(draw(of))
    print(table(every))
