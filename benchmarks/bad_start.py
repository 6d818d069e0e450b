"""CartPole from a bad start, several seeds: a fixed agent beside one that tunes itself.

    python benchmarks/bad_start.py --seeds 5 --steps 400000

Prints the final return of every run (mean over the episodes that ended in the last fifth of the steps) and writes
results/bad_start.json, from which `python docs/figures/bad_start.py` draws the README's picture.
"""

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

import selftune as st
from selftune.experiments.records import circumstances

OUT = Path(__file__).parent.parent / "results" / "bad_start.json"
START = {"learning_rate": 1e-5, "discount": 0.8, "entropy_cost": 0.3}
METHODS = {"fixed": [], "self-tuned": None}
POINTS = 60
"""Of a curve."""


def main(seeds: int = 5, steps: int = 400_000, out: Path = OUT) -> None:
    """Train, write, tabulate.

    Args:
        seeds: Runs of each kind.
        steps: Environment steps of each run.
        out: Where the results go.
    """
    command = f"python benchmarks/bad_start.py --seeds {seeds} --steps {steps}"
    results = [{**_measured(method, seeds, steps), "command": command, **circumstances()} for method in METHODS]
    out.write_text(json.dumps(results, indent=1) + "\n")
    table = Table(title=f"CartPole-v1 from {START}, {steps:,} steps: final return")
    for column in ("", "mean", "lowest", "every seed"):
        table.add_column(column)
    for row in results:
        values = row["final_returns"]
        told = " ".join(f"{value:.0f}" for value in values)
        table.add_row(row["method"], f"{row['mean']:.0f}", f"{min(values):.0f}", told)
    Console().print(table)


def _measured(method: str, seeds: int, steps: int) -> dict[str, Any]:
    """Runs of one kind: how they ended, their returns on the way, and the paths of what they started badly with."""
    columns = {"return": "return_mean", **({} if method == "fixed" else {name: f"eta/{name}" for name in START})}
    with tempfile.TemporaryDirectory() as folder:
        runs = [
            st.train("CartPole-v1", tune=METHODS[method], init=START, steps=steps, seed=seed, out=f"{folder}/{seed}")
            for seed in range(seeds)
        ]
        curves = {name: [_curve(run, column) for run in runs] for name, column in columns.items()}
    finals = [run.final_return or 0.0 for run in runs]
    return {
        "method": method, "steps": steps, "final_returns": finals, "mean": float(np.mean(finals)), "curves": curves,
    }  # fmt: skip


def _curve(run: st.Run, column: str) -> Sequence[Sequence[float]]:
    """Steps and values of a column of the metrics, averaged over equal stretches of the run."""
    points = np.array([(row["step"], row[column]) for row in run.rows if row.get(column) is not None])
    means = np.array([stretch.mean(axis=0) for stretch in np.array_split(points, min(POINTS, len(points)))])
    return [[float(f"{value:.4g}") for value in of] for of in means.T]


if __name__ == "__main__":
    tyro.cli(main)
