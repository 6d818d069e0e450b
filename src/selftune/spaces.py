"""Spaces as plain data: what an agent must know of a world before it sees it.

An agent sees observations of `space.encoded_shape`. Discrete actions are 0 … n-1; continuous ones are numbers in
[-1, 1], which the environment's side stretches to the bounds of its own space.
"""

from typing import NamedTuple, TypeAlias


class Box(NamedTuple):
    """Arrays of one shape."""

    shape: tuple[int, ...]
    dtype: str = "float32"
    low: tuple[float, ...] | None = None
    """Lowest value of each entry, flattened; `None` where no bound is known."""
    high: tuple[float, ...] | None = None

    @property
    def encoded_shape(self) -> tuple[int, ...]:
        """Shape of one encoded observation: its own."""
        return self.shape


class Discrete(NamedTuple):
    """One of `n` choices, counted from `start`."""

    n: int
    start: int = 0

    @property
    def encoded_shape(self) -> tuple[int, ...]:
        """Shape of one encoded observation: one-hot."""
        return (self.n,)


Space: TypeAlias = Box | Discrete
