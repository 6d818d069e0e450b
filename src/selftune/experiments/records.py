"""Results on disk: a list of rows, written whole after each, so that a bench that was interrupted goes on.

Several benches may write into one file: each adds its rows to those that are there by then.
"""

import json
import os
import platform
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar, runtime_checkable

import jax
import numpy as np

from selftune import __version__
from selftune.errors import RunFolderError
from selftune.runner.run_folder import write_whole


@dataclass(frozen=True)
class Row:
    """One line of a table of results."""

    experiment: str
    row: str
    """The method or setting."""
    steps: int
    """Environment steps of a run, or samples where there is no environment."""
    seeds: int
    ours: float
    ci_low: float
    ci_high: float
    command: str
    """What measures it again."""
    published: str | None = None
    """As it was printed, with its source, where there is something to stand beside."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """Whatever else was measured: scores of the runs, settings, versions, curves."""

    @property
    def key(self) -> tuple:
        """No two rows of a file have the same."""
        return self.experiment, self.row, self.steps


@runtime_checkable
class Keyed(Protocol):
    """A row of some kind: a dataclass that says what it is a row of."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def key(self) -> tuple:
        """No two rows of a file have the same."""
        ...


Kind = TypeVar("Kind", bound=Keyed)


class Records(Generic[Kind]):
    """The rows of one file, all of one kind; at most one for each key."""

    def __init__(self, path: Path, kind: Callable[..., Kind] = Row):
        """Read what is there.

        Args:
            path: A file of JSON, a list of objects; none yet is an empty one.
            kind: What a row is.

        Raises:
            RunFolderError: The file is no list of rows.
        """
        self.path, self._kind = path, kind
        self._writing = threading.Lock()
        self.rows = self._read()

    def find(self, *key: Any) -> Kind | None:
        """The row of that key, where it was measured already."""
        return next((told for told in self.rows if told.key == key), None)

    def add(self, row: Kind) -> None:
        """Add a row, or put it in the place of an earlier one; from any thread.

        Raises:
            RunFolderError: The file has become something else.
        """
        with self._writing:
            rows = {told.key: told for told in self.rows}
            rows |= {told.key: told for told in self._read()}
            rows[row.key] = row
            self.rows = list(rows.values())
            write_whole(self.path, (json.dumps([asdict(told) for told in self.rows], indent=1) + "\n").encode())

    def _read(self) -> list[Kind]:
        try:
            told = json.loads(self.path.read_text()) if self.path.exists() else []
            return [self._kind(**row) for row in told]
        except (OSError, TypeError, ValueError) as error:
            raise RunFolderError(
                f"{self.path} holds no rows of results ({error}). Move it away to begin anew."
            ) from error


def tell_kept(kept: int, count: int, path: Path, say: Callable[[str], None]) -> None:
    """Say how many of the rows that were asked for were measured before, if any."""
    if kept:
        say(
            f"{kept} of {count} rows were in {path} before, and are shown as they stand there. To measure them again, "
            "give another file to --out."
        )


def already_measured(records: Records[Row], experiment: str, row: str, steps: int, seeds: int) -> Row | None:
    """The row, where it was measured with so many seeds or more; one of fewer is to be measured again, in its place."""
    known = records.find(experiment, row, steps)
    return known if known is not None and known.seeds >= seeds else None


def significant(values: Any, digits: int = 6) -> list[float]:
    """Numbers of any shape as one list, to so many digits: as they go to disk."""
    return [float(f"{value:.{digits}g}") for value in np.asarray(values, float).ravel()]


def circumstances() -> dict[str, str]:
    """Versions and machine, for the details of a row."""
    machine = f"{platform.machine()}, {os.cpu_count()} cores, {jax.default_backend()}"
    versions = f"selftune {__version__}, jax {jax.__version__}, Python {platform.python_version()}"
    return {"versions": versions, "machine": machine}
