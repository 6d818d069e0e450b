"""`selftune scenario …`: run one, and say what came out; or copy the beginning of a project."""

from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from selftune.runner.replacing import write_whole
from selftune.scenarios import Ask, eject, tell, write_story

COLUMNS = 5
"""Of a table in a terminal; all are in the report."""


def shown(name: str, quick: bool, seed: int, out: Path, console: Console) -> None:
    """Run a scenario; sentences, tables and the page.

    Raises:
        RunFolderError: The folder cannot be written; known before anything runs.
    """
    write_whole(out / "report.html", b"<!doctype html><title>under way</title>The scenario has not ended yet.")
    story = tell(name, Ask(quick, seed), lambda line: console.print(line, highlight=False, markup=False))
    words = ["selftune scenario", name, *(["--quick"] if quick else []), *([f"--seed {seed}"] if seed else [])]
    page = write_story(story, out, " ".join(words))
    for told in story.tables:
        table = Table(*told.columns[:COLUMNS], title=escape(told.title))
        for row in told.rows:
            table.add_row(*map(escape, row[:COLUMNS]))
        console.print("", table, escape(told.note))
    console.print("", *map(escape, story.summary), "", sep="\n", highlight=False)
    console.print(f"report: {page}", highlight=False)


def ejected(name: str, folder: Path, console: Console) -> None:
    """Copy a skeleton, and say what is there."""
    for file in eject(name, folder):
        console.print(f"wrote {file}", highlight=False)
