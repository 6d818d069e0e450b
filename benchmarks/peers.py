"""The same meta-gradient by other libraries, each in the process it needs, taking turns with this one.

Work: `K` Adam steps of the network of `workload`, differentiated with respect to discount and cost of the loss.
"""

import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from timing import Interval, alternate, ratio, stopwatch
from workload import VALUES, Workload, build, other_loss

import selftune as st
from selftune.estimators import Estimator

PYTHON = Path(__file__).parents[1] / ".venv-peers" / "bin" / "python"
WORKER = Path(__file__).with_name("peers_worker.py")
COMPARED = ("discount", "cost")


class Peer(NamedTuple):
    """One library on one size."""

    width: int
    batch: int
    name: str
    milliseconds: float
    slower: Interval
    """Its time over that of selftune's mixed mode."""
    disagreement: float
    """Largest relative difference of its meta-gradient from selftune's."""


def compare(width: int, batch: int, unroll: int, rounds: int, advance: Callable[[], object]) -> list[Peer]:
    """The bare meta-gradient of every library, alternating; no meta-optimizer, no guards."""
    spec = {name: st.MetaParam(value, st.free) if name in COMPARED else value for name, (value, _) in VALUES.items()}
    work = build(width, batch, unroll, spec)
    runs, gradients = {}, {}
    for mode in ("mixed", "reverse"):
        function, arguments = _meta_gradient(work, st.truncated(unroll, mode))
        gradient = function(*arguments)
        gradients[f"selftune, {mode}"] = np.asarray([gradient[name] for name in COMPARED])
        runs[f"selftune, {mode}"] = stopwatch(function, arguments)
    with _worker(work) as (others, ask):
        gradients |= {name: np.asarray(gradient) for name, gradient in others.items()}
        runs |= {name: lambda name=name: ask(name) for name in others}
        seconds = alternate(runs, rounds, advance)
    ours = "selftune, mixed"
    return [
        Peer(
            width,
            batch,
            name,
            1e3 * float(np.median(laps)),
            ratio(laps, seconds[ours]),
            float(np.max(np.abs(gradients[name] / gradients[ours] - 1))),
        )
        for name, laps in seconds.items()
    ]


def _meta_gradient(work: Workload, estimator: Estimator) -> tuple[Callable, tuple]:
    """One estimate as a compiled function, and its arguments."""
    tuner = st.tuner(work.spec, work.learner, other_loss, estimator)

    def estimate(meta, state, batches, validation, key):
        found = tuner.estimator.estimate(
            tuner.problem(state), meta.meta_params, state, meta.estimator_state, batches, validation, key
        )
        return found[0]

    return jax.jit(estimate), (tuner.init(work.state), work.state, work.batches, work.validation, jax.random.key(0))


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _worker(work: Workload) -> Iterator[tuple[dict[str, list[float]], Callable[[str], float]]]:
    """The other process: its meta-gradients, and a function that runs one library there once."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "workload.npz"
        np.savez(path, **_arrays(work))  # pyright: ignore[reportArgumentType]
        command = [str(PYTHON), str(WORKER), str(path), str(cores())]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            lines, answers = process.stdin, process.stdout

            def ask(name: str) -> float:
                print(name, file=lines, flush=True)
                return json.loads(answers.readline())

            yield json.loads(answers.readline()), ask
            lines.close()


def _arrays(work: Workload) -> dict[str, np.ndarray]:
    params = {f"params/{i}/{name}": leaf for i, layer in enumerate(work.state.params) for name, leaf in layer.items()}
    data = {"batches": work.batches, "validation": work.validation}
    fields = {f"{name}/{field}": leaf for name, batch in data.items() for field, leaf in batch._asdict().items()}
    constants = {name: value for name, (value, _) in VALUES.items()}
    return {name: np.asarray(leaf) for name, leaf in (params | fields | constants).items()}
