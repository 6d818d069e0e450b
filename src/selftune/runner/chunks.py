"""How the updates of a run are grouped: into rows of its log, and into chunks that are compiled as one program each.

A chunk ends where a row does, and soon enough for the next checkpoint. Where it ends follows from the number of the
update alone, so that a run that was stopped goes on in the same chunks, and few lengths of them are compiled.
"""

from typing import NamedTuple

ROWS = 500
"""A run logs about so many rows, whatever its length."""


class Chunks(NamedTuple):
    """Counted in updates."""

    updates: int
    """Of the whole run."""
    row: int
    """From one row of the log to the next."""
    checkpoint: int
    """From one checkpoint to the next, at most."""
    length: int
    """Of a chunk, at most; a row is made of whole ones where it can be."""

    def next(self, done: int) -> int:
        """Updates of the chunk that begins after so many."""
        within = done % self.row
        return min(self.length - within % self.length, self.row - within, self.updates - done)

    def ends_row(self, done: int) -> bool:
        """Whether a row of the log ends after so many updates."""
        return done % self.row == 0 or done == self.updates

    def checkpoint_is_due(self, done: int, saved: int) -> bool:
        """Whether the next chunk would be too many since the last checkpoint; none follows at the end of a run."""
        return done + self.next(done) - saved > self.checkpoint


def chunks(updates: int, at_first: int, checkpoint: int, native: bool) -> Chunks:
    """Group the updates of a run.

    Args:
        updates: Of the whole run.
        at_first: The same as it was planned: a run that is given another length keeps the length of its rows.
        checkpoint: From one checkpoint to the next, at most.
        native: Whether a chunk is one program; else updates come one by one.
    """
    row = updates_per_row(at_first)
    most = min(row, checkpoint)
    parts = (each for each in range(most, most // 2, -1) if row % each == 0)
    return Chunks(updates, row, checkpoint, next(parts, most) if native else 1)


def updates_per_row(updates: int) -> int:
    """About `ROWS` rows in a run of so many updates; all of one length where one can be found.

    A chunk of another length at the end would be one more program to compile.
    """
    least = max(1, updates // ROWS)
    return next((each for each in range(least, 2 * least + 1) if updates % each == 0), least)
