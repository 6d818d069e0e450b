"""How the numbers of the two-colors tables were chosen: runs on tuning seeds, which no table uses.

    python benchmarks/two_colors_tuning.py [--only conventions fixed BMG-context …] [--steps 1500000] [--out …]

Every sweep is one compiled program in which the grid rides as data. Goes on where it stopped: finished sweeps are in
the file, the one under way beside it.
"""

import functools
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tyro
from rich.console import Console

from selftune import estimators
from selftune.experiments.published.two_colors import (
    BOOTSTRAPPED,
    DEFAULTS,
    FIXED,
    FULL,
    OURS,
    PLAIN,
    TUNING_SEEDS,
    bootstrapped,
    contextual_cost,
    lines,
)
from selftune.experiments.published.two_colors_agent import Agent, Method, agent
from selftune.experiments.published.two_colors_q import Q_DEFAULTS, q_agent, q_lines
from selftune.experiments.published.two_colors_runs import run, state_file
from selftune.experiments.published.two_colors_stream import Stream

CONTEXT_RATES, SCALAR_RATES, EXPLORATION_RATES = (1e-4, 3e-4), (1e-3, 1e-2), (1e-2, 1e-3, 1e-4)
SOFT = Q_DEFAULTS._replace(softness=0.1, floor=1e-3)
"""A policy for which small differences of values are ties: what was tried first."""
CLIPS = "max_grad_norm+critic_max_grad_norm"
WINDOWS = ((1, 8), (3, 8), (6, 8), (1, 16), (3, 16), (6, 16))
"""Updates that are differentiated, and updates to the target, of bootstrapping (Luketina et al. 2022, table 3)."""
SLOWER_RATES = (3e-5, 1e-5)
"""Of the table's line, whose answer to a swap becomes ever fiercer at 1e-4."""
PLAIN_WINDOWS = ((6, 1e-4), (6, 1e-5))
"""Updates that plain meta-gradients differentiate there, and meta rates, of the paper's grids; the table's line goes
through 15, as a replication does."""


class Sweep(NamedTuple):
    """Every combination of `grid`, on every tuning seed; names joined by a plus share their values."""

    name: str
    build: Any
    fixed: Mapping[str, float]
    grid: Mapping[str, Sequence[float]]
    steps: int | None = None


def in_convention(method: Method, numbers: Mapping[str, Any]) -> Agent:
    """An agent whose convention rides as data: everything placed anew at no cost, or the collected object at 0.04."""
    stream = Stream(respawn_all=numbers["anew"] > 0.5, step_cost=0.04 * (1.0 - numbers["anew"]))
    return agent(method, DEFAULTS._replace(stream=stream), numbers)


def sweeps() -> Iterator[Sweep]:
    """In the order in which their answers are needed."""
    worlds = {"anew": (0.0, 1.0), "trace_decay": (0.0, 1.0), "entropy_cost": (0.1, 0.2, 0.4)}
    yield Sweep("conventions", functools.partial(in_convention, Method()), PLAIN, worlds, 400_000)
    grids: Mapping[str, Mapping[str, Sequence[float]]] = {
        "AC": {"entropy_cost": (0.0, 0.05, 0.1, 0.2, 0.4)},
        "BMG-context": {"meta_learning_rate": CONTEXT_RATES},
        "BMG-rich": {"meta_learning_rate": CONTEXT_RATES},
        "MG-context": {"meta_learning_rate": CONTEXT_RATES},
        OURS: {"meta_learning_rate": CONTEXT_RATES},
        BOOTSTRAPPED: {CLIPS: (0.25, 0.5, 1.0, 2.0, 4.0)},
        FIXED: {"entropy_cost": (0.05, 0.1, 0.2), CLIPS: (0.5, 1.0)},
        "BMG": {"meta_learning_rate": SCALAR_RATES},
        "MG": {"meta_learning_rate": SCALAR_RATES},
    }
    for line in lines():
        slow = line.name in ("BMG-context", "BMG-rich", "MG-context", OURS)  # they begin to move after a million steps
        build = functools.partial(agent, line.method, DEFAULTS)
        yield Sweep(line.name, build, line.numbers, grids[line.name], 3_000_000 if slow else None)
    for unroll, target_steps in WINDOWS:  # whole runs, since the question is which of them tire
        method = Method(("reward",), contextual_cost(("reward",)), bootstrapped(unroll, target_steps))
        build, grid = functools.partial(agent, method, DEFAULTS), {"meta_learning_rate": CONTEXT_RATES[:1]}
        yield Sweep(f"BMG-context, {unroll} + {target_steps} updates", build, PLAIN, grid, FULL)
    slow = Method(("reward",), contextual_cost(("reward",)), bootstrapped(7, 9))
    grid = {"meta_learning_rate": SLOWER_RATES}
    yield Sweep("BMG-context, slower", functools.partial(agent, slow, DEFAULTS), PLAIN, grid, FULL)
    for unroll, rate in PLAIN_WINDOWS:
        method = Method(("reward",), contextual_cost(("reward",)), estimators.truncated(unroll), 0.1)
        build, grid = functools.partial(agent, method, DEFAULTS), {"meta_learning_rate": (rate,)}
        yield Sweep(f"MG-context, {unroll} updates, meta rate {rate}", build, PLAIN, grid, FULL)
    explorations: Mapping[str, Mapping[str, Sequence[float]]] = {
        "Q": {"epsilon": (0.3, 0.1, 0.03)},
        "Q-BMG": {"meta_learning_rate": EXPLORATION_RATES},
        "Q-BMG-context": {"meta_learning_rate": (*EXPLORATION_RATES, 1e-5, 1e-6)},
    }
    for settings, told in ((Q_DEFAULTS, ""), (SOFT, ", softness 0.1")):
        for line in q_lines(settings):
            if settings is SOFT and line.epsilon is None:
                continue  # a constant is matched to nothing
            build, grid = functools.partial(q_agent, line.epsilon, settings), explorations[line.name]
            yield Sweep(line.name + told, build, line.numbers, grid, 500_000)


def measure(sweep: Sweep, steps: int, out: Path, say: Console) -> list[dict[str, Any]]:
    """One line for each combination: its numbers, and reward a step in the whole and in the second half."""
    points = list(itertools.product(TUNING_SEEDS, *sweep.grid.values()))
    seeds = [int(point[0]) for point in points]
    varied = {name: np.full(len(points), number) for name, number in sweep.fixed.items()}
    for place, names in enumerate(sweep.grid, start=1):
        varied |= {name: np.array([point[place] for point in points]) for name in names.split("+")}
    keep = state_file(out.parent, f"tuning-{sweep.name}", varied, steps)
    outcome = run(sweep.build, varied, seeds, steps, keep, lambda told: say.print(f"{sweep.name}: {told}"))
    late = outcome.reward[:, outcome.reward.shape[1] // 2 :].mean(axis=1)
    rewards = {"whole": outcome.returns, "second_half": late, "told_last": outcome.told[:, -1]}
    numbers = [dict(zip(("seed", *sweep.grid), map(float, point), strict=True)) for point in points]
    keep.unlink(missing_ok=True)
    return [
        {**point, **{name: round(float(values[i]), 5) for name, values in rewards.items()}}
        for i, point in enumerate(numbers)
    ]


def main(
    only: tuple[str, ...] = (), steps: int = 1_500_000, out: Path = Path("results/two_colors_tuning.json")
) -> None:
    """Run the sweeps that are not in the file yet."""
    told, console = json.loads(out.read_text()) if out.exists() else {}, Console()
    for sweep in sweeps():
        if (only and sweep.name not in only) or sweep.name in told:
            continue
        told[sweep.name] = measure(sweep, sweep.steps or steps, out, console)
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(told, indent=1) + "\n")
        console.print_json(data=sorted(told[sweep.name], key=lambda line: -line["whole"]))


if __name__ == "__main__":
    tyro.cli(main)
