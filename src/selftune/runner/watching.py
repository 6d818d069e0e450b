"""A run that stands still is ended, so that it can be resumed, instead of holding a machine for ever.

A compiled program can deadlock where no exception and no signal handler of Python reaches it; another thread still
can, unless the program keeps the interpreter's lock too.
"""

import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from selftune.errors import SettingError
from selftune.runner import strict_json
from selftune.runner.appending import append

EX_TEMPFAIL = 75
"""The status of sysexits.h for what may succeed when it is tried again."""

_TICKS = 20
_COMPUTING = 0.2
"""Processors that a process must keep busy to count as computing; a progress bar takes a hundredth."""
_TELLING = 10.0


class Watchdog:
    """A thread that calls `on_stall(seconds)`, once, when nothing has beaten or computed for `patience_seconds`.

    A process that computes, for a fifth of a processor or more, stands not still: a compiled program may run for hours
    before it can beat, and a deadlock waits (one that spins is not noticed; nor is an accelerator's work, whose chunks
    must be shorter than the patience). Patience is counted in ticks, a twentieth of it each, and
    no clock on the wall is read: a process that was stopped with Ctrl-Z, or a laptop that slept, has lost one tick and
    no run. A stall is told between one and 1.05 times the patience.

    Args:
        on_stall: called in the watching thread with the seconds waited.
        patience_seconds: above 0. The default is longer than the longest honest silence, a step of an environment that
            computes elsewhere: killing a healthy run is worse than losing ten minutes of a dead one.

    Raises:
        SettingError: the patience is not above 0.
    """

    def __init__(self, on_stall: Callable[[float], Any], patience_seconds: float = 600.0):
        if not patience_seconds > 0:
            raise SettingError(f"Watchdog(patience_seconds={patience_seconds}): expected seconds above 0.")
        self._on_stall = on_stall
        self._tick = patience_seconds / _TICKS
        self._beaten = False
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="selftune-watchdog", daemon=True)

    def __enter__(self) -> "Watchdog":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def beat(self) -> None:
        """Say that the run goes on; costs nothing."""
        self._beaten = True

    def _watch(self) -> None:
        silent, computed = 0, time.process_time()
        while silent < _TICKS:
            if self._done.wait(self._tick):
                return
            before, computed = computed, time.process_time()
            alive = self._beaten or computed - before > _COMPUTING * self._tick
            silent, self._beaten = 0 if alive else silent + 1, False
        self._on_stall(silent * self._tick)


def end_resumably(folder: Path | str, again: str, seconds: float) -> NoReturn:
    """End this process where it stands, with status 75, and say how to go on; the last checkpoint on disk is whole.

    No cleanup runs, for a deadlocked thread would never let it finish. One object is appended to `stalled.jsonl` in the
    folder: `time` (seconds since 1970), `seconds` without progress, `pid`, and `stack`, where the main thread stood. A
    disk or terminal that hangs too is waited for ten seconds, no longer.

    Args:
        folder: the run folder; `functools.partial(end_resumably, folder, again)` is an `on_stall`.
        again: the command that goes on.
        seconds: how long nothing happened.
    """
    telling = threading.Thread(target=_tell, args=(Path(folder), again, seconds), daemon=True)
    telling.start()
    telling.join(_TELLING)
    os._exit(EX_TEMPFAIL)


def _tell(folder: Path, again: str, seconds: float) -> None:
    print(
        f"selftune: no progress for {seconds:.0f} s; ended at the last checkpoint. Go on with: {again}",
        file=sys.stderr,
        flush=True,
    )
    main = sys._current_frames()[threading.main_thread().ident or 0]
    stack = traceback.format_stack(main)
    event = {"time": time.time(), "seconds": seconds, "pid": os.getpid(), "stack": stack}
    append(folder / "stalled.jsonl", strict_json.line(event))
