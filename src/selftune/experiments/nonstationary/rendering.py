"""Results of protocol N for people: a table in the terminal, and one in Markdown."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from rich import box
from rich.console import Group
from rich.table import Table

from selftune.experiments.records import Records, Row

HEADS = (
    "method",
    "score",
    "95 % interval",
    "mean",
    "lower quartile",
    "dead",
    "lost",
    "back",
    "steps until back",
    "regret",
)
LEGEND = """0 is the random policy, 1 the best single fixed setting in hindsight, by regime; the oracle is the best
setting of each regime, trained in that regime alone. Lost: of all changes before which something had been learned (a
score of 0.2), those after which the level fell under nine tenths of what it was; back: of these, those after which that
was reached again in time, and the median of the steps until then. (Empty in rows that were measured before this was
told apart: what they have instead, `recovered` in the file, counts also who lost nothing, or had nothing to lose.)
Regret: to the best fixed setting, in units of the level (a return, or a reward a step)."""
NARROW = (0, 1, 2, 4, 5, 6, 7, 8)
"""Of `HEADS`, what a terminal has room for."""
HIGHEST_BAR = 1.2


def bar(oracle: float) -> float:
    """What protocol N asks for: 1.2, or half of the way from the best fixed setting to an oracle that is nearer."""
    return min(HIGHEST_BAR, 1.0 + 0.5 * max(oracle - 1.0, 0.0))


def table(rows: Sequence[Row]) -> Group:
    """A table for each experiment, as narrow as a terminal."""
    return Group(*(_narrow(name, rows) for name in dict.fromkeys(row.experiment for row in rows)))


def _narrow(experiment: str, rows: Iterable[Row]) -> Table:
    shown = Table(title=experiment, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), title_justify="left")
    for place in NARROW:
        shown.add_column(HEADS[place], justify="left" if place == 0 else "right")
    for row in rows:
        if row.experiment == experiment:
            cells = _cells(row)
            shown.add_row(*(cells[place] for place in NARROW))
    return shown


def markdown(path: Path) -> str:
    """Every table of protocol N as a page, from the rows of a file."""
    rows = Records(path).rows
    parts = ["# Worlds that change: every row of `selftune bench drift`", "", LEGEND, ""]
    for measured in dict.fromkeys(_measured(row) for row in rows):
        parts += [*_section([row for row in rows if _measured(row) == measured]), ""]
    return "\n".join(parts)


def _measured(row: Row) -> tuple:
    """What must be the same where rows stand in one table."""
    return row.experiment, row.steps, row.seeds


def _section(rows: Sequence[Row]) -> list[str]:
    first = rows[0]
    oracle = next((f"{bar(row.ours):.2f}" for row in rows if row.row == "oracle"), "not known before the oracle")
    told = f"{first.steps:,} steps, {first.seeds} seeds, {first.details.get('agent', '')}"
    commands = ", ".join(f"`{command}`" for command in dict.fromkeys(row.command for row in rows))
    world, kind = first.experiment.split(" ", 1)
    goal = "1, lower end of the interval at least 0.95" if kind == "none" else oracle
    lines = [
        f"## {world}, {kind}",
        "",
        f"{told}. Bar: {goal}. Measured by {commands}.",
        "",
        f"| {' | '.join(HEADS)} |",
        "|---" * len(HEADS) + "|",
    ]
    return [*lines, *(f"| {' | '.join(_cells(row))} |" for row in rows)]


def _cells(row: Row) -> list[str]:
    details = row.details
    waits, share = details.get("back_steps"), details.get("back")
    return [
        row.row.replace("_", " "),
        f"{row.ours:.2f}",
        f"{row.ci_low:.2f} … {row.ci_high:.2f}",
        _number(details.get("mean"), ".2f"),
        _number(details.get("lower_quartile"), ".2f"),
        _number(details.get("dead"), ".0%"),
        _number(details.get("lost"), ".0%"),
        _number(share, ".0%"),
        "" if share is None else "never" if waits is None else f"{waits:,.0f}",
        _number(_plain(details.get("regret_to_best")), ".3g"),
    ]


def _plain(value: float | None) -> float | None:
    """Without what rounding leaves of 0."""
    return None if value is None else round(value, 4) + 0.0


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)
