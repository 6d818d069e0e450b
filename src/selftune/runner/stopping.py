"""Ctrl-C and SIGTERM wait for the end of an update: inside one, what was learned is in no one's hands."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

USUAL = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
"""Handlers that are replaced; a program that has others of its own keeps them."""
TOLD = b"\nEnding after this update, with everything saved; Ctrl-C once more ends at once.\n"


@contextmanager
def uninterrupted() -> Iterator[None]:
    """While this is open a first Ctrl-C waits for its end; a second one interrupts at once.

    Only in the main thread, which alone is ever interrupted, and where Python's own handler or one of the program's is
    in charge.
    """
    usual = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(usual):
        yield
        return
    noted: list[tuple[int, Any]] = []

    def note(number: int, frame: Any) -> None:
        noted.append((number, frame))
        if len(noted) > 1:
            usual(number, frame)

    signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)
        if noted:
            usual(*noted[-1])


@contextmanager
def stop_requests() -> Iterator[Callable[[], bool]]:
    """While this is open a first Ctrl-C or SIGTERM is only noted; a second one interrupts at once.

    When it closes, a SIGTERM that was noted ends the process, as whoever sent it expects. In other threads than the
    main one, which get no signals, nothing is ever asked.

    Yields:
        Whether an end was asked for.
    """
    asked: list[int] = []

    def note(number: int, frame: Any) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)
        if number == signal.SIGINT:
            os.write(2, TOLD)

    main = threading.current_thread() is threading.main_thread()
    replaced = [number for number, usual in USUAL.items() if main and signal.getsignal(number) == usual]
    for number in replaced:
        signal.signal(number, note)
    try:
        yield lambda: bool(asked)
    finally:
        for number in replaced:
            signal.signal(number, USUAL[number])
        if signal.SIGTERM in asked:
            signal.raise_signal(signal.SIGTERM)
