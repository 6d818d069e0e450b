"""One writer for one run folder.

The lock is the operating system's, on an open file: it ends with the process however that ends, so that no stale lock
ever stands in the way. The file itself stays, for whoever deletes it could take the lock from under another.
"""

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from selftune.errors import RunFolderError

_FAR = 1 << 30
"""Windows locks a stretch of bytes, against reading too: one behind all that is in the file."""

_held: set[int] = set()


@contextmanager
def lock(folder: Path | str) -> Iterator[None]:
    """Hold a folder, so that no other process, thread or second opening in this process holds it too.

    Args:
        folder: made if it is not there.

    Raises:
        RunFolderError: another holds it, and the message names the process; or the folder cannot be written or its
            file system has no locks.
    """
    file = Path(folder) / ".lock"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise RunFolderError(
            f"{folder} cannot be written ({error.strerror}). Give a folder that you may write to."
        ) from error
    try:
        _take(descriptor)
    except (BlockingIOError, PermissionError) as error:
        holder = _holder(descriptor)
        os.close(descriptor)
        raise RunFolderError(
            f"{folder} is being written by {holder}; expected a folder that nobody writes. "
            "Wait until that run ends, stop it, or give another folder."
        ) from error
    except OSError as error:
        os.close(descriptor)
        raise RunFolderError(
            f"{folder} cannot be locked ({error.strerror}); expected a file system with locks, so that two runs cannot "
            "spoil each other's files. Give a folder on a local disk."
        ) from error
    _held.add(descriptor)
    _sign(descriptor)
    try:
        yield
    finally:
        if descriptor in _held:
            _held.remove(descriptor)
            os.close(descriptor)


def _take(descriptor: int) -> None:
    """Lock an open file without waiting; closing it is what unlocks it."""
    if os.name == "nt":
        import msvcrt

        os.lseek(descriptor, _FAR, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _sign(descriptor: int) -> None:
    """Write who holds the lock, for the message of the next who asks; a full disk costs only that."""
    with suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.write(descriptor, f"process {os.getpid()} on {platform.node()}".encode())


def _holder(descriptor: int) -> str:
    os.lseek(descriptor, 0, os.SEEK_SET)
    return os.read(descriptor, 200).decode(errors="replace") or "another process"


def _let_go() -> None:
    """In a forked process: drop the copies of the locks, which would outlive the process that took them."""
    while _held:
        os.close(_held.pop())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)
