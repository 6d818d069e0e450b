"""What happens at a change: return and metaparameters around it, averaged over changes and runs.

python docs/figures/changes.py        reads results/drift.json; writes one picture for each experiment beside this file,
                                      and docs/results_drift.md with the tables
"""

from collections.abc import Sequence

from drawing import BLUE, GREY, HERE, ORANGE, PINK, RESULTS, beside, panels, save
from matplotlib.figure import Figure

from selftune.experiments.nonstationary.page import LINEAR
from selftune.experiments.nonstationary.rendering import markdown
from selftune.experiments.records import Records, Row

COLOURS = {"best_fixed": GREY, "kl_adaptive": ORANGE, "without_restart": BLUE, "meta_gradient": PINK}
SHOWN = ("level", "learning_rate", "entropy_cost", "discount")


def around(rows: Sequence[Row]) -> Figure:
    """A panel for the level and for each metaparameter; lines are interquartile means, bands the middle half."""
    drawn, axes = panels(len(SHOWN), 2.4, legend=1.3)
    for panel, name in zip(axes, SHOWN, strict=True):
        for row in rows:
            if curve := row.details["around"].get(name):
                style = {"color": COLOURS[row.row], "label": row.row.replace("_", " ")}
                panel.plot(curve["offsets"], curve["middle"], **style)
                panel.fill_between(curve["offsets"], curve["low"], curve["high"], color=COLOURS[row.row], alpha=0.15)
        panel.axvline(0.0, color="#999", linestyle=":")
        scale = "linear" if name in LINEAR else "log"
        panel.set(title=name.replace("_", " "), xlabel="steps after the change", yscale=scale)
    beside(drawn, axes[0])
    return drawn


def main() -> None:
    """Draw every experiment in which something changes, once the recipe was measured there."""
    rows = [row for row in Records(RESULTS / "drift.json").rows if row.details.get("around") and row.row in COLOURS]
    for experiment in dict.fromkeys(row.experiment for row in rows if row.row == "meta_gradient"):
        own = [row for row in rows if row.experiment == experiment]
        save(around(own), f"changes-{experiment.replace(' ', '-')}")
    (HERE.parent / "results_drift.md").write_text(markdown(RESULTS / "drift.json"))


if __name__ == "__main__":
    main()
