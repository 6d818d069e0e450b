"""Does it learn? Every agent where it belongs, self-tuned by its default recipe, against a stated bar.

A task is held when the median seed's evaluation return is at the bar and the worst at 70 % of it. Results are written
after every run, so that an interrupted bench goes on where it was.
"""

import json
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from selftune.agents.tuners import DEFAULT
from selftune.envs.opening import spaces_of
from selftune.errors import RunFolderError, SettingError, did_you_mean
from selftune.experiments.contest.methods import changed_since, constants
from selftune.runner.evaluating import evaluate_run
from selftune.runner.run_folder import write_whole
from selftune.runner.training import train
from selftune.spaces import Space

EPISODES = 20
WORST = 0.7
"""Of the bar: what the worst seed must reach; a negative bar may be missed by the same share."""


class Task(NamedTuple):
    """An agent, an environment, a budget, and what it must reach."""

    env: str
    agent: str
    steps: int
    bar: float
    seeds: int = 5
    settings: Mapping[str, Any] = {}

    @property
    def name(self) -> str:
        """How the task is called on the command line and in the results."""
        return f"{self.env}/{self.agent}"

    def actions(self) -> Space:
        """What can be done there."""
        return spaces_of(self.env)[1]

    @property
    def worst(self) -> float:
        """What every seed must reach."""
        return self.bar * WORST if self.bar > 0 else self.bar / WORST


NARROW = {"hidden": (128, 128), "batch_size": 128}
"""Of SAC: an eighth of the arithmetic of its defaults; 300 000 updates take two cores a quarter of an hour."""

TASKS = [
    Task("CartPole-v1", "a2c", 300_000, 475),
    Task("CartPole-v1", "impala", 300_000, 475),
    Task("CartPole-v1", "ppo", 300_000, 475),
    Task("CartPole-v1", "dqn", 150_000, 475),
    Task("Acrobot-v1", "a2c", 500_000, -100),
    Task("Acrobot-v1", "ppo", 500_000, -100),
    Task("Pendulum-v1", "ppo", 300_000, -250),
    Task("Pendulum-v1", "sac", 30_000, -250, settings=NARROW),
    Task("LunarLander-v3", "ppo", 1_000_000, 200),
    Task("HalfCheetah-v5", "ppo", 1_000_000, 2000, seeds=3),
    Task("HalfCheetah-v5", "sac", 300_000, 4000, seeds=3, settings=NARROW),
    Task("catch", "a2c", 200_000, 1.0),
    Task("recall", "ppo", 200_000, 1.0, settings={"memory": 32}),
]


def bench_learning(
    out: Path,
    only: Sequence[str] = (),
    seeds: int | None = None,
    say: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Run the tasks whose results are not there yet.

    Args:
        out: The results, a JSON file.
        only: Names of tasks; all when empty.
        seeds: Seeds a task, instead of its own number.
        say: Where a line after each run goes.

    Raises:
        SettingError: An unknown task, or no seed.
        RunFolderError: The file holds something else.
    """
    names = [task.name for task in TASKS]
    for name in only:
        if name not in names:
            raise SettingError(f"There is no task {name!r}; {did_you_mean(name, names)}")
    if seeds is not None and seeds < 1:
        raise SettingError(f"seeds={seeds}; expected at least 1.")
    tasks = [task for task in TASKS if not only or task.name in only]
    results = _read(out)
    for task in tasks:
        results[task.name] = _begun(task, results.get(task.name))
        for seed in range(task.seeds if seeds is None else seeds):
            if (known := results[task.name]["runs"].get(str(seed))) is not None:
                if why := _out_of_date(task, known):
                    say(f"{task.name} seed {seed}: kept, but {why}; take it out of {out} to run it again")
                continue
            ran = _run(task, seed) | constants(task.agent, task.actions(), DEFAULT)
            results |= _read(out)  # others may have written meanwhile
            results |= {known.name: _begun(known, results[known.name]) for known in tasks if known.name in results}
            told = results[task.name]
            told["runs"][str(seed)] = ran
            told |= verdict(task, [run["evaluation"] for run in told["runs"].values()])
            write_whole(out, (json.dumps(results, indent=1) + "\n").encode())
            say(f"{task.name} seed {seed}: {ran['evaluation']:.1f} (bar {task.bar:g})")
    return results


def _read(out: Path) -> dict[str, Any]:
    """What was measured before, by task."""
    try:
        told = json.loads(out.read_text()) if out.exists() else {}
        if not all({"steps", "settings", "runs"} <= known.keys() for known in told.values()):
            raise ValueError("a task without steps, settings or runs")
        return told
    except (OSError, ValueError, AttributeError) as error:
        raise RunFolderError(
            f"{out} holds no results of bench learning ({error}). Move it away to begin anew, or give another file to "
            "--out."
        ) from error


def _out_of_date(task: Task, run: Mapping[str, Any]) -> str | None:
    """Why a run is not what would be run today, as far as it tells."""
    if "recipe" not in run:
        return "it does not tell of which recipe"
    return "of an earlier recipe" if changed_since(run, task.agent, task.actions, DEFAULT) else None


def _begun(task: Task, known: dict[str, Any] | None) -> dict[str, Any]:
    """What is known of a task; nothing is where it was another one, with other steps or settings."""
    told = json.loads(json.dumps({"steps": task.steps, "bar": task.bar, "settings": dict(task.settings)}))
    if known is None or not known["runs"] or any(known[name] != told[name] for name in ("steps", "settings")):
        return told | {"runs": {}}
    return known | told | verdict(task, [run["evaluation"] for run in known["runs"].values()])


def verdict(task: Task, returns: Sequence[float]) -> dict[str, Any]:
    """Median, worst, and whether both are where they must be."""
    median, worst = float(np.median(returns)), float(np.min(returns))
    held = median >= task.bar and worst >= task.worst and len(returns) >= task.seeds
    return {"median": median, "worst": worst, "held": bool(held)}


def _run(task: Task, seed: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as scratch:
        begin = time.perf_counter()
        folder = Path(scratch) / "run"
        run = train(
            task.env,
            task.agent,
            steps=task.steps,
            seed=seed,
            settings=task.settings,
            checkpoint_every=task.steps,
            out=folder,
            progress=False,
        )
        seconds = time.perf_counter() - begin
        returns = evaluate_run(folder, episodes=EPISODES)
        return {
            "evaluation": float(returns.mean()),
            "lowest_episode": float(returns.min()),
            "training_return": run.final_return,
            "eta": run.eta,
            "seconds": round(seconds, 1),
        }
