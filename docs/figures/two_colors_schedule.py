"""What a learned entropy cost does when the two colours swap their roles, and how often they may swap.

python docs/figures/two_colors_schedule.py        reads results/published.json, as `selftune bench published` writes
                                                  it; writes two_colors_schedule.svg and two_colors_flips.svg
"""

from collections.abc import Sequence

import numpy as np
from drawing import BLACK, BLUE, GREEN, GREY, ORANGE, PINK, PURPLE, RED, RESULTS, TEAL, beside, panels, save
from matplotlib.figure import Figure

from selftune.experiments.published.two_colors import BOOTSTRAPPED, EXPERIMENT, FIXED, OURS
from selftune.experiments.published.two_colors_flips import COMPARED, RATES
from selftune.experiments.records import Records, Row

COLOURS = {
    "AC": GREY,
    "BMG-context": RED,
    "BMG-rich": PURPLE,
    "MG-context": BLUE,
    "BMG": ORANGE,
    "MG": TEAL,
    FIXED: BLACK,
    OURS: PINK,
    BOOTSTRAPPED: GREEN,
}
PANELS = {"entropy_cost_around_flips": "entropy cost", "reward_around_flips": "reward a step"}


def longest(rows: Sequence[Row], name: str) -> Row | None:
    """The row of that name with the most steps."""
    found = [row for row in rows if row.experiment == EXPERIMENT and row.row == name]
    return max(found, key=lambda row: row.steps, default=None)


def schedule(rows: Sequence[Row]) -> Figure:
    """Entropy cost and reward by the time since the last swap, averaged over the swaps of the second half."""
    figure, axes = panels(2, legend=2.6)
    lines = {name: row for name in COLOURS if (row := longest(rows, name)) is not None}
    for (key, title), drawn in zip(PANELS.items(), axes, strict=True):
        for name, row in lines.items():
            values = row.details[key]
            since = (np.arange(len(values)) + 0.5) / len(values)
            drawn.plot(since, values, color=COLOURS[name], label=f"{name}, {row.steps / 1e6:g}M")
        drawn.set(title=title, xlabel="share of the time between swaps")
    beside(figure, axes[-1])
    return figure


def flips(rows: Sequence[Row]) -> Figure:
    """Return by the steps between two swaps, with intervals."""
    figure, (axes,) = panels(1, 4.5, legend=2.0)
    for name in COMPARED:
        told = {every: longest(rows, f"{name}, swaps every {every}") for every in RATES}
        found = {every: row for every, row in told.items() if row is not None}
        middle = [row.ours for row in found.values()]
        ends = [(row.ours - row.ci_low, row.ci_high - row.ours) for row in found.values()]
        spread = np.reshape(ends, (-1, 2)).T
        axes.errorbar(list(found), middle, spread, fmt="o-", capsize=3, color=COLOURS[name], label=name)
    axes.axhline(0.0, color="#ccc", linewidth=0.8)
    axes.set(title="return, millions for 10M steps", xlabel="steps between two swaps", xscale="log")
    axes.set_xticks(RATES, [f"{every // 1000}k" for every in RATES])
    axes.minorticks_off()
    beside(figure, axes)
    return figure


def main() -> None:
    """Draw what there are rows for."""
    rows = Records(RESULTS / "published.json").rows
    if longest(rows, "BMG-context") is not None:
        save(schedule(rows), "two_colors_schedule")
    if any(longest(rows, f"{name}, swaps every {every}") for name in COMPARED for every in RATES):
        save(flips(rows), "two_colors_flips")


if __name__ == "__main__":
    main()
