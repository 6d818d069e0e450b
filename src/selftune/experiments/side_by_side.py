"""Independent rows measured at the same time, one on each core: a compiled program of small products uses one."""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias, TypeVar

Result = TypeVar("Result")
Say: TypeAlias = Callable[[str], None]


class StopJobError(Exception):
    """Raised inside a job that nobody waits for any more, when it next has something to say."""


def side_by_side(jobs: Sequence[Callable[[Say], Result]], say: Say, workers: int | None = None) -> Iterator[Result]:
    """Let jobs run in threads, and yield what they return in their order.

    Args:
        jobs: Called with where their progress goes; JAX leaves the interpreter to others while it computes.
        say: Where all progress goes, a line at a time.
        workers: Jobs at one time; as many as this process has cores when omitted.

    Raises:
        Exception: The first one of a job, in the order of jobs; the others stop when they next say something.
    """
    stop, speaking = threading.Event(), threading.Lock()

    def heard(line: str) -> None:
        if stop.is_set():
            raise StopJobError
        with speaking:
            say(line)

    pool = ThreadPoolExecutor(workers or cores())
    try:
        futures = [pool.submit(job, heard) for job in jobs]
        for future in futures:
            yield future.result()
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
