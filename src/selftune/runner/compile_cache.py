"""Programs that were compiled once are kept for the next process: a second run begins in seconds."""

import os
from contextlib import suppress
from pathlib import Path

import jax

LARGEST = 2**30
"""Bytes of all kept programs; the longest unused go first."""


def keep_compiled() -> Path | None:
    """Keep compiled programs in the user's cache, unless somebody has said where, by `JAX_COMPILATION_CACHE_DIR`.

    Returns:
        The folder; `None` where it is another's choice, or cannot be made.
    """
    if "JAX_COMPILATION_CACHE_DIR" in os.environ or jax.config.values["jax_compilation_cache_dir"]:
        return None
    try:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "selftune" / "compiled"
        folder.mkdir(parents=True, exist_ok=True)
        tidy(folder, LARGEST)
    except (OSError, RuntimeError):  # no home, or none that is this user's
        return None
    jax.config.update("jax_compilation_cache_dir", str(folder))
    return folder


def tidy(folder: Path, largest: int) -> None:
    """Remove the longest unused files until the others come to `largest` bytes together."""
    told = []
    for file in folder.iterdir():
        with suppress(OSError):  # another process may tidy too
            facts = file.stat()
            told.append((max(facts.st_atime, facts.st_mtime), facts.st_size, file))
    total = 0
    for _, size, file in sorted(told, reverse=True):
        total += size
        if total > largest:
            with suppress(OSError):
                file.unlink()
