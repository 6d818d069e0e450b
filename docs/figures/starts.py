"""From all starts: where a method begins to fail, and whether the paths of the metaparameters meet.

python docs/figures/starts.py        reads results/robust.json; writes one picture for each environment beside this file,
                                     and docs/results_robust.md with the tables
"""

from collections.abc import Sequence

import numpy as np
from drawing import BLUE, GREY, HERE, PINK, RED, RESULTS, panels, save
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from selftune.experiments.drawing_settings import SEED_STEP, TEST, draw
from selftune.experiments.records import Records
from selftune.experiments.robust.page import LINEAR
from selftune.experiments.robust.rendering import OURS, markdown
from selftune.experiments.robust.scores import DRAWS, Score

COLOURS = {"fixed": GREY, "kl_adaptive": BLUE, OURS: PINK}
SHOWN = ("learning_rate", "critic_learning_rate", "entropy_cost", "discount", "trace_decay")


def by_start(rows: Sequence[Score]) -> Figure:
    """Above, final scores by initial values; below, the way of each metaparameter, red where the run ended badly."""
    drawn, axes = panels(len(SHOWN), 2.2, rows=2)
    above, below = axes[: len(SHOWN)], axes[len(SHOWN) :]
    for row in rows:
        starts = draw(SHOWN, row.draws, TEST + SEED_STEP * row.seed)
        for panel, name in zip(above, SHOWN, strict=True):
            style = {"s": 9, "alpha": 0.7, "color": COLOURS[row.method], "label": row.method.replace("_", " ")}
            panel.scatter(_spread(name, starts[name]), row.details["scores"], **style)
            _axis(panel, name, "x")
    above[0].set_ylabel("final score")
    above[0].legend(loc="lower left", fontsize=7, handletextpad=0.1)
    ours = next(row for row in rows if row.method == OURS)
    for panel, name in zip(below, SHOWN, strict=True):
        for way, score in zip(ours.details["eta"]["ways"][name], ours.details["scores"], strict=True):
            colour = RED if score < 0.8 else PINK
            panel.plot(ours.details["eta"]["steps"], _spread(name, np.asarray(way)), color=colour, alpha=0.5, lw=0.8)
        _axis(panel, name, "y")
        panel.set(xlabel="environment steps", ylabel=_spoken(name))
    return drawn


def _axis(panel: Axes, name: str, which: str) -> None:
    """The scale of a metaparameter's axis, and its name where it lies below."""
    scale = "linear" if name in LINEAR else "log"
    panel.set(**{f"{which}scale": scale, **({"xlabel": f"initial {_spoken(name)}"} if which == "x" else {})})


def _spoken(name: str) -> str:
    return "1 - discount" if name == "discount" else name.replace("_", " ")


def _spread(name: str, values: np.ndarray) -> np.ndarray:
    """Discounts as what is missing to 1."""
    return 1.0 - values if name == "discount" else values


def main() -> None:
    """Draw every environment, and write the tables."""
    every: list[Score] = Records(RESULTS / "robust.json", Score).rows
    chosen = [row for row in every if (row.score, row.start) == ("final", DRAWS) and row.method in COLOURS]
    for env, agent in dict.fromkeys((row.env, row.agent) for row in chosen):
        own = [row for row in chosen if (row.env, row.agent) == (env, agent)]
        save(by_start(own), f"starts-{agent}-{env}")
    (HERE.parent / "results_robust.md").write_text(markdown(RESULTS / "robust.json"))


if __name__ == "__main__":
    main()
