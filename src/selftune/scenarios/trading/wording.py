"""How numbers are written where people read them."""

import numpy as np

from selftune.experiments.statistics import Interval
from selftune.scenarios.trading.trial import Tracks


def plain(value: Interval | None, digits: int = 2) -> str:
    """An estimate and its interval; "none" where something never moved."""
    if value is None:
        return "none"
    return f"{value.estimate:.{digits}f} ({value.low:.{digits}f} to {value.high:.{digits}f})"


def percent(value: Interval) -> str:
    """The same, of parts of one."""
    return f"{value.estimate:.1%} ({value.low:.1%} to {value.high:.1%})"


def simple(value: Interval | None) -> str:
    """Logarithmic growth a year as a simple return, as all other growth is told; nothing where there is none."""
    return "" if value is None else percent(Interval(*(float(end) for end in np.expm1(value))))


def span(tracks: Tracks) -> str:
    """The first day and the last."""
    return f"{np.datetime_as_string(tracks.times[0], 'D')} to {np.datetime_as_string(tracks.times[-1], 'D')}"
