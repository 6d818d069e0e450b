"""Vertical axes on which a person can read a value: by differences, by factors, by horizons."""

import math
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float

from selftune.runner.readable import number

Axis: TypeAlias = dict[str, Any]
LINES: Axis = {"gridcolor": "var(--grid)", "linecolor": "var(--line)", "zerolinecolor": "var(--line)"}


def linear(title: str) -> Axis:
    """By differences."""
    return {**LINES, "title": {"text": title}, "exponentformat": "e"}


def spaced(title: str, values: Float[np.ndarray, " rows"]) -> Axis:
    """By factors where every value is positive and they span a decade, else by differences."""
    low, high = np.nanmin(values), np.nanmax(values)
    if not (low > 0 and high > 10 * low):
        return linear(title)
    ticks = _round(low, high)
    return _logarithmic(title, low, high, ticks, [number(tick) for tick in ticks])


def spans_horizons(values: Float[np.ndarray, " rows"]) -> bool:
    """Whether 1/(1 - value) is finite and at least doubles, so that it is worth an axis of its own."""
    low, high = np.nanmin(values), np.nanmax(values)
    return bool(low >= 0 and high < 1 and 1 - low >= 1.999 * (1 - high))


def horizons(title: str, values: Float[np.ndarray, " rows"]) -> Axis:
    """For the horizons 1/(1 - value): equal factors of the horizon are equal distances, labelled with the value."""
    low, high = 1 - np.nanmax(values), 1 - np.nanmin(values)
    ticks = _round(low, high)
    return _logarithmic(title, 1 / high, 1 / low, [1 / tick for tick in ticks], [number(1 - tick) for tick in ticks])


def robust(title: str, values: Float[np.ndarray, " rows"]) -> Axis:
    """By differences, and a few spikes do not flatten it: 1.5 times the span of 98 of 100 values and zero."""
    low, high = np.nanpercentile(values, [1, 99])
    low, high = 1.5 * min(low, 0.0), 1.5 * max(high, 0.0)
    spikes = np.nanmin(values) < 2 * low or np.nanmax(values) > 2 * high
    return linear(title) | {"nticks": 4} | ({"range": [low, high]} if spikes and high > low else {})


def _logarithmic(title: str, low: float, high: float, ticks: list[float], texts: list[str]) -> Axis:
    margin = 0.05 * math.log10(high / low)
    bounds = [math.log10(low) - margin, math.log10(high) + margin]
    return {**LINES, "title": {"text": title}, "type": "log", "range": bounds, "tickvals": ticks, "ticktext": texts}


def _round(low: float, high: float) -> list[float]:
    """Three to seven round numbers in [low, high], if it has so many."""
    powers = 10.0 ** np.arange(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = powers
    for factors in ((1,), (1, 3), (1, 2, 5), range(1, 10), np.arange(10, 100) / 10):
        ticks = np.outer(powers, factors).ravel()
        ticks = ticks[(0.999 * low <= ticks) & (ticks <= 1.001 * high)]
        if len(ticks) >= 3:
            break
    return ticks[:: math.ceil(len(ticks) / 7)].tolist()
