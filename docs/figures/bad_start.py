"""The README's picture: CartPole from a bad start, fixed and self-tuned, and what the latter found.

python docs/figures/bad_start.py        reads results/bad_start.json; writes bad_start.svg beside this file
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from drawing import BLUE, RED, RESULTS, panels, save
from matplotlib.axes import Axes

COLOURS = {"fixed": RED, "self-tuned": BLUE}
TUNED = {"learning_rate": "learning rate", "discount": "horizon, 1 / (1 - discount)", "entropy_cost": "entropy cost"}


def main() -> None:
    """Draw the returns of all runs, and the paths of the self-tuned."""
    rows = json.loads((RESULTS / "bad_start.json").read_text())
    drawn, (returns, *others) = panels(1 + len(TUNED), 2.6)
    for row in rows:
        _lines(returns, row, "return")
    returns.set(title="return", ylim=(0, 510))
    returns.legend(loc="center right")
    tuned = next(row for row in rows if row["method"] == "self-tuned")
    for panel, (name, title) in zip(others, TUNED.items(), strict=True):
        _lines(panel, tuned, name)
        panel.set(title=title, yscale="log")
    for panel in (returns, *others):
        panel.set_xticks([0, 200_000, 400_000], ["0", "200k", "400k"])
        panel.set_xlabel("environment steps")
    save(drawn, "bad_start")


def _lines(panel: Axes, row: Mapping[str, Any], name: str) -> None:
    """A line for each run, the first of them named."""
    for number, (steps, values) in enumerate(row["curves"][name]):
        values = 1.0 / (1.0 - np.asarray(values)) if name == "discount" else values
        label = row["method"] if number == 0 else None
        panel.plot(steps, values, color=COLOURS[row["method"]], alpha=0.75, lw=1.0, label=label)


if __name__ == "__main__":
    main()
