"""A run in the terminal while it goes: the return, the metaparameters, what the guards did, the time left."""

import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Float
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from selftune.runner import strict_json
from selftune.runner.readable import count, duration, finite, has_horizon, label, number
from selftune.runner.terminal_charts import Trend, curve, sparkline


class _LastingConsole(Console):
    """A console whose reader may leave, as `| head` does: whoever writes goes on, unheard."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())


def lasting_console() -> Console:
    """Standard output, for what must not end because nobody reads it any more; names stay as they are."""
    return _LastingConsole(emoji=False)


class Display:
    """Shows rows as they are logged: animated in a terminal, one plain line now and then anywhere else.

    Args:
        title: what is being trained.
        total_steps: environment steps of the whole run.
        console: where to; standard output by default.
        earlier: rows of the same run from before it was taken up again.
        starts: where metaparameters began, by name.
    """

    def __init__(
        self,
        title: str,
        total_steps: int,
        console: Console | None = None,
        earlier: Iterable[Mapping[str, Any]] = (),
        starts: Mapping[str, float] | None = None,
    ):
        self._title = title
        self._total = max(total_steps, 1)
        self._console = console or lasting_console()
        plain = self._console.is_dumb_terminal or self._console.options.ascii_only
        animated = self._console.is_terminal and not plain
        self._live = Live(console=self._console, auto_refresh=False) if animated else None
        self._returns, self._rewards = Trend(self._total), Trend(self._total)
        self._etas: dict[str, Trend] = {}
        self._starts = dict(starts or {})
        self._guards: Counter[str] = Counter()
        self._row: dict[str, Any] = {}
        self._step = 0.0
        self._start = time.monotonic()
        self._drawn = -np.inf
        for row in earlier:
            self._note(dict(row))
        self._earlier = np.nan_to_num(finite(self._row.get("wall_time")))
        self._tenth = int(10 * self._step / self._total)

    def __enter__(self) -> "Display":
        self._start = time.monotonic()
        if self._live:
            self._live.start()
            self._draw()
        else:
            self.say(f"{self._title}: {count(self._total)} steps; compiling the first update, a minute or so")
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._draw()
            self._live.stop()

    def update(self, row: Mapping[str, Any]) -> None:
        """Take in a row as `RunFolder.log` describes it; a key that is missing or None is not shown."""
        self._note(strict_json.plain(row))
        now = time.monotonic()
        tenth = int(10 * self._step / self._total)
        if self._live and now - self._drawn >= 0.1:
            self._draw()
        elif not self._live and (now - self._drawn >= 10 or tenth > self._tenth):
            self.say(self._line())
            self._drawn, self._tenth = now, tenth

    def summary(self) -> None:
        """Print what came of the run: the return, the way of each metaparameter, the guards, the time."""
        table = Table(title=Text(self._spell(self._title)), title_justify="left", show_header=False)
        name, trend = self._level()
        table.add_row(name, f"{number(trend.last)} at the end, {number(trend.best)} at best")
        for name, trend in self._etas.items():
            way = f"{number(trend.first)} → {number(trend.last)}" + _horizon(name, trend.last)
            table.add_row(Text(self._spell(label(name))), self._spell(way))
        table.add_row("guards", self._spell(self._fired() or "none fired"))
        table.add_row("time", f"{duration(self._elapsed())} for {count(self._step)} steps")
        self._console.print(table)

    def _note(self, row: dict[str, Any]) -> None:
        self._row = row
        step = finite(row.get("step"))
        self._step = step if np.isfinite(step) else self._step
        self._returns.add(self._step, finite(row.get("return_mean")))
        self._rewards.add(self._step, finite(row.get("reward_mean")))
        for key, value in row.items():
            kind, _, name = key.partition("/")
            fired = finite(value)
            if kind == "eta" and name:
                self._course(name).add(self._step, finite(value))
            elif kind == "guard" and name and fired > 0:
                self._guards[name] += round(fired)

    def _course(self, name: str) -> Trend:
        if name not in self._etas:
            self._etas[name] = Trend(self._total)
            self._etas[name].add(0, self._starts.get(name, np.nan))
        return self._etas[name]

    def _draw(self) -> None:
        assert self._live is not None
        width = max(20, min(self._console.width, 100) - 4)
        parts = [self._progress(width), self._chart(width), self._metaparameters(width)]
        if fired := self._fired():
            parts.append(Text.assemble(("guards  ", "dim"), (fired, "yellow")))
        panel = Panel(Group(*parts), title=Text(self._title), title_align="left", width=width + 4)
        self._live.update(panel, refresh=True)
        self._drawn = time.monotonic()

    def _progress(self, width: int) -> RenderableType:
        bar = ProgressBar(total=self._total, completed=min(self._step, self._total), width=width)
        table = Table.grid()
        table.add_row(bar)
        table.add_row(Text(f"{count(self._step)}/{count(self._total)} steps   {self._speed()}", "dim"))
        return table

    def _chart(self, width: int) -> Text:
        name, trend = self._level()
        head = Text.assemble((f"{name}  ", "dim"), (number(trend.last), "bold cyan"))
        if np.isnan(self._returns.last):
            waiting = "for the first episode to end" if self._row else "for the first update to compile"
            head.append(f"   waiting {waiting}", "dim")
        if np.isnan(trend.last):
            return head
        head.append(f"   best {number(trend.best)}", "dim")
        points = trend.points(2 * (width - 9))
        known = points[np.isfinite(points)]
        for place, cells in enumerate(curve(points, 5)):
            bound = {0: number(known.max()), 4: number(known.min())}.get(place, "")
            head.append(f"\n{bound:>8} ", "dim").append(cells, "cyan")
        return head

    def _metaparameters(self, width: int) -> Table:
        names = int(np.clip(width - 38, 8, 24))
        trends = int(np.clip(width - 22 - names, 4, 32))
        table = Table.grid(padding=(0, 2))
        table.add_column(style="dim", overflow="ellipsis", no_wrap=True, max_width=names)
        for name, trend in self._etas.items():
            line = sparkline(_spaced(name, trend.points(trends)))
            table.add_row(Text(label(name)), number(trend.first), Text(line, "magenta"), number(trend.last))
        return table

    def _speed(self) -> str:
        rate = finite(self._row.get("steps_per_second"))
        left = duration((self._total - self._step) / rate) if rate > 0 else "?"
        return f"{count(rate) if rate > 0 else '?'} steps/s   {duration(self._elapsed())} elapsed   {left} left"

    def _elapsed(self) -> float:
        """Seconds, those before the run was taken up included."""
        return self._earlier + time.monotonic() - self._start

    def _line(self) -> str:
        etas = "  ".join(f"{name} {number(trend.last)}" for name, trend in self._etas.items())
        fired, (name, trend) = self._fired(), self._level()
        return "   ".join(
            part
            for part in (
                f"{min(self._step / self._total, 1):4.0%}  {count(self._step)} steps",
                f"{name} {number(trend.last)}",
                etas,
                fired and f"guards: {fired}",
                self._speed(),
            )
            if part
        )

    def _level(self) -> tuple[str, Trend]:
        """The return; before any episode has ended, the reward of a step."""
        ended = not np.isnan(self._returns.last) or np.isnan(self._rewards.last)
        return ("return", self._returns) if ended else ("reward per step", self._rewards)

    def _fired(self) -> str:
        return "  ".join(f"{label(name)} {times}" for name, times in self._guards.most_common())

    def say(self, line: str) -> None:
        """Print one line."""
        self._console.print(Text(self._spell(line)), soft_wrap=True)

    def _spell(self, text: str) -> str:
        """The text in characters that the console can write."""
        if self._console.options.ascii_only:
            text = text.replace("→", "->")
        return text.encode(self._console.encoding, "replace").decode(self._console.encoding)


def _horizon(name: str, value: float) -> str:
    return f" ({number(1 / (1 - value))} steps)" if has_horizon(name) and value < 1 else ""


def _spaced(name: str, values: Float[np.ndarray, " width"]) -> Float[np.ndarray, " width"]:
    """The values as a person compares them: horizons, and what spans a decade, by factors."""
    if has_horizon(name) and np.nanmax(values, initial=-np.inf) < 1:
        return -np.log(1 - values)
    low, high = np.nanmin(values, initial=np.inf), np.nanmax(values, initial=-np.inf)
    return np.log(values) if low > 0 and high > 10 * low else values
