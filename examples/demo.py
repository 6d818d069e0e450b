"""The same bad start twice, on CartPole: one agent keeps its settings, the other tunes them while it learns.

Started at a learning rate of 1e-5, a discount of 0.8 and an entropy cost of 0.3, an agent learns next to nothing. Here
is what becomes of it when the update that uses those numbers is differentiated, and they move.
"""

import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

import selftune as st
from selftune.runner.reporting import write_report

BAD = {"learning_rate": 1e-5, "discount": 0.8, "entropy_cost": 0.3}
STEPS = 400_000


def main() -> None:
    console = Console()
    folder = Path(tempfile.mkdtemp(prefix="demo-", dir=_runs()))
    fixed = st.train("CartPole-v1", tune=[], init=BAD, steps=STEPS, out=folder / "fixed")
    tuned = st.train("CartPole-v1", init=BAD, steps=STEPS, out=folder / "self-tuned")

    table = Table(title=f"CartPole-v1, {STEPS:,} steps, the best possible return is 500", title_justify="left")
    for column in ("", "fixed", "self-tuned"):
        table.add_column(column, justify="right")
    table.add_row("return, last fifth of the steps", *(f"{run.final_return:.0f}" for run in (fixed, tuned)))
    for name, value in tuned.eta.items():
        start = tuned.config["settings"]["init"][name]
        table.add_row(name, f"{start:.4g}", f"{start:.4g} → {value:.4g}")
    console.print(table)
    page = write_report([fixed.path, tuned.path], folder / "report.html")
    console.print(f"The report, with every metaparameter over time: {page}", soft_wrap=True)


def _runs() -> Path:
    runs = Path("runs")
    runs.mkdir(exist_ok=True)
    return runs


if __name__ == "__main__":
    main()
