"""Real prices that packages ship, read from where they are installed and copied nowhere.

The packages are not imported: `arch` and the others would bring pandas, and more, for a file of text.
"""

import csv
import gzip
import importlib.util
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np

from selftune.errors import MissingExtraError, SettingError, did_you_mean
from selftune.scenarios.trading.prices import Prices, checked, gathered

DEVELOPMENT_ENDS = np.datetime64("2007-01-01")
"""Everything that was chosen by hand was chosen on the two indices before this day."""


class Source(NamedTuple):
    """Where prices come from, and what is to be said of them."""

    package: str
    """As it is imported."""
    read: Callable[[], Prices]
    longest_gap: float
    """Days."""
    about: str
    """Where they come from, and what that does to conclusions."""
    chosen_before: np.datetime64 | None = None
    """As in `Prices`."""


def located(package: str, *parts: str) -> Path:
    """A file of a package that is not imported.

    Raises:
        MissingExtraError: The package is not installed, or has no such file.
    """
    spec, file = importlib.util.find_spec(package), "/".join(parts)
    if spec is None:
        raise MissingExtraError(
            f'{package}, whose package ships {file}, is not installed. To go on: pip install "selftune[trading]"'
        )
    folders = list(spec.submodule_search_locations or ())
    for folder in folders:
        if (path := Path(folder).joinpath(*parts)).is_file():
            return path
    raise MissingExtraError(
        f"{package} is installed, but there is no {file} in {' or '.join(folders) or spec.origin}; expected a version "
        'that ships it. To go on: pip install --upgrade "selftune[trading]"'
    )


def _rows(path: Path) -> list[dict[str, str]]:
    with gzip.open(path, "rt", newline="") if path.suffix == ".gz" else path.open(newline="") as file:
        return list(csv.DictReader(file))


def _indices() -> Prices:
    sources = {"S&P 500": "sp500", "NASDAQ": "nasdaq"}
    tables = [_rows(located("arch", "data", part, f"{part}.csv.gz")) for part in sources.values()]
    times = [datetime.strptime(row["Date"], "%m/%d/%Y") for row in tables[0]]
    if [row["Date"] for row in tables[0]] != [row["Date"] for row in tables[1]]:
        raise SettingError("arch's two indices are of different days; expected those of arch 8. Install that version.")
    closes = [[float(row["Adj Close"]) for row in table] for table in tables]
    return gathered("indices", times, tuple(sources), np.transpose(closes))


def _stocks() -> Prices:
    rows = _rows(located("bokeh_sampledata", "_data", "stocks.csv.gz"))
    days = sorted({row["Date"] for row in rows})
    assets = sorted({row["Ticker"] for row in rows})
    values = np.full((len(days), len(assets)), np.nan)
    where = {day: number for number, day in enumerate(days)}
    for row in rows:
        values[where[row["Date"]], assets.index(row["Ticker"])] = float(row["Adj Close"])
    return gathered("stocks", [datetime.fromisoformat(day) for day in days], assets, values)


def _eurusd() -> Prices:
    rows = _rows(located("gym_anytrading", "datasets", "data", "FOREX_EURUSD_1H_ASK.csv"))
    times = [datetime.strptime(row["Time"], "%d.%m.%Y %H:%M:%S.%f") for row in rows]
    return gathered("eurusd", times, ("EURUSD",), [[float(row["Close"])] for row in rows])


SOURCES: Mapping[str, Source] = {
    "indices": Source(
        "arch",
        _indices,
        7.0,
        "S&P 500 and NASDAQ composite, daily, 1999 to 2018, from the package arch: indices of prices, dividends left "
        "out, held here as if an index could be bought.",
        DEVELOPMENT_ENDS,
    ),
    "stocks": Source(
        "bokeh_sampledata",
        _stocks,
        7.0,
        "AAPL, FB, GOOG, IBM, MSFT, daily, 2000 to 2013, adjusted for splits and dividends, from the package "
        "bokeh-sampledata (public domain, provenance recorded there). Five survivors, chosen after they had won: "
        "whoever holds them did well, which says nothing of choosing stocks, and flatters buy and hold most; only "
        "differences between traders of the same five can be read.",
    ),
    "eurusd": Source(
        "gym_anytrading",
        _eurusd,
        3.0,
        "EURUSD, hourly ask prices of 2017, from the package gym-anytrading: one calm year.",
    ),
}


def packaged(name: str) -> Prices:
    """Prices by the name of their source.

    Args:
        name: A key of `SOURCES`.

    Raises:
        SettingError: There is no such source, or its prices are not what they were.
        MissingExtraError: The package that ships them is not installed.
    """
    if name not in SOURCES:
        raise SettingError(f"There are no prices {name!r}; {did_you_mean(name, SOURCES)}")
    source = SOURCES[name]
    prices = checked(source.read(), source.longest_gap)
    return prices._replace(about=source.about, chosen_before=source.chosen_before)
