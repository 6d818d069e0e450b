"""From all starts: where a method begins to fail, and whether the paths of the metaparameters meet.

python docs/figures/starts.py        reads results/robust.json; writes one picture for each environment beside this
                                     file, and docs/results_robust.md with the tables
"""

from collections.abc import Sequence

import numpy as np
from drawing import BLACK, GREY, HERE, ORANGE, PINK, RESULTS, beside, panels, save
from matplotlib.figure import Figure

from selftune.experiments.contest.methods import SEARCHED
from selftune.experiments.drawing_settings import SEED_STEP, TEST, draw, quantity
from selftune.experiments.records import Records
from selftune.experiments.robust.page import axis_title, axis_type
from selftune.experiments.robust.rendering import OURS, markdown
from selftune.experiments.robust.scores import DRAWS, Score

COLOURS = {"fixed": GREY, "kl_adaptive": ORANGE, OURS: PINK}
WAYS = ("learning_rate", "critic_learning_rate", "entropy_cost", "discount", "trace_decay", "clip_range")
WAYS_OF_VALUES = ("epsilon", "target_mix", "temperature")
DRAWN = 16
"""Fewest draws that are worth a picture."""
POOR = 0.8
"""A run that ends below this is drawn in black."""


def by_start(rows: Sequence[Score]) -> Figure:
    """Above, final scores by initial values; below, the way of each metaparameter from all starts."""
    names = SEARCHED[rows[0].agent]
    ours = next(row for row in rows if row.method == OURS)
    steps, ways = ours.details["eta"]["steps"], ours.details["eta"]["ways"]
    moved = [name for name in (*WAYS, *WAYS_OF_VALUES) if name in ways]
    columns = max(len(names), len(moved))
    drawn, axes = panels(columns, 2.1, legend=1.2, rows=2)
    above, below = axes[:columns], axes[columns:]
    for row in rows:
        starts = draw(names, row.draws, TEST + SEED_STEP * row.seed)
        style = {"s": 9, "alpha": 0.7, "color": COLOURS[row.method], "label": row.method.replace("_", " ")}
        for panel, name in zip(above, names, strict=False):
            panel.scatter(quantity(name, starts[name]), row.details["scores"], **style)
            panel.set(xlabel=f"initial {axis_title(name)}", xscale=axis_type(name))
    above[0].set_ylabel("final score")
    for panel in (*above[len(names) :], *below[len(moved) :]):
        panel.set_visible(False)
    for panel, name in zip(below, moved, strict=False):
        for way, score in zip(ways[name], ours.details["scores"], strict=True):
            panel.plot(steps, quantity(name, np.asarray(way)), color=BLACK if score < POOR else PINK, alpha=0.5, lw=0.8)
        panel.set(xlabel="environment steps", ylabel=axis_title(name), yscale=axis_type(name))
        panel.set_xticks([0, steps[-1]], ["0", f"{round(steps[-1] / 1000)}k"])
    beside(drawn, above[0])
    return drawn


def main() -> None:
    """Draw every environment that was measured from enough draws, and write the tables."""
    every: list[Score] = Records(RESULTS / "robust.json", Score).rows
    chosen = [row for row in every if (row.score, row.start) == ("final", DRAWS) and row.method in COLOURS]
    chosen = [row for row in chosen if row.draws >= DRAWN]
    for env, agent in dict.fromkeys((row.env, row.agent) for row in chosen):
        own = [row for row in chosen if (row.env, row.agent) == (env, agent)]
        save(by_start(own), f"starts-{agent}-{env}")
    (HERE.parent / "results_robust.md").write_text(markdown(RESULTS / "robust.json"))


if __name__ == "__main__":
    main()
