"""A scenario as the beginning of one's own project: its skeleton, copied."""

from importlib import resources
from pathlib import Path

from selftune.errors import SettingError
from selftune.runner.replacing import write_whole
from selftune.scenarios.catalogue import known


def eject(name: str, folder: Path) -> list[Path]:
    """Copy a scenario's skeleton.

    Args:
        name: A key of `SCENARIOS`.
        folder: Where to; made where it is missing.

    Returns:
        The files.

    Raises:
        SettingError: There is no such scenario, or the folder holds something already or cannot be made.
        RunFolderError: The folder cannot be written.
    """
    known(name)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SettingError(f"--eject got {folder}, where there is something already; name a new folder.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingError(f"--eject got {folder}, which cannot be made ({error.strerror}); name another.") from error
    skeleton = resources.files(f"selftune.scenarios.{name}") / "skeleton"
    copied = []
    for part in sorted(skeleton.iterdir(), key=lambda part: part.name):
        if part.is_file():
            copied.append(folder / part.name)
            write_whole(copied[-1], part.read_bytes())
    return copied
