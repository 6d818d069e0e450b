"""Part `end_to_end`: environment steps a second of whole training runs, self-tuned by the default recipe over fixed.

Acting, learning, the world, logging and checkpoints; compilation is left out, for it does not grow with the run.
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.experimental.compilation_cache import compilation_cache

from selftune.experiments.overhead.measuring import Block, Measured, Say
from selftune.experiments.overhead.timing import alternate, ratio
from selftune.runner.training import train


class Case(NamedTuple):
    """A training run."""

    env: str
    agent: str
    steps: int
    settings: Mapping[str, Any] = {}
    needs: str | None = None
    """A package that the environment wants."""

    @property
    def name(self) -> str:
        """The row."""
        return f"{self.env} {self.agent}"


class Size(NamedTuple):
    """How much is measured."""

    cases: tuple[Case, ...]
    rounds: int


CASES = (
    Case("CartPole-v1", "a2c", 150_000),
    Case("CartPole-v1", "ppo", 150_000),
    Case("HalfCheetah-v5", "ppo", 80_000, needs="mujoco"),
    Case("cartpole", "a2c", 3_000_000),
    Case("cartpole", "ppo", 2_000_000),
)
REDUCED_STEPS = (60_000, 60_000, 40_000, 1_000_000, 500_000)
REDUCED = Size(tuple(case._replace(steps=n) for case, n in zip(CASES, REDUCED_STEPS, strict=True)), rounds=3)
FULL = Size(CASES, rounds=7)


def blocks(size: Size, say: Say) -> Iterator[Block]:
    """A block for each run whose environment is here."""
    for case in size.cases:
        if case.needs is not None and find_spec(case.needs) is None:
            say(f'end_to_end: no {case.env}, because {case.needs} is not here: pip install "selftune[{case.needs}]"')
            continue
        unit = "steps a second over those of the fixed agent"
        yield Block("end_to_end", (case.name,), case.steps, size.rounds, unit, partial(_measured, case, size.rounds))


def speed(case: Case, tune: Sequence[str] | None = None, seed: int = 0) -> float:
    """Environment steps a second of one run.

    From its first row, before which everything was compiled, to the last but one: the last may tell of a shorter chunk,
    which is compiled anew.

    Args:
        case: The run; long enough for three rows.
        tune: What is tuned; what the recipe chooses when omitted.
        seed: Of all randomness.
    """
    with tempfile.TemporaryDirectory() as scratch:
        settings, out = dict(case.settings), Path(scratch) / "run"
        run = train(
            case.env,
            case.agent,
            tune=tune,
            settings=settings,
            steps=case.steps,
            seed=seed,
            out=out,
            progress=False,
        )
        first, last = run.rows[0], run.rows[-2]
    return (last["step"] - first["step"]) / (last["wall_time"] - first["wall_time"])


@contextmanager
def compiled_once() -> Iterator[None]:
    """While this is open, a run that was compiled before is compiled no more; JAX keeps the programs in a folder."""
    before = jax.config.values["jax_compilation_cache_dir"]
    with tempfile.TemporaryDirectory() as folder:
        jax.config.update("jax_compilation_cache_dir", before or folder)
        compilation_cache.reset_cache()
        try:
            yield
        finally:
            jax.config.update("jax_compilation_cache_dir", before)
            compilation_cache.reset_cache()


def _measured(case: Case, rounds: int, names: Sequence[str]) -> list[Measured]:
    runs: dict[str, Callable[[], float]] = {
        "self-tuned": lambda: 1 / speed(case),
        "fixed": lambda: 1 / speed(case, tune=[]),
    }
    with compiled_once():
        seconds = alternate(runs, rounds, f"end_to_end: {case.name}", warm_up=0)
    details = {
        "steps_per_second": 1 / float(np.median(seconds["self-tuned"])),
        "steps_per_second_fixed": 1 / float(np.median(seconds["fixed"])),
    }
    return [Measured(case.name, ratio(seconds["fixed"], seconds["self-tuned"]), details)]
