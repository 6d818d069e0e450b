"""Prices, and what is refused of them.

An asset has a price at every time from its first to its last: there is none before it is listed, nor once it is
delisted, which is whenever its prices end before those of the others.
"""

import warnings
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Shaped
from numpy.typing import ArrayLike

from selftune.errors import SettingError

DAY = np.timedelta64(1, "D")


class Prices(NamedTuple):
    """Closing prices of some assets."""

    name: str
    times: Shaped[np.ndarray, " T"]
    """`datetime64[s]`, ascending."""
    assets: tuple[str, ...]
    values: Float[np.ndarray, "T A"]
    """Above 0; NaN before an asset is listed and from its delisting on."""
    about: str = ""
    """Where they come from, and what that does to conclusions."""
    chosen_before: np.datetime64 | None = None
    """What is chosen by hand in this package was chosen on the prices before this time; on these ones nothing if
    omitted."""

    @property
    def periods_per_year(self) -> float:
        """How many there are on average."""
        years = float((self.times[-1] - self.times[0]) / DAY) / 365.25
        return (len(self.times) - 1) / years


JUMP = 2.0
"""Factor by which a price may move in one row before it is asked about."""


class JumpNotice(UserWarning):
    """A price moved so far in one row that it may be a split or a slip."""


def checked(prices: Prices, longest_gap: float = 7.0) -> Prices:
    """The prices as they are, if they can be traded.

    Args:
        prices: From wherever they come.
        longest_gap: Days that may lie between two rows, or parts of them; `math.inf` for any number. Exchanges were
            closed for 7 days in September 2001.

    Raises:
        SettingError: Times that do not ascend, a gap, or a price that is missing, zero, negative or infinite.
            Missing is what lies between two prices of an asset, and a time without any price.
    """
    name, times, assets, values = prices[:4]
    if values.shape != (len(times), len(assets)) or len(times) < 2 or not assets:
        raise SettingError(
            f"{name}: got prices of shape {values.shape} for {len(times)} times and {len(assets)} assets; expected one "
            "row for each of at least 2 times, and one column for each asset."
        )
    steps = np.diff(times)
    if (steps <= np.timedelta64(0)).any():
        row = int(np.argmax(steps <= np.timedelta64(0)))
        raise SettingError(
            f"{name}: {times[row + 1]} follows {times[row]}; expected times that ascend, each once. Sort the rows, "
            "oldest first, and keep one row for each time."
        )
    far = steps / DAY > longest_gap
    if far.any():
        row = int(np.argmax(far))
        raise SettingError(
            f"{name}: nothing between {times[row]} and {times[row + 1]}; expected no gap above {longest_gap:g} days. "
            "Fill in the missing rows, begin after the gap, or give a larger `longest_gap` if the market was closed."
        )
    if (empty := np.isnan(values).all(axis=1)).any():
        raise SettingError(
            f"{name}: got no price at {times[np.argmax(empty)]}; expected that of one asset at least. Leave the row "
            "out, or keep the prices of the row before."
        )
    for asset, column in zip(assets, values.T, strict=True):
        _check_column(f"{name}, {asset}", times, column)
    return prices


def _check_column(told: str, times: np.ndarray, column: np.ndarray) -> None:
    listed = np.flatnonzero(~np.isnan(column))
    if not len(listed):
        raise SettingError(f"{told}: there is no price; leave the column out.")
    first, last = listed[0], listed[-1]
    between = column[first : last + 1]
    wrong = ~(np.isfinite(between) & (between > 0))
    if wrong.any():
        row = int(first + np.argmax(wrong))
        got = "no price" if np.isnan(column[row]) else column[row]
        raise SettingError(
            f"{told}: got {got} at {times[row]}; expected a price above 0 at every time from {times[first]} to "
            f"{times[last]}, its first and its last. A day without trade keeps the price of the day before; a firm "
            "that failed keeps empty cells from then on; zeros and gaps are errors of the source."
        )


def jumps_told(prices: Prices) -> Prices:
    """The prices as they are, with a `JumpNotice` of each asset that moves by more than `JUMP` times in a row."""
    name, times, assets, values = prices[:4]
    for asset, column in zip(assets, values.T, strict=True):
        far = np.abs(np.diff(np.log(column))) > np.log(JUMP)
        if far.any():
            row = int(np.argmax(far))
            warnings.warn(
                f"{name}, {asset}: {column[row]:g} at {times[row]} is followed by {column[row + 1]:g} at "
                f"{times[row + 1]}, and {far.sum()} of its rows move it by more than {JUMP:g} times; it is traded as "
                "it is. Adjust for splits, and look for a decimal point that slipped.",
                JumpNotice,
                stacklevel=3,
            )
    return prices


def gathered(name: str, times: Iterable[datetime], assets: Sequence[str], values: ArrayLike) -> Prices:
    """Prices from lists."""
    stamps = np.array(list(times), "datetime64[s]")
    return Prices(name, stamps, tuple(assets), np.asarray(values, float).reshape(len(stamps), len(assets)))
