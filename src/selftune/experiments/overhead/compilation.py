"""Part `compilation`: seconds from the start of a process to the first finished update of `selftune train`.

Each run is a process of its own at the agent's defaults. "Cold" nothing was compiled before; "warm" the same run filled
JAX's compilation cache, which is switched on by `JAX_COMPILATION_CACHE_DIR`.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from selftune.errors import SettingError
from selftune.experiments.overhead.agents import TUNED
from selftune.experiments.overhead.measuring import Block, Measured, Say
from selftune.experiments.statistics import bootstrap
from selftune.runner.progress import progress

STATES = ("cold", "warm")
LOOK_EVERY = 0.005
"""Seconds between two looks at what a run has logged."""


class Size(NamedTuple):
    """How much is measured."""

    cases: tuple[tuple[str, str], ...]
    """Environments and agents."""
    rounds: int


CASES = (("cartpole", "a2c"), ("cartpole", "ppo"))
REDUCED, FULL = Size(CASES, rounds=2), Size(CASES, rounds=7)


def blocks(size: Size, say: Say) -> Iterator[Block]:
    """A block for each agent."""
    for env, agent in size.cases:
        names = tuple(f"{env} {agent}, {kind}, {state}" for kind in TUNED for state in STATES)
        measured = partial(_measured, env, agent, size.rounds)
        yield Block("compilation", names, 1, size.rounds, "seconds to the first update", measured)


def _measured(env: str, agent: str, rounds: int, names: Sequence[str]) -> list[Measured]:
    """All of them in turns; what is warm needs what was cold before it."""
    seconds: dict[str, list[float]] = defaultdict(list)
    for _ in progress(range(rounds), f"compilation: {env} {agent}"):
        for kind, tune in TUNED.items():
            with tempfile.TemporaryDirectory() as cache:
                for state in STATES:
                    took = first_update(env, agent, tune, Path(cache))
                    seconds[f"{env} {agent}, {kind}, {state}"].append(took)
    return [Measured(name, bootstrap([seconds[name]], lambda laps: float(np.median(laps)))) for name in names]


def first_update(env: str, agent: str, tune: tuple[str, ...] | None, cache: Path) -> float:
    """Seconds until a run in a new process has logged its first update.

    Args:
        env: The environment.
        agent: The agent.
        tune: What is tuned; what the recipe chooses when omitted.
        cache: Where compiled programs are kept.

    Raises:
        SettingError: The run ended before.
    """
    words = ["train", env, "--agent", agent, "--steps", "1", *([] if tune is None else ["--tune", *(tune or ["none"])])]
    variables = {
        **os.environ,
        "JAX_COMPILATION_CACHE_DIR": str(cache),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    with tempfile.TemporaryDirectory() as scratch:
        rows = Path(scratch, "run", "metrics.jsonl")
        command = [sys.executable, "-m", "selftune", *words, "--out", str(rows.parent)]
        begin = time.perf_counter()
        with subprocess.Popen(command, env=variables, stdout=subprocess.DEVNULL) as process:
            while not (rows.exists() and rows.stat().st_size):
                if process.poll() is not None:
                    raise SettingError(f"{' '.join(command)} ended with status {process.returncode} and no update.")
                time.sleep(LOOK_EVERY)
            return time.perf_counter() - begin
