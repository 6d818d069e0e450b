"""Pictures and table of the published experiments, from results/published.json.

python docs/figures/published.py        writes discounting_chain.svg and noisy_quadratic.svg beside this file and
                                        prints the table of docs/results.md
"""

import math
from collections.abc import Sequence

import numpy as np
from drawing import BLUE, RED, RESULTS, beside, panels, save
from matplotlib.figure import Figure

from selftune.experiments.records import Records, Row


def discounting_chain(rows: Sequence[Row]) -> Figure:
    """Discount and return over updates, judged by either critic, of the longest runs there are."""
    figure, axes = panels(2, legend=2.0)
    where = dict(zip(("discount", "return"), axes, strict=True))
    for row in (row for row in rows if row.steps == max(each.steps for each in rows)):
        judge, what = row.row.split(", ")
        colour = RED if judge == "inner critic" else BLUE
        middle = np.mean(row.details["curves"], axis=0)
        where[what].plot(row.details["updates"], middle, color=colour, label=f"judged by the {judge}")
    for title, drawn in where.items():
        drawn.set(title=title, xlabel="updates")
    beside(figure, axes[-1])
    return figure


def noisy_quadratic(rows: Sequence[Row]) -> Figure:
    """The learning rate over updates, by estimator, relative to the best constant one."""
    figure, (axes,) = panels(1, 4.0, legend=1.6)
    for row in rows:
        if "rates" in row.details:
            ratios = np.array(row.details["rates"]) / row.details["best_constant_rate"]
            updates = np.linspace(0, row.steps, len(ratios) + 1)[1:]
            axes.plot(updates, ratios, label=row.row.split(", final")[0])
    axes.set(title="learning rate / best constant rate", xlabel="updates", yscale="log")
    beside(figure, axes)
    return figure


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
    every = Records(RESULTS / "published.json").rows
    for draw in (discounting_chain, noisy_quadratic):
        if of := [row for row in every if row.experiment == draw.__name__]:
            save(draw(of), draw.__name__)
    print(table(every))
