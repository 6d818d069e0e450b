"""Part `updates`: one update of a learner with self-tuning over one without, for every estimator.

Operations and temporary memory stand beside each time; they are those of the compiled program, and do not depend on the
machine's mood.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from selftune.experiments.overhead.costs import Cost, measure, temporary_bytes
from selftune.experiments.overhead.measuring import Block, Measured, Say
from selftune.experiments.overhead.timing import alternate, median_milliseconds, ratio, stopwatch
from selftune.experiments.overhead.variants import Variant, plain_updates, tuned_update, variants
from selftune.experiments.overhead.workload import Workload, build, first_tuned
from selftune.experiments.statistics import Interval
from selftune.runner.progress import progress

MODES = ("reverse", "reverse remat", "mixed", "mixed remat")
WINDOWED = ("truncated", *(f"truncated, {mode}" for mode in MODES), "forward", "bootstrapped")
"""The estimators whose memory is measured against the length of their window."""


class Setting(NamedTuple):
    """One size of the problem."""

    width: int
    """Of the three layers."""
    batch: int
    """Transitions."""
    unroll: int
    """Inner updates in a window, K."""
    metaparameters: int
    """How many numbers are tuned, at most 6."""

    def __str__(self) -> str:
        return f"{self.width} wide, batch {self.batch}, K = {self.unroll}, metaparameters: {self.metaparameters}"

    @property
    def experiment(self) -> str:
        """What its rows are filed under."""
        return f"updates: {self}"

    def workload(self) -> Workload:
        """With batches enough for a target that lies a window ahead."""
        return build(self.width, self.batch, 2 * self.unroll, first_tuned(self.metaparameters))

    def variants(self) -> list[Variant]:
        """The estimators that can be compared here."""
        return variants(first_tuned(self.metaparameters), self.width, self.unroll)


class Size(NamedTuple):
    """How much is measured."""

    settings: Mapping[Setting, tuple[str, ...]]
    """The estimators that are timed at each, by name; all when none is named."""
    remembering: Setting
    """Where memory is measured, and with which windows:"""
    unrolls: tuple[int, ...]
    rounds: int


WINDOW, ONE_STEP, RATE_ALONE = Setting(256, 512, 8, 3), Setting(256, 512, 1, 3), Setting(256, 512, 1, 1)
REDUCED = Size({WINDOW: (), ONE_STEP: (), RATE_ALONE: ("truncated, same loss",)}, WINDOW, (1, 8, 32), rounds=10)
SMALLER = (Setting(64, 512, 8, 3), Setting(256, 64, 8, 3), Setting(64, 64, 8, 3), Setting(64, 64, 1, 3))
FULL = Size(dict.fromkeys((WINDOW, ONE_STEP, RATE_ALONE, *SMALLER), ()), WINDOW, (1, 2, 4, 8, 16, 32), rounds=30)


def blocks(size: Size, say: Say) -> Iterator[Block]:
    """A block for each setting, and one for memory."""
    for setting, names in size.settings.items():
        yield timed(setting, names or [variant.name for variant in setting.variants()], size.rounds)
    yield memory(size.remembering, size.unrolls)


def timed(setting: Setting, names: Sequence[str], rounds: int, experiment: str | None = None) -> Block:
    """Estimators over plain updates, at one setting.

    Args:
        setting: The problem.
        names: Of variants.
        rounds: How often each is timed.
        experiment: What the rows are filed under; the setting's own when omitted.
    """
    title = experiment or setting.experiment
    measured = partial(_timed, setting, rounds, title)
    return Block(title, tuple(names), setting.unroll * setting.batch, rounds, "time over plain updates", measured)


def _timed(setting: Setting, rounds: int, title: str, names: Sequence[str]) -> list[Measured]:
    work = setting.workload()
    compared = [variant for variant in setting.variants() if variant.name in names]
    plain = measure(partial(plain_updates, work, setting.unroll))
    costs = {
        variant.name: measure(partial(tuned_update, work, variant))
        for variant in progress(compared, f"{title}: compiling")
    }
    runs = {name: stopwatch(cost.program, cost.arguments) for name, cost in {"": plain, **costs}.items()}
    seconds = alternate(runs, rounds, title)
    each = seconds[""] / setting.unroll

    def row(variant: Variant, cost: Cost) -> Measured:
        window = variant.estimator.window
        laps = seconds[variant.name] / window
        details = {
            "flops": cost.flops / window / (plain.flops / setting.unroll),
            "floor": variant.floor,
            "temporary_mib": cost.temporary_bytes / 2**20,
            "temporary_mib_plain": plain.temporary_bytes / 2**20,
            "milliseconds": median_milliseconds(laps),
            "milliseconds_plain": median_milliseconds(each),
        }
        return Measured(variant.name, ratio(laps, each), details)

    return [row(variant, costs[variant.name]) for variant in compared]


def memory(setting: Setting, unrolls: Sequence[int]) -> Block:
    """Temporary memory against the length of the window; nothing is timed."""
    title = f"updates: temporary memory, {setting.width} wide, batch {setting.batch}"
    settings = [setting._replace(unroll=unroll) for unroll in unrolls]
    programs = {
        f"{variant.name}, K = {at.unroll}": (at, variant)
        for at in settings
        for variant in at.variants()
        if variant.name in WINDOWED
    }

    def measured(names: Sequence[str]) -> Iterator[Measured]:
        for name in progress(names, f"{title}: compiling"):
            at, variant = programs[name]
            taken = temporary_bytes(partial(tuned_update, at.workload(), variant)) / 2**20
            yield Measured(name, Interval(taken, taken, taken))

    by_estimator = sorted(programs, key=lambda name: programs[name][1].name)
    return Block(title, tuple(by_estimator), setting.batch, 1, "MiB", measured)
