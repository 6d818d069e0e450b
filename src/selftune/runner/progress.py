"""How far long work is: a bar in a terminal, a plain line a minute anywhere else, as in a log.

for item in progress(items, "cartpole: fixed"): ...
"""

import time
from collections.abc import Collection, Generator
from typing import TypeVar

from rich.console import Console
from rich.progress import track
from rich.text import Text

from selftune.runner.displaying import lasting_console
from selftune.runner.readable import duration

Item = TypeVar("Item")

PATIENCE = 60.0
"""Seconds between two lines."""


def progress(items: Collection[Item], title: str | None, console: Console | None = None) -> Generator[Item, None, None]:
    """The items, and how many of them are done.

    Args:
        items: Whatever the work goes through; an item is done when the next one is asked for.
        title: What is done; nothing is said without it.
        console: Where to; standard output by default.
    """
    if title is None:
        yield from items
        return
    console = console or lasting_console()
    if console.is_terminal:
        yield from track(items, title, console=console, transient=True)
        return
    begun = said = time.monotonic()
    for done, item in enumerate(items):
        now = time.monotonic()
        if done and now - said >= PATIENCE:
            left = (now - begun) / done * (len(items) - done)
            line = f"{title}: {done / len(items):4.0%} after {duration(now - begun)}, {duration(left)} left"
            console.print(Text(line), soft_wrap=True)
            said = now
        yield item
