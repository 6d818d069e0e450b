"""Published figures and ours, as tables for a terminal."""

from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Group
from rich.markup import escape
from rich.table import Table

from selftune.experiments.records import Row
from selftune.runner.readable import count


def table(rows: Sequence[Row]) -> Group:
    """A table for each experiment, as narrow as a terminal."""
    return Group(*(_narrow(name, rows) for name in dict.fromkeys(row.experiment for row in rows)))


def _narrow(experiment: str, rows: Iterable[Row]) -> Table:
    shown = Table(title=experiment, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), title_justify="left")
    shown.add_column("row", overflow="fold")
    for name in ("steps", "runs", "ours [95 %]"):
        shown.add_column(escape(name), justify="right", no_wrap=True)
    shown.add_column("published", overflow="fold")
    for row in rows:
        if row.experiment == experiment:
            interval = f" [{row.ci_low:.3g}, {row.ci_high:.3g}]" if row.seeds > 1 else ""
            ours = f"{row.ours:.3g}{interval}"
            shown.add_row(escape(row.row), count(row.steps), str(row.seeds), escape(ours), escape(row.published or ""))
    return shown
