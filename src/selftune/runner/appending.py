"""A file grows by whole records or not at all."""

import os
from io import FileIO
from pathlib import Path


def append(file: Path, record: bytes) -> None:
    """Write `record` at the end of `file`; the first record makes the file and its folder.

    Nothing is buffered or kept open: a reader sees the record as soon as this returns, and the record that meets a
    full disk is the one that says so.

    Raises:
        OSError: the record could not be written in full; the file ends where it ended before.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with FileIO(file, "a") as stream:
        end = stream.seek(0, os.SEEK_END)
        rest = memoryview(record)
        try:
            while rest:
                rest = rest[stream.write(rest) :]
        except OSError:
            stream.truncate(end)
            raise
