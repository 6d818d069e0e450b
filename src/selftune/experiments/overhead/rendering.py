"""Rows of protocol O as tables for the terminal: one for each experiment, with the columns that its rows fill."""

from collections.abc import Iterator, Sequence

from rich import box
from rich.markup import escape
from rich.table import Table

from selftune.experiments.overhead.promises import Verdict
from selftune.experiments.records import Row

COLUMNS = {
    "flops": ("FLOPs", ".2f"),
    "floor": ("floor", ".2f"),
    "temporary_mib": ("MiB", ".2f"),
    "milliseconds": ("ms", ".3g"),
    "steps_per_second": ("steps/s", ",.0f"),
    "gradient_off": ("gradient off", ".2%"),
    "version": ("version", ""),
}
"""Details that have a column: its head, and how numbers are printed."""
LEGEND = """\
FLOPs: XLA's count in units of what the time is compared with, loops multiplied by their iterations.
Floor: the matrix products that the mathematics needs. MiB: temporary memory of the whole compiled program.
Times are medians of programs that take turns, with 95 % intervals of the ratio from resampled rounds.\
"""


def tables(rows: Sequence[Row]) -> Iterator[Table]:
    """One for each experiment, in the order of the rows."""
    for experiment in dict.fromkeys(row.experiment for row in rows):
        yield _table_of(experiment, [row for row in rows if row.experiment == experiment])


def verdicts_table(verdicts: Sequence[Verdict]) -> Table:
    """What was promised of compiled programs, and whether it holds."""
    table = _table("promises", "", "measured", "at most", "kept")
    for verdict in verdicts:
        limits = f"{verdict.measured:.3f}", f"{verdict.promise.limit:.2f}"
        table.add_row(verdict.promise.what, *limits, "yes" if verdict.kept else "[bold red]NO[/]")
    return table


def _table_of(experiment: str, rows: Sequence[Row]) -> Table:
    filled = [name for name in COLUMNS if any(name in row.details for row in rows)]
    head = rows[0].details["unit"] + (" [95 %]" if any(map(_has_width, rows)) else "")
    table = _table(experiment, "", head, *(COLUMNS[name][0] for name in filled))
    for row in rows:
        value = f"{row.ours:.2f}" + (f" [{row.ci_low:.2f}, {row.ci_high:.2f}]" if _has_width(row) else "")
        cells = (format(row.details[name], COLUMNS[name][1]) if name in row.details else "" for name in filled)
        table.add_row(escape(row.row), escape(value), *cells)
    return table


def _has_width(row: Row) -> bool:
    return row.ci_low < row.ci_high


def _table(title: str, *columns: str) -> Table:
    table = Table(title=escape(title), title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for index, column in enumerate(columns):
        table.add_column(escape(column), justify="right" if index else "left", no_wrap=True)
    return table
