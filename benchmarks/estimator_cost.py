"""What each estimator of the meta-gradient costs, beside what the mathematics says it must.

python benchmarks/estimator_cost.py [--quick] [--out costs.json]

Operations and temporary memory are those of the compiled program and the same on every machine; times are medians of
programs that take turns. The first of `--widths`, `--batches`, `--unrolls` and `--metaparameters` make the reference;
the others replace it one at a time.
"""

import json
import os
import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jax
import tyro
from costs import Cost, measure
from peers import PYTHON, Peer, compare
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from timing import Interval, alternate, ratio, stopwatch
from variants import plain_updates, tuned_update, variants
from workload import build, first_tuned

import selftune as st

LEGEND = """\
FLOPs, floor and time are those of one inner update, in units of the plain learner's update.
FLOPs: XLA's count, loops multiplied by their iterations. Floor: the matrix products that the mathematics needs.
MiB: temporary memory of the whole program. Time: medians of programs that take turns, with a bootstrap interval.
"""
PEER_SIZES = ((64, 64), (256, 512))
PEER_UNROLL = 8


@dataclass(frozen=True)
class Arguments:
    """What each estimator of the meta-gradient costs."""

    widths: tuple[int, ...] = (256, 64)
    """Width of the layers; the first is the reference."""
    batches: tuple[int, ...] = (512, 64)
    """Transitions in a batch."""
    unrolls: tuple[int, ...] = (8, 1)
    """Inner updates in a window, K."""
    metaparameters: tuple[int, ...] = (3, 1, 6)
    """How many numbers are tuned, at most 6."""
    rounds: int = 20
    """How often each program is timed."""
    quick: bool = False
    """One small size and few rounds: under a minute, to see that it works."""
    out: Path | None = None
    """Where the figures go as JSON."""


class Setting(NamedTuple):
    """One point that is measured."""

    width: int
    batch: int
    unroll: int
    metaparameters: int

    def __str__(self) -> str:
        return f"width {self.width}, batch {self.batch}, K = {self.unroll}, {self.metaparameters} metaparameters"


class Row(NamedTuple):
    """One estimator at one setting; operations and time are those of one inner update, in plain updates."""

    estimator: str
    operations: float
    floor: float
    temporary_bytes: int
    time: Interval
    milliseconds: float


class Promise(NamedTuple):
    """A figure of the compiled program that must not grow, whatever the machine."""

    what: str
    measured: float
    limit: float


def settings(arguments: Arguments) -> list[Setting]:
    """The reference, and its neighbours along each axis."""
    axes = (arguments.widths, arguments.batches, arguments.unrolls, arguments.metaparameters)
    reference = Setting(*(axis[0] for axis in axes))
    return [reference] + [
        reference._replace(**{name: value})
        for name, axis in zip(Setting._fields, axes, strict=True)
        for value in axis[1:]
    ]


def measure_setting(setting: Setting, rounds: int, progress: Progress) -> list[Row]:
    """Compile, count and time every estimator at one setting."""
    spec = first_tuned(setting.metaparameters)
    work = build(setting.width, setting.batch, 2 * setting.unroll, spec)
    compared = variants(work, setting.unroll)
    task = progress.add_task(str(setting), total=len(compared) + 1 + rounds)

    def counted(prepare: Callable[[], tuple]) -> Cost:
        cost = measure(prepare, setting.unroll)
        progress.advance(task)
        return cost

    plain = counted(lambda: plain_updates(work, setting.unroll))
    costs = {v.name: counted(lambda v=v: tuned_update(work, v)) for v in compared}
    runs = {"plain updates": stopwatch(plain.program, plain.arguments)}
    runs |= {name: stopwatch(cost.program, cost.arguments) for name, cost in costs.items()}
    seconds = alternate(runs, rounds, lambda: progress.advance(task))
    each = seconds["plain updates"] / setting.unroll
    rows = [Row("plain updates", 1.0, 1.0, plain.temporary_bytes, ratio(each, each), 1e3 * _median(each))]
    for variant in compared:
        cost, window = costs[variant.name], variant.estimator.window
        laps = seconds[variant.name] / window
        operations = cost.flops / window / (plain.flops / setting.unroll)
        rows.append(
            Row(variant.name, operations, variant.floor, cost.temporary_bytes, ratio(laps, each), 1e3 * _median(laps))
        )
    return rows


def promises(progress: Progress) -> list[Promise]:
    """The figures of the README, from compiled programs alone: 256 wide, batch 512, Adam."""
    task = progress.add_task("promises", total=5)

    def cost(metaparameters: int, unroll: int, name: str) -> Cost:
        work = build(256, 512, unroll, first_tuned(metaparameters))
        variant = next(v for v in variants(work, unroll) if v.name == name)
        counted = measure(lambda: tuned_update(work, variant), unroll)
        progress.advance(task)
        return counted

    work = build(256, 512, 1, first_tuned(3))
    plain = measure(lambda: plain_updates(work, 1))
    progress.advance(task)
    one, rate = cost(3, 1, "truncated"), cost(1, 1, "truncated, same loss")
    mixed, reverse = cost(3, 8, "truncated, mixed"), cost(3, 8, "truncated, reverse")
    return [
        Promise("one step, three metaparameters", one.flops / plain.flops, 2.7),
        Promise("one step, learning rate alone", rate.flops / plain.flops, 1.1),
        Promise("mixed mode, K = 8, for each update", mixed.flops / plain.flops / 8, 3.8),
        Promise("its memory over reverse mode's", mixed.temporary_bytes / reverse.temporary_bytes, 0.45),
    ]


def rows_table(setting: Setting, rows: list[Row]) -> Table:
    table = _table(f"{setting}", "each update of", "FLOPs", "floor", "MiB", "time [95 %]", "ms")
    for row in rows:
        memory = f"{row.temporary_bytes / 2**20:.2f}"
        numbers = f"{row.operations:.2f}", f"{row.floor:.2f}", memory, str(row.time), f"{row.milliseconds:.3f}"
        table.add_row(row.estimator, *numbers)
    return table


def peers_table(peers: list[Peer]) -> Table:
    title = f"Other libraries, the same work: {PEER_UNROLL} Adam steps, two metaparameters"
    table = _table(title, "", "size", "ms", "time over ours [95 %]", "gradient off")
    for peer in peers:
        size = f"{peer.width} wide, batch {peer.batch}"
        table.add_row(peer.name, size, f"{peer.milliseconds:.2f}", str(peer.slower), f"{peer.disagreement:.1%}")
    return table


def promises_table(kept: list[Promise]) -> Table:
    table = _table("Promises: 256 wide, batch 512, Adam", "", "measured", "at most", "kept")
    for promise in kept:
        verdict = "yes" if promise.measured <= promise.limit else "NO"
        table.add_row(promise.what, f"{promise.measured:.3f}", f"{promise.limit:.2f}", verdict)
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for index, column in enumerate(columns):
        table.add_column(column, justify="right" if index else "left", no_wrap=True)
    return table


def machine() -> dict[str, Any]:
    """What the times belong to."""
    return {
        "device": jax.devices()[0].device_kind,
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
        "jax": jax.__version__,
        "selftune": st.__version__,
    }


def main(arguments: Arguments) -> None:
    """Print every table, write the JSON; exit with 1 when a promise is broken."""
    console = Console()
    if arguments.quick:
        arguments = Arguments((64,), (64,), (4, 1), (3,), rounds=5, out=arguments.out)
    console.print(LEGEND)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    measured, peers = [], []
    with Progress(*columns, console=console, transient=True) as progress:
        for setting in settings(arguments):
            rows = measure_setting(setting, arguments.rounds, progress)
            measured.append((setting, rows))
            console.print(rows_table(setting, rows), "")
        if PYTHON.exists():
            for width, batch in PEER_SIZES:
                task = progress.add_task(f"other libraries, width {width}, batch {batch}", total=arguments.rounds)
                peers += compare(width, batch, PEER_UNROLL, arguments.rounds, lambda task=task: progress.advance(task))
            console.print(peers_table(peers), "")
        else:
            console.print("No comparison with torchopt, higher and torch.func: `make peers` would add it.\n")
        kept = promises(progress)
        console.print(promises_table(kept))
    if arguments.out is not None:
        figures = {
            "machine": machine(),
            "arguments": asdict(arguments) | {"out": None},
            "settings": [s._asdict() | {"estimators": [_plain(row) for row in rows]} for s, rows in measured],
            "peers": [_plain(peer) for peer in peers],
            "promises": [_plain(promise) for promise in kept],
        }
        arguments.out.write_text(json.dumps(figures, indent=2) + "\n")
        console.print(f"Written to {arguments.out}.")
    raise SystemExit(any(promise.measured > promise.limit for promise in kept))


def _plain(row: NamedTuple) -> dict[str, Any]:
    return {name: value._asdict() if isinstance(value, Interval) else value for name, value in row._asdict().items()}


def _median(seconds: Any) -> float:
    return float(sorted(seconds)[len(seconds) // 2])


if __name__ == "__main__":
    main(tyro.cli(Arguments))
