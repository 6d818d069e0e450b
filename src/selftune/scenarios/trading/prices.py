"""Prices, and what is refused of them.

Own prices are a CSV: times (ISO 8601) in the first column, one further column of prices for each asset, oldest first;
cells of an asset may be empty before it is listed.
"""

import csv
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
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
    """Above 0; NaN before an asset is listed."""
    about: str = ""
    """Where they come from, and what that does to conclusions."""

    @property
    def periods_per_year(self) -> float:
        """How many there are on average."""
        years = float((self.times[-1] - self.times[0]) / DAY) / 365.25
        return (len(self.times) - 1) / years


def checked(prices: Prices, longest_gap: float = 7.0) -> Prices:
    """The prices as they are, if they can be traded.

    Args:
        prices: From wherever they come.
        longest_gap: Days that may lie between two rows. Exchanges were closed for 7 days in September 2001.

    Raises:
        SettingError: Times that do not ascend, a gap, or a price that is missing, zero, negative or infinite.
    """
    name, times, assets, values, _ = prices
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
    if (steps > longest_gap * DAY).any():
        row = int(np.argmax(steps > longest_gap * DAY))
        raise SettingError(
            f"{name}: nothing between {times[row]} and {times[row + 1]}; expected no gap above {longest_gap:g} days. "
            "Fill in the missing rows, begin after the gap, or give a larger `longest_gap` if the market was closed."
        )
    for asset, column in zip(assets, values.T, strict=True):
        _check_column(f"{name}, {asset}", times, column)
    return prices


def _check_column(told: str, times: np.ndarray, column: np.ndarray) -> None:
    listed = np.flatnonzero(~np.isnan(column))
    if not len(listed):
        raise SettingError(f"{told}: there is no price; leave the column out.")
    later = column[listed[0] :]
    wrong = ~(np.isfinite(later) & (later > 0))
    if wrong.any():
        row = int(listed[0] + np.argmax(wrong))
        raise SettingError(
            f"{told}: got {column[row]} at {times[row]}; expected a price above 0 at every time once there is one. "
            "A day without trade keeps the price of the day before; zeros and empty cells are errors of the source."
        )


def read_csv(path: Path | str, longest_gap: float = 7.0) -> Prices:
    """Prices of one's own.

    Args:
        path: The file.
        longest_gap: Days that may lie between two rows.

    Raises:
        SettingError: The file is missing, is not such a table, or holds prices that cannot be traded.
    """
    path = Path(path)
    if not path.is_file():
        raise SettingError(f"There is no file {path}; expected a CSV of prices with times in its first column.")
    with path.open(newline="", encoding="utf-8-sig") as file:
        head, *rows = [row for row in csv.reader(file) if row] or [[]]
    times, values = [], []
    for number, row in enumerate(rows, 2):
        try:
            if len(row) != len(head):
                raise ValueError
            times.append(datetime.fromisoformat(row[0]).replace(tzinfo=None))
            values.append([float(cell) if cell.strip() else np.nan for cell in row[1:]])
        except ValueError:
            raise SettingError(
                f"{path}, row {number}: got {','.join(row)!r}; expected a time such as 2008-09-15 and "
                f"{len(head) - 1} prices, under the heads {','.join(head)!r}."
            ) from None
    return checked(gathered(path.stem, times, head[1:], values), longest_gap)


def gathered(name: str, times: Iterable[datetime], assets: Sequence[str], values: ArrayLike) -> Prices:
    """Prices from lists."""
    stamps = np.array(list(times), "datetime64[s]")
    return Prices(name, stamps, tuple(assets), np.asarray(values, float).reshape(len(stamps), len(assets)))
