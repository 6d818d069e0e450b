"""A run on disk: what was asked, what happened, what was learned.

    config.json      settings, seed, command and versions; the new length of a run that was given another
    metrics.jsonl    one JSON object for each logging interval
    events/          the same numbers for TensorBoard
    checkpoints/     arrays in safetensors files

Reading a folder executes nothing that is in it, so that a stranger's run can be opened.
"""

import json
import logging
import os
import platform
from collections.abc import Mapping
from functools import cached_property
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

from selftune.errors import RunFolderError, SettingError
from selftune.runner import strict_json
from selftune.runner.appending import append
from selftune.runner.event_files import EventFile
from selftune.runner.replacing import write_whole

_VERSIONED = ("selftune", "jax", "jaxlib", "optax", "equinox", "gymnasium", "numpy")
_logger = logging.getLogger("selftune")


class RunFolder:
    """The folder of one run, made by `create` or opened by `open`.

    A row of `metrics.jsonl` is flat. Its keys: `step` (environment steps so far), `update`, `wall_time`
    (seconds of training so far), `return_mean`, `return_episodes`, `reward_mean` (of a step),
    `steps_per_second`, `eta/<name>` (constrained value), `meta_grad/<name>` (in unconstrained coordinates),
    `guard/<name>` (how often it fired since the row before), and any other number, such as a loss.
    """

    def __init__(self, path: Path):
        self.path = path
        self._metrics = path / "metrics.jsonl"
        self._events = EventFile(path / "events")
        self._mended = False
        self._cut: int | None = None
        self._lost = 0

    @classmethod
    def create(cls, path: Path | str, settings: Mapping[str, Any], *, seed: int, command: str) -> "RunFolder":
        """Make a folder, its parents too, and write `config.json`.

        Args:
            path: a folder that does not exist yet or holds no run.
            settings: all that was resolved, defaults included; what JSON cannot say is written as text.
            seed: the seed of every random key.
            command: the line that makes the same run again.

        Raises:
            RunFolderError: the folder already holds a run, or cannot be written.
        """
        path = Path(path)
        held = [name for name in ("config.json", "metrics.jsonl") if (path / name).exists()]
        if held:
            raise RunFolderError(
                f"{path} already holds a run ({held[0]} is there); a new run needs a folder of its own. "
                "Give another folder, resume that run, or delete it first."
            )
        config = {"settings": settings, "seed": seed, "command": command, "versions": _versions()}
        _write(path, config)
        return cls(path)

    @classmethod
    def open(cls, path: Path | str) -> "RunFolder":
        """Open the folder of a run, also of one that is still being written.

        Raises:
            RunFolderError: there is no folder, no run in it, or a damaged `config.json`.
        """
        folder = cls(Path(path))
        _ = folder.config
        return folder

    @cached_property
    def config(self) -> dict[str, Any]:
        """What `create` wrote: `settings`, `seed`, `command`, `versions`; and `extended`, if `extend` did."""
        file = self.path / "config.json"
        try:
            config = json.loads(_read(file, "the run's settings").decode())
        except (ValueError, RecursionError) as error:
            raise RunFolderError(
                f"{file} is not valid JSON ({error}); expected the settings of a run. "
                "Restore the file, or make the run again."
            ) from error
        if not isinstance(config, dict):
            raise RunFolderError(f"{file} holds a {type(config).__name__}; expected an object of settings.")
        return config

    @property
    def planned_steps(self) -> int:
        """Environment steps that the run is to take: as planned, or as `extend` has changed it."""
        return self.config.get("extended", self.config["settings"]["steps"])

    def rows(self) -> list[dict[str, Any]]:
        """The rows so far, oldest first; none before the first. A torn last line is left out, and what `cut` drops.

        Raises:
            RunFolderError: a line that is not the last is damaged; the message bears its number.
        """
        if not self._metrics.exists():
            return []
        lines = _read(self._metrics, "the run's rows").splitlines(keepends=True)
        rows = [strict_json.row(line) for line in lines]
        if None in rows[:-1]:
            number = rows.index(None) + 1
            raise RunFolderError(
                f"{self._metrics}, line {number} is damaged: {lines[number - 1][:60]!r}; expected one "
                "JSON object a line. Delete the line to go on without it."
            )
        told = [row for row in rows if row is not None]
        return told if self._cut is None else [row for row in told if (row.get("step") or 0) <= self._cut]

    def log(self, row: Mapping[str, Any]) -> None:
        """Append a row to `metrics.jsonl` and its numbers to the event file.

        NumPy and JAX scalars become numbers, arrays lists; what is not finite becomes `null`. A full disk
        costs the row, never the run: the first lost row is told in a warning line, every later one is tried.
        """
        plain = strict_json.plain(row)
        try:
            if self._cut is not None:
                self._drop(self._cut)
            self._mend()
            append(self._metrics, strict_json.line(plain))
            self._events.scalars(plain, int(plain.get("step") or 0))
        except OSError as error:
            self._lost += 1
            if self._lost == 1:
                _logger.warning("%s: a row could not be logged (%s); training goes on.", self.path, error)
        else:
            if self._lost:
                _logger.warning("%s: logging works again; %d rows were lost.", self.path, self._lost)
            self._lost = 0

    def cut(self, step: int) -> None:
        """Drop the rows after environment step `step`, where a resumed run goes on, as soon as a new row is logged.

        Until then, or until `settle`, the files stay as they are: a run that is refused loses nothing.

        Raises:
            RunFolderError: the rows are damaged.
        """
        self.rows()
        self._cut = step

    def settle(self, step: int) -> None:
        """Where nothing was logged since `cut`, drop the rows after environment step `step` alone.

        Args:
            step: What the run has reached; it has told of it, perhaps within a row. A full disk is told in a warning
                line.
        """
        asked, self._cut = self._cut, None
        if asked is not None and any((row.get("step") or 0) > step for row in self.rows()):
            self._cut = step
            try:
                self._drop(step)
            except OSError as error:
                _logger.warning("%s: rows after step %d could not be dropped (%s).", self.path, step, error)

    def extend(self, steps: int) -> None:
        """Record a new length of the run, longer or shorter, in environment steps.

        Raises:
            RunFolderError: the folder cannot be written.
        """
        self.config["extended"] = steps
        _write(self.path, self.config)

    def _drop(self, step: int) -> None:
        """What `cut` has asked for."""
        write_whole(self._metrics, b"".join(map(strict_json.line, self.rows())))
        self._cut = None
        try:
            self._events.restart(step)
        except OSError as error:
            _logger.warning("%s: TensorBoard is not told of a new beginning (%s); the run goes on.", self.path, error)

    def _mend(self) -> None:
        """Before the first row of this process: drop the torn line that a killed one may have left."""
        if self._mended or not self._metrics.exists():
            return
        data = self._metrics.read_bytes()
        last = data.splitlines(keepends=True)[-1:]
        if last and strict_json.row(last[0]) is None:
            os.truncate(self._metrics, len(data) - len(last[0]))
        elif data and not data.endswith(b"\n"):
            append(self._metrics, b"\n")
        self._mended = True


def named_folder(out: Any) -> Path:
    """The folder that a user named.

    Raises:
        SettingError: That is no name.
    """
    if not isinstance(out, str | Path) or not str(out).strip() or "\0" in str(out):
        raise SettingError(f"out = {out!r:.60}: expected the name of a folder, such as 'runs/cartpole'.")
    return Path(out)


def free_folder(env: str, agent: str) -> Path:
    """A folder for a run whose user named none."""
    stem = f"{env.replace('/', '-').replace(':', '-')}-{agent}"
    numbers = (number for number in range(1, 1_000_000) if not Path("runs", f"{stem}-{number}").exists())
    return Path("runs", f"{stem}-{next(numbers)}")


def _write(path: Path, config: Mapping[str, Any]) -> None:
    text = json.dumps(strict_json.plain(config), indent=2, allow_nan=False) + "\n"
    write_whole(path / "config.json", text.encode())


def _versions() -> dict[str, str]:
    return {"python": platform.python_version()} | {name: _version(name) for name in _VERSIONED}


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:  # a source tree that is on the path and not installed
        return getattr(import_module(package), "__version__", "unknown")


def _read(file: Path, what: str) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        runs = sorted(str(config.parent) for config in file.parent.glob("*/config.json"))[:3]
        cure = f", such as {runs[0]}" if runs else ""
        raise RunFolderError(
            f"{file} cannot be read ({error.strerror}); expected {what}. "
            f"Give the folder that was named as the output of a training run{cure}."
        ) from error
