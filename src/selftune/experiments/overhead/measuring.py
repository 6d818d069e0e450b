"""What every part is made of: blocks of programs that take turns, and the rows that come of them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from selftune.experiments.records import Records, Row, already_measured, circumstances
from selftune.experiments.statistics import Interval

Say: TypeAlias = Callable[[str], None]
"""Where a line for people goes."""


class Measured(NamedTuple):
    """One row of a block."""

    row: str
    value: Interval
    """In the block's unit, with its 95 % interval."""
    details: Mapping[str, Any] = {}
    """Whatever else was measured, as JSON takes it."""


class Block(NamedTuple):
    """Rows that are measured together, because their programs take turns."""

    experiment: str
    rows: tuple[str, ...]
    steps: int
    """Environment steps or transitions that one timed call takes."""
    rounds: int
    """How often each program is timed."""
    unit: str
    """What the values are, such as "time over plain updates"."""
    measure: Callable[[Sequence[str]], Iterable[Measured]]
    """`measure(names)`: those of the rows that are asked for; one by one where they can be known one by one."""


def missing(block: Block, records: Records[Row]) -> list[str]:
    """The rows that were not measured yet, or in fewer rounds, on another machine or with other versions."""

    def there(name: str) -> bool:
        known = already_measured(records, block.experiment, name, block.steps, block.rounds)
        return known is not None and circumstances().items() <= known.details.items()

    return [name for name in block.rows if not there(name)]


def row_of(block: Block, measured: Measured, command: str, details: Mapping[str, Any]) -> Row:
    """As it is written: `seeds` are the rounds, for a time has no seed."""
    told = {"unit": block.unit, **measured.details, **details}
    return Row(
        block.experiment, measured.row, block.steps, block.rounds, *measured.value, command=command, details=told
    )
