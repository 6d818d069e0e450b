"""`selftune scenario …`: run one, and say what came out; or copy the beginning of a project."""

import json
from contextlib import suppress
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from selftune.errors import SettingError
from selftune.runner.replacing import write_whole
from selftune.scenarios import Ask, check, eject, tell, write_story

COLUMNS = 5
"""Of a table in a terminal; all are in the report."""


def shown(name: str, quick: bool, seed: int, out: Path, console: Console) -> None:
    """Run a scenario; sentences, tables and the page.

    Raises:
        SettingError: There is a report of the whole experiment, and a quick one was asked for.
        RunFolderError: The folder cannot be written; both are known before anything runs.
    """
    ask = Ask(quick, seed)
    check(name, ask)
    _spare(out, quick)
    under_way = write_whole(out / "under_way.txt", b"The scenario has not ended yet; a report here is older.\n")
    try:
        story = tell(name, ask, lambda line: console.print(line, highlight=False, markup=False))
    finally:
        with suppress(OSError):  # what was told, or why it was not, is worth more
            under_way.unlink()
    words = ["selftune scenario", name, *(["--quick"] if quick else []), *([f"--seed {seed}"] if seed else [])]
    page = write_story(story, out, " ".join(words))
    for told in story.tables:
        table = Table(*told.columns[:COLUMNS], title=escape(told.title))
        for row in told.rows:
            table.add_row(*map(escape, row[:COLUMNS]))
        console.print("", table, escape(told.note))
    console.print("", *map(escape, story.summary), "", sep="\n", highlight=False)
    console.print(f"report: {page}", highlight=False)


def _spare(out: Path, quick: bool) -> None:
    """Refuse to write minutes over hours."""
    told = ""
    with suppress(OSError, ValueError, LookupError, TypeError):
        told = str(json.loads((out / "results.json").read_text("utf-8"))["command"])
    if quick and told.startswith("selftune scenario") and "--quick" not in told:
        raise SettingError(f"{out} holds what `{told}` told, the whole experiment; give another folder to --out.")


def ejected(name: str, folder: Path, console: Console) -> None:
    """Copy a skeleton, and say what is there."""
    for file in eject(name, folder):
        console.print(f"wrote {file}", highlight=False)
