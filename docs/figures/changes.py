"""What happens at a change: return and metaparameters around it, averaged over changes and runs.

python docs/figures/changes.py        reads results/drift.json; writes one page for each experiment beside this file
"""

from pathlib import Path

from selftune.experiments.nonstationary.rendering import figure, markdown
from selftune.experiments.records import Records

HERE = Path(__file__).parent
RESULTS = HERE.parent.parent / "results" / "drift.json"
METHODS = ("best_fixed", "kl_adaptive", "pbt", "meta_gradient", "meta_gradient_context")
SHOWN = ("level", "learning_rate", "entropy_cost", "discount")


def draw(results: Path = RESULTS, folder: Path = HERE) -> list[Path]:
    """Write the figures of all experiments in which something changes, and the table of them all."""
    rows, written = Records(results).rows, [folder / "changes.md"]
    written[0].write_text(markdown(results) + "\n")
    for experiment in dict.fromkeys(row.experiment for row in rows if row.details.get("around")):
        written.append(folder / f"changes-{experiment.replace(' ', '-')}.html")
        figure(rows, experiment, METHODS, SHOWN).write_html(written[-1], include_plotlyjs="cdn")
    return written


if __name__ == "__main__":
    for path in draw():
        print(path)
