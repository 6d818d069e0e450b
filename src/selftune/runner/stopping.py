"""Ctrl-C and SIGTERM ask a run to end between two updates: inside one, what was learned is in no one's hands."""

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
