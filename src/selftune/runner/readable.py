"""How a person reads a run: numbers, durations and names, and what the keys of a row mean."""

import math

_HORIZONS = {"discount", "trace_decay", "gamma", "lambda", "adam_b1", "adam_b2"}


def number(value: int | float | None) -> str:
    """Three significant digits, more of a number close to one: `3.1e-05`, `0.0123`, `0.9987`, `1,234`."""
    if value is None or not math.isfinite(value):
        return "-"
    if 0.9 < value < 1:
        digits = min(9, 1 + math.ceil(-math.log10(1 - value)))
        return f"{value:.{digits}f}".rstrip("0").rstrip(".")
    return f"{value:,.0f}" if 999.5 <= abs(value) < 1e7 else f"{value:.3g}"


def count(value: int | float) -> str:
    """A count in a few characters: `950`, `12.3k`, `4M`."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= 0.9995 * size:  # what rounds to a thousand of one unit is one of the next
            return f"{value / size:.3g}{unit}"
    return f"{value:.0f}"


def duration(seconds: int | float) -> str:
    """`0:42`, `12:05`, `3:12:05`."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def label(name: str) -> str:
    """`learning_rate` as a person writes it."""
    return name.replace("_", " ")


def has_horizon(name: str) -> bool:
    """Whether a metaparameter forgets by a factor a step, so that 1/(1 - value) is a number of steps."""
    return name.split("/")[0] in _HORIZONS


def finite(value: object) -> float:
    """The number that `value` is, or NaN where it is none."""
    if not isinstance(value, int | float):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.nan
