"""Prices of one's own: a CSV of times (ISO 8601) and one column of prices for each asset, oldest first.

Cells of an asset are empty before it is listed and from its delisting on. Times with an offset are turned into UTC.
"""

import csv
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from selftune.errors import SettingError
from selftune.scenarios.trading.prices import Prices, checked, gathered, jumps_told

EXAMPLE = "day,MINE,YOURS"
CLOSES = ("close", "adjclose", "adjustedclose", "closelast", "last", "price")
BESIDE = ("open", "high", "low", "volume", "vol", "dividends", "stocksplits")
"""Heads, as their small letters, of the table of one asset: prices that can be traded, and what stands beside them."""


def read_csv(path: Path | str, longest_gap: float = 7.0) -> Prices:
    """Prices of one's own; a price that more than doubles or halves in one row is told in a `JumpNotice`.

    Args:
        path: The file, in UTF-8, with commas between columns.
        longest_gap: Days that may lie between two rows.

    Raises:
        SettingError: The file is missing, is not such a table, or holds prices that cannot be traded.
    """
    path = Path(path)
    head, rows = _table(path)
    times, values = [], []
    for line, row in rows:
        try:
            if len(row) != len(head):
                raise ValueError
            times.append(datetime.fromisoformat(row[0].strip()))
            values.append([_price(cell) for cell in row[1:]])
        except ValueError:
            raise SettingError(
                f"{path}, line {line}: got {','.join(row)!r}; expected a time such as 2008-09-15 and "
                f"{len(head) - 1} prices, under the heads {','.join(head)!r}."
            ) from None
    return jumps_told(checked(gathered(path.stem, _on_one_clock(path, times), head[1:], values), longest_gap))


def _price(cell: str) -> float:
    if "_" in cell:  # 1_5 is 15 to Python
        raise ValueError
    return float(cell) if cell.strip() else np.nan


def _table(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """The heads, and the rows with the lines they end on."""
    if not path.is_file():
        raise SettingError(f"There is no file {path}; expected a CSV of prices with times in its first column.")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            rows = [(reader.line_num, row) for row in reader if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise SettingError(
            f"{path} cannot be read as text ({error}); expected a CSV in UTF-8. Save the table as such."
        ) from error
    head = [cell.strip() for cell in rows[0][1]] if rows else []
    if len(head) < 2:
        raise SettingError(
            f"{path}: got {','.join(head)!r} as its first line; expected heads with commas between them, and not "
            f"semicolons or tabs, such as {EXAMPLE}. Prices have a decimal point."
        )
    if "" in head[1:]:
        raise SettingError(
            f"{path}: column {head.index('', 1) + 1} of {len(head)} has no head; expected the name of an asset. Name "
            "it, or take it out: a comma at the end of a line begins a column."
        )
    letters = ["".join(filter(str.isalpha, name.lower())) for name in head[1:]]
    closes = [name for name, known in zip(head[1:], letters, strict=True) if known in CLOSES]
    if closes and sum(name in CLOSES + BESIDE for name in letters) > 1:
        raise SettingError(
            f"{path}: got the heads {','.join(head)!r}; expected one column of prices for each asset. Keep "
            f"{max(closes, key=len)!r} alone, under the name of the asset, and adjusted for splits."
        )
    if twice := sorted({name for name in head[1:] if head[1:].count(name) > 1}):
        raise SettingError(
            f"{path}: got {head[1:].count(twice[0])} columns with the head {twice[0]!r}; expected a name of its own "
            "for each asset. Rename them, or leave one out."
        )
    return head, rows[1:]


def _on_one_clock(path: Path, times: Sequence[datetime]) -> list[datetime]:
    """Times as they are, or all of them in UTC."""
    aware = [time for time in times if time.tzinfo is not None]
    if aware and len(aware) < len(times):
        naive = next(time for time in times if time.tzinfo is None)
        raise SettingError(
            f"{path}: got {aware[0].isoformat()} with an offset and {naive.isoformat()} without; expected all times "
            "with one or none. Write the offset to each, such as +00:00, or to none."
        )
    return [time.astimezone(UTC).replace(tzinfo=None) for time in times] if aware else list(times)
