"""Prices."""

import csv
import gzip
import importlib.util
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float


class Prices(NamedTuple):
    name: str
    times: np.ndarray
    assets: tuple[str, ...]
    values: Float[np.ndarray, "T A"]


def location(package, *parts):
    return Path(importlib.util.find_spec(package).submodule_search_locations[0]).joinpath(*parts)


def indices():
    cols = []
    for n in ("sp500", "nasdaq"):
        rows = list(csv.DictReader(gzip.open(location("arch", "data", n, f"{n}.csv.gz"), "rt")))
        cols.append([float(r["Close"]) for r in rows])
        times = np.array([datetime.strptime(r["Date"], "%m/%d/%Y") for r in rows], "datetime64[s]")
    return Prices("indices", times, ("S&P 500", "NASDAQ"), np.array(cols).T)
