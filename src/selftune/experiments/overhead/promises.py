"""Figures of compiled programs that must not grow, whatever the machine; the bench checks them."""

from collections.abc import Sequence
from typing import NamedTuple

from selftune.experiments.overhead.updates import ONE_STEP, RATE_ALONE, WINDOW, Setting
from selftune.experiments.records import Row


class Promise(NamedTuple):
    """A limit on one figure of a row, or on its ratio to that of another row."""

    what: str
    setting: Setting
    row: str
    figure: str
    """Its name in the details of the row."""
    limit: float
    over: str | None = None
    """The other row."""


class Verdict(NamedTuple):
    """A promise, and what was measured."""

    promise: Promise
    measured: float

    @property
    def kept(self) -> bool:
        """Whether it is within the limit."""
        return self.measured <= self.promise.limit


MIXED, REVERSE = "truncated, mixed", "truncated, reverse"
PROMISES = (
    Promise("one step, three metaparameters: FLOPs", ONE_STEP, "truncated", "flops", 2.7),
    Promise("one step, the learning rate alone: FLOPs", RATE_ALONE, "truncated, same loss", "flops", 1.1),
    Promise("mixed mode, K = 8: FLOPs an update", WINDOW, MIXED, "flops", 3.8),
    Promise("its temporary memory over reverse mode's", WINDOW, MIXED, "temporary_mib", 0.45, over=REVERSE),
)


def verdicts(rows: Sequence[Row], promises: Sequence[Promise] = PROMISES) -> list[Verdict]:
    """Of every promise whose rows are there."""

    def figure(promise: Promise, name: str) -> float | None:
        filed = promise.setting.experiment, name
        return next((row.details[promise.figure] for row in rows if (row.experiment, row.row) == filed), None)

    found = []
    for promise in promises:
        measured, base = figure(promise, promise.row), figure(promise, promise.over) if promise.over else 1.0
        if measured is not None and base is not None:
            found.append(Verdict(promise, measured / base))
    return found
