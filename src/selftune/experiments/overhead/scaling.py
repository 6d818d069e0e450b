"""Part `scaling`: cost against the number of metaparameters, of seeds side by side, and of devices.

Devices here are pieces of one host. What they show is that seeds are shared out and that a device more costs nothing by
itself; how much faster it gets is for the cores to say, and a program on one device uses several of them already.
"""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from typing import NamedTuple

import numpy as np

from selftune.experiments.overhead.agents import Case, steps_of_a_rollout
from selftune.experiments.overhead.measuring import Block, Measured, Say
from selftune.experiments.overhead.processes import worker
from selftune.experiments.overhead.seeds import lap, side_by_side
from selftune.experiments.overhead.timing import alternate, median_milliseconds, ratio
from selftune.experiments.overhead.updates import Setting, timed


class Size(NamedTuple):
    """How much is measured."""

    setting: Setting
    """Of the updates with more and more metaparameters:"""
    metaparameters: tuple[int, ...]
    estimators: tuple[str, ...]
    env: str
    agent: str
    """Whose seeds are side by side."""
    seeds: tuple[int, ...]
    """The first is the reference."""
    devices: tuple[int, ...]
    """The first is the reference."""
    shared: int
    """Seeds that the devices share."""
    rounds: int


REDUCED = Size(
    Setting(256, 64, 8, 1),
    metaparameters=(1, 3, 6),
    estimators=("truncated, mixed", "forward"),
    env="cartpole",
    agent="a2c",
    seeds=(1, 2, 4, 8, 16, 32, 64),
    devices=(1, 2),
    shared=16,
    rounds=10,
)
"""Mixed mode does not grow with the number of metaparameters; forward mode carries a tangent for each."""
FULL = REDUCED._replace(
    metaparameters=(1, 2, 3, 4, 5, 6), estimators=(*REDUCED.estimators, "evolution, 4 pairs"), rounds=30
)


def blocks(size: Size, say: Say) -> Iterator[Block]:
    """A block for each number of metaparameters, one for seeds, one for devices."""
    for count in size.metaparameters:
        setting = size.setting._replace(metaparameters=count)
        yield timed(setting, size.estimators, size.rounds, f"scaling: {setting}")
    names = tuple(f"seeds: {count}" for count in size.seeds)
    steps, unit = steps_of_a_rollout(Case(size.env, size.agent)), "time over that of one seed"
    yield Block(f"scaling: {size.env} {size.agent}", names, steps, size.rounds, unit, partial(_seeds, size))
    names = tuple(f"devices: {count}" for count in size.devices)
    title, unit = f"scaling: {size.env} {size.agent}, {size.shared} seeds", "time over that of one device"
    yield Block(title, names, size.shared * steps, size.rounds, unit, partial(_devices, size))


def _seeds(size: Size, names: Sequence[str]) -> list[Measured]:
    """All of them in turns, those that were measured before as well: they are the reference."""
    one = side_by_side(size.env, size.agent)
    runs = {f"seeds: {count}": lap(one, count) for count in size.seeds}
    seconds = alternate(runs, size.rounds, "scaling: seeds")
    steps = steps_of_a_rollout(Case(size.env, size.agent))
    return _rows(seconds, {f"seeds: {count}": count * steps for count in size.seeds}, names)


def _devices(size: Size, names: Sequence[str]) -> list[Measured]:
    """Each number of devices in a process of its own, which must know it from its start."""
    program = [sys.executable, "-m", "selftune.experiments.overhead.workers.sharded_seeds"]
    command = [*program, size.env, size.agent, str(size.shared)]
    with ExitStack() as open_workers:
        runs: dict[str, Callable[[], float]] = {}
        for count in size.devices:
            flags = {"XLA_FLAGS": f"--xla_force_host_platform_device_count={count}"}
            runs[f"devices: {count}"] = partial(open_workers.enter_context(worker(command, flags)), "update")
        seconds = alternate(runs, size.rounds, "scaling: devices")
    return _rows(seconds, dict.fromkeys(seconds, size.shared * steps_of_a_rollout(Case(size.env, size.agent))), names)


def _rows(seconds: Mapping[str, np.ndarray], steps: Mapping[str, int], names: Sequence[str]) -> list[Measured]:
    """Times over that of the first."""
    reference = next(iter(seconds.values()))

    def row(name: str) -> Measured:
        speed = steps[name] / float(np.median(seconds[name]))
        details = {"milliseconds": median_milliseconds(seconds[name]), "steps_per_second": speed}
        return Measured(name, ratio(seconds[name], reference), details)

    return [row(name) for name in names]
