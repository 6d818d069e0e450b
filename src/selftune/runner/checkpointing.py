"""Checkpoints: the whole state of a run, written while training goes on, and found again whole.

    checkpoints/step-000000409600.safetensors

One file is one checkpoint, and it is there only when all of it is. Its metadata holds the format, what the run says of
itself, and a SHA-256 of everything, so that a torn or altered file is noticed: against accidents, not against forgers.
Loading executes nothing.
"""

import hashlib
import json
import logging
import re
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from selftune.errors import CheckpointError, RunFolderError, SettingError
from selftune.runner import strict_json
from selftune.runner.arrays import pack, unpack
from selftune.runner.replacing import write_whole
from selftune.types import PyTree, Shaped

FORMAT = "selftune checkpoint 1"

_NAME = re.compile(r"step-(\d{12,})\.safetensors")
_logger = logging.getLogger("selftune")


class Checkpoint(NamedTuple):
    """What `Checkpoints.latest` found."""

    step: int
    """Environment steps when it was saved."""
    tree: PyTree
    """Bit for bit what was saved."""
    facts: dict[str, Any]
    """What was saved beside it, as JSON says it."""


class Checkpoints:
    """The checkpoints of one run folder. One process writes; see `selftune.runner.locking`.

    Args:
        folder: the run folder; nothing is made in it before the first save.
        keep: how many of the newest to keep, at least 1. With 1 a disk that damages the newest has taken the run.

    Raises:
        SettingError: keep is below 1.
    """

    def __init__(self, folder: Path | str, keep: int = 3):
        if keep < 1:
            raise SettingError(f"Checkpoints(keep={keep}): expected how many to keep, at least 1.")
        self._folder = Path(folder) / "checkpoints"
        self._keep = keep
        self._writer = ThreadPoolExecutor(1, "selftune-checkpoint")
        self._pending: Future[bool] | None = None

    def save(self, step: int, tree: PyTree, facts: Mapping[str, Any]) -> None:
        """Copy the state to host memory, and write it from there while training goes on.

        At most one copy is held: a save waits for the one before. When the file is whole, the oldest beyond `keep` are
        deleted, and with them any at a later step: they were passed over as damaged, or belong to a course that a
        resumed run left. A write that fails is told in a warning and costs this checkpoint only.

        Args:
            step: environment steps so far, 0 or more.
            tree: JAX and NumPy arrays and typed random keys.
            facts: whatever else is worth knowing; what is not finite becomes null, tuples become lists, and what JSON
                cannot say text.

        Raises:
            CheckpointError: the tree holds what cannot be stored.
        """
        self.wait()
        facts = {"step": int(step), "facts": strict_json.plain(facts)}
        self._pending = self._writer.submit(self._write, int(step), pack(tree), facts)

    def wait(self) -> bool:
        """Return when the save before, if any, is on disk or has failed: whether it is there."""
        pending, self._pending = self._pending, None
        return pending is None or pending.result()

    def finish(self, step: int, tree: PyTree, facts: Mapping[str, Any]) -> None:
        """Save for the last time, and wait for it.

        Raises:
            CheckpointError: the tree holds what cannot be stored, or the file cannot be written.
        """
        self.save(step, tree, facts)
        if not self.wait():
            raise CheckpointError(
                f"{self._file(step)} could not be written, and it is the last: what was learned since the checkpoint "
                "before it is lost. Free some space, and resume the run."
            )

    def close(self) -> None:
        """Wait for the last save and end the thread; nothing can be saved afterwards."""
        self._writer.shutdown()
        self.wait()

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def steps(self) -> list[int]:
        """The steps of the checkpoints on disk, ascending."""
        names = (_NAME.fullmatch(file.name) for file in self._folder.glob("step-*"))
        return sorted(int(name[1]) for name in names if name)

    def latest(self, example: PyTree) -> Checkpoint:
        """Load the newest whole checkpoint; a damaged one is told in a warning and passed over.

        Args:
            example: the structure, shapes and dtypes of the state: arrays, or what `jax.eval_shape` gives.

        Returns:
            `(step, tree, facts)`.

        Raises:
            CheckpointError: there is no whole checkpoint, or the newest is of another kind of run.
        """
        self.wait()
        steps = self.steps()
        for step in reversed(steps):
            try:
                arrays, told = read_arrays(self._file(step))
                if told.get("step") != step:
                    raise _DamagedError(f"{self._file(step)} was saved at step {told.get('step')}, and renamed.")
            except _DamagedError as damage:
                _logger.warning("%s The checkpoint before it is tried.", damage)
            else:
                return Checkpoint(step, unpack(example, arrays), told["facts"])
        found = f"{len(steps)} were found, all damaged" if steps else "none was found"
        raise CheckpointError(
            f"{self._folder} holds no whole checkpoint; {found}. "
            "Give the folder of a run that has saved one, or begin the run anew in a folder of its own."
        )

    def _file(self, step: int) -> Path:
        return self._folder / f"step-{step:012d}.safetensors"

    def _write(self, step: int, arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> bool:
        """Whether it was written."""
        try:
            write_arrays(self._file(step), arrays, facts)
        except (CheckpointError, MemoryError) as error:
            _logger.warning("No checkpoint at step %d: %s Training goes on; the next save tries again.", step, error)
            return False
        self._tidy(step)
        return True

    def _tidy(self, step: int) -> None:
        steps = self.steps()
        kept = [before for before in steps if before <= step][-self._keep :]
        torn = self._folder.glob(".step-*.part")
        for file in (*map(self._file, set(steps) - set(kept)), *torn):
            with suppress(OSError):
                file.unlink()


def write_arrays(file: Path, arrays: Mapping[str, Shaped[np.ndarray, "..."]], facts: Mapping[str, Any]) -> Path:
    """Write arrays, facts and their SHA-256 to one file; an earlier file of that name stays whole until then.

    Args:
        file: its folder is made if it is not there.
        arrays: what `pack` gives.
        facts: as JSON says them, see `Checkpoints.save`.

    Raises:
        CheckpointError: the file cannot be written.
    """
    from safetensors.numpy import save

    about = json.dumps(strict_json.plain(facts), allow_nan=False)
    metadata = {"format": FORMAT, "about": about, "sha256": _digest(FORMAT, about, arrays)}
    try:
        return write_whole(file, save(dict(arrays), metadata))
    except RunFolderError as error:
        raise CheckpointError(str(error)) from error


def read_arrays(file: Path) -> tuple[dict[str, Shaped[np.ndarray, "..."]], dict[str, Any]]:
    """Read what `write_arrays` wrote.

    Returns:
        `(arrays, facts)`.

    Raises:
        CheckpointError: there is no such file, it is damaged, or another version of selftune wrote it.
    """
    from safetensors import SafetensorError, safe_open

    if not file.is_file():
        raise CheckpointError(f"{file} does not exist; expected a file that selftune saved. Look for its name again.")
    try:
        with safe_open(file, "numpy") as stored:
            metadata = stored.metadata() or {}
            arrays = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, AttributeError) as error:  # AttributeError: a dtype unknown to NumPy
        raise _DamagedError(
            f"{file} is damaged ({error}); expected what selftune saved. Take an earlier one."
        ) from error
    form, about = metadata.get("format", ""), metadata.get("about", "")
    if "sha256" not in metadata:
        raise _DamagedError(
            f"{file} bears no SHA-256: it is damaged, or no checkpoint and nothing that OnlineAgent.save wrote. "
            "Take one of these."
        )
    if metadata.get("sha256") != _digest(form, about, arrays):
        raise _DamagedError(f"{file} is damaged (its SHA-256 is not that of its contents). Take an earlier one.")
    if form != FORMAT:
        raise CheckpointError(
            f"{file} is in the format {form!r}, expected {FORMAT!r}: another version of selftune wrote it. "
            "Go on with that version; config.json in the folder of a run names it."
        )
    return arrays, json.loads(about)


class _DamagedError(CheckpointError):
    """A file that is not what was written."""


def _digest(form: str, about: str, arrays: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256(repr((form, about)).encode())
    for name, array in sorted(arrays.items()):
        digest.update(repr((name, array.dtype.name, array.shape)).encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()
