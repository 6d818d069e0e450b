"""What a scenario is asked, and what it tells."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

import plotly.graph_objects as go

from selftune.experiments.statistics import Interval

Say: TypeAlias = Callable[[str], None]


class Ask(NamedTuple):
    """How much of a scenario is wanted."""

    quick: bool = False
    """Minutes, instead of the whole experiment."""
    seed: int = 0
    """Of all randomness: other seeds, other runs."""


class Table(NamedTuple):
    """Numbers as they are read."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    """As many cells as there are columns."""
    note: str = ""


class Picture(NamedTuple):
    """A figure with what is to be seen in it."""

    title: str
    figure: go.Figure
    caption: str


@dataclass(frozen=True)
class Story:
    """What came out, for whoever knows the field and not the method."""

    title: str
    summary: tuple[str, ...]
    """Sentences in plain language; the first is the answer."""
    tables: tuple[Table, ...]
    pictures: tuple[Picture, ...]
    limits: tuple[str, ...]
    """What the evidence does not support."""
    rows: tuple[Mapping[str, Any], ...] = field(default=())
    """The figures behind the tables, for machines."""


def by_interval(told: Interval | None, above: str, neither: str, below: str, than: float = 0.0) -> str:
    """One of three words: the interval is above a number, holds it, or is below; the second where there is none."""
    if told is None or told.low <= than <= told.high:
        return neither
    return above if told.low > than else below
