"""Part `libraries`: what others take for the same work, each in the process it needs, taking turns with this one.

The same meta-gradient by torchopt, higher and torch.func: `K` Adam steps of the network of `workload`, differentiated
with respect to discount and cost of the loss. And plain PPO of Stable-Baselines3, end to end, beside ours that tunes
itself.
"""

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from selftune.errors import SettingError
from selftune.estimators import Estimator, truncated
from selftune.experiments.overhead.end_to_end import Case, compiled_once, speed
from selftune.experiments.overhead.measuring import Block, Measured, Say
from selftune.experiments.overhead.processes import worker
from selftune.experiments.overhead.timing import alternate, median_milliseconds, ratio, stopwatch
from selftune.experiments.overhead.workload import VALUES, Workload, build, other_loss
from selftune.experiments.side_by_side import cores
from selftune.metaparams import MetaParam, free
from selftune.runner.plan import agent_named
from selftune.tuning import tuner

VARIABLE = "SELFTUNE_PEERS"
"""Names a Python interpreter that has the other libraries."""
USUAL_PEERS = Path(".venv-peers/bin/python")
"""Where `make peers` puts one."""
WORKERS = Path(__file__).with_name("workers")
COMPARED = ("discount", "cost")
MIXED, REVERSE = "selftune, mixed", "selftune, reverse"
OTHERS = ("torchopt", "higher", "torch.func")


class Size(NamedTuple):
    """How much is measured."""

    networks: tuple[tuple[int, int], ...]
    """Width and batch of each meta-gradient."""
    unroll: int
    rounds: int
    run: Case
    """Our run beside the one of Stable-Baselines3."""
    runs: int
    """How often each is made."""


REDUCED = Size(((64, 64), (256, 512)), 8, rounds=15, run=Case("CartPole-v1", "ppo", 60_000), runs=3)
FULL = REDUCED._replace(rounds=30, run=Case("CartPole-v1", "ppo", 150_000), runs=7)


def blocks(size: Size, say: Say) -> Iterator[Block]:
    """A block for each meta-gradient, and one for the training run."""
    python = peers()
    if python is None:
        say(
            f"libraries: no torchopt, higher, torch.func and Stable-Baselines3, because there is no {USUAL_PEERS}: "
            f"`make peers` makes it, or {VARIABLE} names a Python interpreter that has them."
        )
        return
    for width, batch in size.networks:
        title = f"libraries: meta-gradient of {size.unroll} Adam steps, {width} wide, batch {batch}"
        measured = partial(_meta_gradients, python, width, batch, size, title)
        steps = size.unroll * batch
        yield Block(title, (MIXED, REVERSE, *OTHERS), steps, size.rounds, f"time over {MIXED}", measured)
    unit = "our steps a second, self-tuned, over those of a plain one"
    measured = partial(_training_runs, python, size)
    yield Block(f"libraries: {size.run.name}", ("Stable-Baselines3",), size.run.steps, size.runs, unit, measured)


def peers() -> Path | None:
    """The interpreter that has the other libraries; `None` where there is none.

    Raises:
        SettingError: The variable names one that does not exist.
    """
    named = os.environ.get(VARIABLE)
    if named is None:
        return USUAL_PEERS if USUAL_PEERS.exists() else None
    if not Path(named).is_file():
        raise SettingError(f"{VARIABLE}={named}: expected a Python interpreter, such as {USUAL_PEERS}; make peers.")
    return Path(named)


def _meta_gradients(
    python: Path, width: int, batch: int, size: Size, title: str, names: Sequence[str]
) -> list[Measured]:
    """The bare meta-gradient of every library; no meta-optimizer, no guards."""
    spec = {name: MetaParam(value, free) if name in COMPARED else value for name, (value, _) in VALUES.items()}
    work = build(width, batch, size.unroll, spec)
    runs: dict[str, Callable[[], float]] = {}
    gradients: dict[str, np.ndarray] = {}
    ours = {MIXED: truncated(size.unroll, "mixed"), REVERSE: truncated(size.unroll, "reverse")}
    for name, estimator in ours.items():
        function, arguments = meta_gradient(work, estimator)
        found = function(*arguments)
        gradients[name] = np.asarray([found[name] for name in COMPARED])
        runs[name] = stopwatch(function, arguments)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "workload.npz"
        np.savez(path, **arrays(work))  # pyright: ignore[reportArgumentType]
        with worker([str(python), str(WORKERS / "torch_meta_gradients.py"), str(path), str(cores())]) as ask:
            versions, others = ask("versions"), ask("gradients")
            gradients |= {name: np.asarray(gradient) for name, gradient in others.items()}
            runs |= {name: partial(ask, name) for name in others}
            seconds = alternate(runs, size.rounds, title)

    def row(name: str) -> Measured:
        off = float(np.max(np.abs(gradients[name] / gradients[MIXED] - 1)))
        details = {"milliseconds": median_milliseconds(seconds[name]), "gradient_off": off}
        version = {"version": versions[name]} if name in versions else {}
        return Measured(name, ratio(seconds[name], seconds[MIXED]), details | version)

    return [row(name) for name in names]


def meta_gradient(work: Workload, estimator: Estimator) -> tuple[Callable, tuple]:
    """One estimate as a compiled function, and its arguments."""
    tuning = tuner(work.spec, work.learner, other_loss, estimator)

    def estimate(meta, state, batches, validation, key):
        found = tuning.estimator.estimate(
            tuning.problem(state), meta.meta_params, state, meta.estimator_state, batches, validation, key
        )
        return found[0]

    return jax.jit(estimate), (tuning.init(work.state), work.state, work.batches, work.validation, jax.random.key(0))


def arrays(work: Workload) -> Mapping[str, np.ndarray]:
    """Everything that another library needs to do the same work, by name."""
    params = {f"params/{i}/{name}": leaf for i, layer in enumerate(work.state.params) for name, leaf in layer.items()}
    data = {"batches": work.batches, "validation": work.validation}
    fields = {f"{name}/{field}": leaf for name, batch in data.items() for field, leaf in batch._asdict().items()}
    constants = {name: value for name, (value, _) in VALUES.items()}
    return {name: np.asarray(leaf) for name, leaf in (params | fields | constants).items()}


def _training_runs(python: Path, size: Size, names: Sequence[str]) -> list[Measured]:
    """Whole runs with equally many environments, without compilation and warm-up."""
    num_envs = agent_named(size.run.agent)[1].num_envs
    command = [str(python), str(WORKERS / "stable_baselines.py"), size.run.env, size.run.agent, str(num_envs)]
    with worker(command) as ask, compiled_once():
        version = ask("version")
        runs: dict[str, Callable[[], float]] = {
            "ours": lambda: 1 / speed(size.run),
            "theirs": lambda: 1 / ask("steps per second"),
        }
        seconds = alternate(runs, size.runs, f"libraries: {size.run.name}", warm_up=0)
    details: dict[str, Any] = {
        "steps_per_second": 1 / float(np.median(seconds["ours"])),
        "steps_per_second_theirs": 1 / float(np.median(seconds["theirs"])),
        "version": version,
    }
    return [Measured(names[0], ratio(seconds["theirs"], seconds["ours"]), details)]
