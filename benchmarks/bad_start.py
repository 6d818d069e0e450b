"""CartPole from a bad start, several seeds: a fixed agent beside one that tunes itself.

    python benchmarks/bad_start.py --seeds 5 --steps 400000

Prints the final return of every run (mean over the episodes that ended in the last fifth of the steps). At the sizes
above it writes results/bad_start.json and the README's picture, docs/figures/bad_start.svg; at others both go beside
the run folders. Runs that are there are not made again.
"""

import json
from pathlib import Path

import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

import selftune as st
from selftune.experiments.records import circumstances

ROOT = Path(__file__).parent.parent
START = {"learning_rate": 1e-5, "discount": 0.8, "entropy_cost": 0.3}
METHODS = {"fixed": [], "self-tuned": None}
WHOLE = (5, 400_000)
COLOURS = {"fixed": "#b0563b", "self-tuned": "#1f6fb2"}


def main(seeds: int = 5, steps: int = 400_000, out: Path = Path("runs/bad-start")) -> None:
    """Train, tabulate, draw.

    Args:
        seeds: Runs of each kind.
        steps: Environment steps of each run.
        out: Where the run folders go.
    """
    runs = {method: [_run(out, method, seed, steps) for seed in range(seeds)] for method in METHODS}
    finals = {method: [run.final_return or 0.0 for run in of] for method, of in runs.items()}
    table = Table(title=f"CartPole-v1 from {START}, {steps:,} steps: final return")
    for column in ("", "mean", "lowest", "every seed"):
        table.add_column(column)
    for method, values in finals.items():
        table.add_row(method, f"{np.mean(values):.0f}", f"{min(values):.0f}", " ".join(f"{v:.0f}" for v in values))
    Console().print(table)
    command = f"python benchmarks/bad_start.py --seeds {seeds} --steps {steps}"
    results = [
        {
            "method": method,
            "steps": steps,
            "final_returns": values,
            "mean": float(np.mean(values)),
            "command": command,
            **circumstances(),
        }
        for method, values in finals.items()
    ]
    whole = (seeds, steps) == WHOLE
    numbers, picture = (ROOT / "results", ROOT / "docs/figures") if whole else (out, out)
    numbers.mkdir(parents=True, exist_ok=True)
    (numbers / "bad_start.json").write_text(json.dumps(results, indent=2) + "\n")
    (picture / "bad_start.svg").write_text(_picture(runs, steps))


def _run(out: Path, method: str, seed: int, steps: int) -> st.Run:
    folder = out / f"{method}-{steps}-{seed}"
    if (folder / "config.json").exists():
        return st.resume(folder)
    return st.train("CartPole-v1", tune=METHODS[method], init=START, steps=steps, seed=seed, out=folder)


def _picture(runs: dict[str, list[st.Run]], steps: int) -> str:
    """Return over steps, and what the self-tuned agents made of their learning rate, discount and entropy cost."""
    every = [(method, run) for method, of in runs.items() for run in of]
    panels = [
        _panel(
            20,
            300,
            "return",
            [(m, _series(run, "return_mean")) for m, run in every],
            steps,
            0,
            500,
            lambda v: f"{v:.0f}",
        )
    ]
    tuned = [(m, run) for m, run in every if m == "self-tuned"]
    scales = {
        "learning_rate": ("learning rate", np.log10, -6, -2, lambda v: f"1e{v:.0f}"),
        "discount": ("horizon 1/(1 - discount)", lambda v: -np.log10(1 - v), 0, 3, lambda v: f"{10**v:.0f}"),
        "entropy_cost": ("entropy cost", np.log10, -4, 0, lambda v: f"1e{v:.0f}"),
    }
    for place, (name, (title, scale, low, high, text)) in enumerate(scales.items()):
        lines = [(m, [(s, float(scale(v))) for s, v in _series(run, f"eta/{name}")]) for m, run in tuned]
        panels.append(_panel(400 + 190 * place, 130, title, lines, steps, low, high, text))
    legend = "".join(
        f'<text x="{60 + 90 * i}" y="240" fill="{COLOURS[m]}" font-weight="bold">{m}</text>'
        for i, m in enumerate(METHODS)
    )
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 970 255" font-family="sans-serif" font-size="12">\n'
        f'<rect width="970" height="255" fill="white"/>\n{legend}\n' + "\n".join(panels) + "\n</svg>\n"
    )


def _series(run: st.Run, key: str) -> list[tuple[int, float]]:
    points = [(row["step"], row[key]) for row in run.rows if row.get(key) is not None]
    if key != "return_mean":
        return points[:: max(1, len(points) // 80)]
    groups = np.array_split(np.array(points), min(60, len(points)))
    return [(int(g[:, 0].mean()), float(g[:, 1].mean())) for g in groups]


def _panel(left, width, title, lines, steps, low, high, text) -> str:
    def place(step: float, value: float) -> str:
        y = 200 - 160 * (min(max(value, low), high) - low) / (high - low)
        return f"{left + 40 + width * step / steps:.1f},{y:.1f}"

    drawn = "".join(
        f'<polyline points="{" ".join(place(*p) for p in points)}" fill="none" stroke="{COLOURS[m]}" opacity="0.75"/>'
        for m, points in lines
    )
    marks = "".join(
        f'<text x="{left + 36}" y="{204 - 160 * i / 2}" text-anchor="end" fill="#555">'
        f"{text(low + (high - low) * i / 2)}</text>"
        for i in range(3)
    )
    axes = f'<path d="M{left + 40},40V200H{left + 40 + width}" fill="none" stroke="#999"/>'
    steps_mark = f'<text x="{left + 40 + width}" y="216" text-anchor="end" fill="#555">{steps // 1000}k steps</text>'
    return f'<text x="{left + 40}" y="28" font-size="13">{title}</text>{axes}{marks}{steps_mark}{drawn}'


if __name__ == "__main__":
    tyro.cli(main)
