"""Curves drawn with characters."""

import math

import numpy as np
from jaxtyping import Float

_BARS = "▁▂▃▄▅▆▇█"
_DOTS = ((0x40, 0x04, 0x02, 0x01), (0x80, 0x20, 0x10, 0x08))  # [column of a braille cell][dot, from below]


class Trend:
    """The course of one number over a run, in bounded memory: its mean over each of 512 equal stretches."""

    def __init__(self, total: int | float):
        self._total = max(total, 1)
        self._sums = np.zeros(512)
        self._counts = np.zeros(512)
        self.first = self.last = self.best = math.nan

    def add(self, position: int | float, value: int | float) -> None:
        """Note `value` at `position` in [0, total]; what is not finite leaves a gap."""
        if not math.isfinite(value):
            return
        stretch = int(np.clip(position / self._total * 512, 0, 511))
        self._sums[stretch] += value
        self._counts[stretch] += 1
        self.first = value if math.isnan(self.first) else self.first
        self.best = value if math.isnan(self.best) else max(self.best, value)
        self.last = value

    def points(self, width: int) -> Float[np.ndarray, " width"]:
        """The run in `width` stretches; gaps bridged by straight lines, NaN before and after the data."""
        stretch = np.arange(512) * width // 512
        sums, counts = (np.bincount(stretch, weights, width) for weights in (self._sums, self._counts))
        known = np.flatnonzero(counts)
        if not known.size:
            return np.full(width, np.nan)
        means = sums[known] / counts[known]
        return np.interp(np.arange(width), known, means, left=np.nan, right=np.nan)


def sparkline(points: Float[np.ndarray, " width"]) -> str:
    """One line of bars, the lowest point the lowest bar, and a blank for each NaN."""
    return "".join(" " if level < 0 else _BARS[level] for level in _levels(points, len(_BARS)))


def curve(points: Float[np.ndarray, " width"], height: int) -> list[str]:
    """A line through `points`: `height` rows, top row first; a character is 2 points wide, 4 levels high."""
    levels = _levels(points, 4 * height)
    cells = np.zeros((height, len(points) // 2), int)
    for column, level in enumerate(levels[: 2 * cells.shape[1]]):
        before = levels[column - 1] if column and levels[column - 1] >= 0 else level
        for dot in range(min(before, level), max(before, level) + 1) if level >= 0 else ():
            cells[height - 1 - dot // 4, column // 2] |= _DOTS[column % 2][dot % 4]
    return ["".join(chr(0x2800 + cell) for cell in row) for row in cells]


def _levels(points: Float[np.ndarray, " width"], levels: int) -> list[int]:
    """Each point as a level in 0 .. levels - 1, the range of the points filling them; -1 for NaN."""
    known = np.isfinite(points)
    if not known.any():
        return [-1] * len(points)
    low, high = points[known].min(), points[known].max()
    scaled = (points - low) / (high - low) * (levels - 1) if high > low else points * 0 + (levels - 1) // 2
    return [round(level) if finite else -1 for level, finite in zip(scaled.tolist(), known, strict=True)]
