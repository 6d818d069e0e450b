"""A file is replaced whole or not at all."""

import os
from contextlib import suppress
from pathlib import Path

from selftune.errors import RunFolderError


def write_whole(file: Path, data: bytes) -> Path:
    """Put the whole of `data` in place of `file`, or leave the file as it was, also when the power goes.

    A process that is killed on the way leaves a file `.<name>.<pid>.part` behind, which nobody reads.

    Raises:
        RunFolderError: It cannot be written, or its path ends in no name.
    """
    if not file.name:
        raise RunFolderError(f"{file} names a folder, expected a file. Give the name of a file in it.")
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(file)
        _sync(file.parent)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        raise RunFolderError(
            f"{file} cannot be written ({error.strerror}). Free some space, or give a folder that you may write to."
        ) from error
    return file


def _sync(folder: Path) -> None:
    """Have the names in a folder survive a power cut, where the system can open a folder."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
