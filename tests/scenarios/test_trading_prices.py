"""Prices: a table of one's own, what is refused in it, and the real ones that packages ship.

What needs those packages is skipped where they are not installed.
"""

import importlib.util
import sys

import numpy as np
import pytest

from selftune.errors import MissingExtraError, SettingError
from selftune.scenarios import Ask
from selftune.scenarios.trading import market, telling
from selftune.scenarios.trading.features import tape
from selftune.scenarios.trading.packaged import SOURCES, located, packaged
from selftune.scenarios.trading.prices import Prices, checked, read_csv

PACKAGES = all(importlib.util.find_spec(source.package) for source in SOURCES.values())
needs_packages = pytest.mark.skipif(not PACKAGES, reason="the packages of selftune[trading] are not installed")


def test_a_table_of_ones_own(tmp_path):
    file = tmp_path / "mine.csv"
    file.write_text("day,A,B\n2020-01-01,1.5,\n2020-01-02,1.6,7\n2020-01-03,1.4,8\n")
    prices = read_csv(file)
    assert (prices.name, prices.assets, prices.values.shape) == ("mine", ("A", "B"), (3, 2))
    assert np.isnan(prices.values[0, 1])
    assert prices.periods_per_year == pytest.approx(365.25)


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ("2020-01-01,1,1\n2020-01-02,0,1\n", "got 0.0 at 2020-01-02.*expected a price above 0"),
        ("2020-01-01,1,1\n2020-01-02,-3,1\n", "got -3.0"),
        ("2020-01-01,1,1\n2020-01-02,,1\n", "empty cells are errors"),
        ("2020-01-01,1,1\n2020-01-02,inf,1\n", "got inf"),
        ("2020-01-02,1,1\n2020-01-01,1,1\n", "2020-01-01.* follows 2020-01-02.*Sort the rows"),
        ("2020-01-02,1,1\n2020-01-02,1,1\n", "each once"),
        ("2020-01-01,1,1\n2020-02-01,1,1\n", "no gap above 7 days.*Fill in"),
        ("2020-01-01,1,\n2020-01-02,1,\n", "there is no price"),
        ("2020-01-01,1,1\nyesterday,1,1\n", "row 3: got 'yesterday,1,1'"),
        ("2020-01-01,1,1\n2020-01-02,1\n", "and 2 prices"),
        ("2020-01-01,1,1\n", "at least 2 times"),
    ],
)
def test_what_cannot_be_traded_is_refused(tmp_path, rows, told):
    (tmp_path / "mine.csv").write_text("day,A,B\n" + rows)
    with pytest.raises(SettingError, match=told):
        read_csv(tmp_path / "mine.csv")


def test_files_that_are_none(tmp_path):
    with pytest.raises(SettingError, match="no file"):
        read_csv(tmp_path / "none.csv")
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(SettingError, match="at least 2 times"):
        read_csv(tmp_path / "empty.csv")


def test_an_asset_that_is_listed_later_is_not_traded_before():
    times = np.datetime64("2020-01-01", "s") + np.arange(200) * np.timedelta64(1, "D")
    values = np.random.default_rng(0).uniform(90.0, 110.0, (200, 2))
    values[:90, 1] = np.nan
    prices = Prices("made up", times, ("A", "B"), values)
    series = tape(checked(prices))
    listed = np.asarray(series.listed)
    assert np.argmax(listed[:, 0]) == 21
    assert np.argmax(listed[:, 1]) == 111  # 20 returns after its first price, one row late
    assert all(np.isfinite(leaf).all() for leaf in series)


def test_packages_are_asked_for_by_name():
    with pytest.raises(MissingExtraError, match=r"selftune\[trading\]"):
        located("no_such_package_of_prices", "prices.csv")
    with pytest.raises(SettingError, match="did you mean 'stocks'"):
        packaged("stock")


@needs_packages
def test_all_that_is_tried_can_be_traded():
    quick, whole = (telling.trials(Ask(quick=quick)) for quick in (True, False))
    assert [trial.prices.name for trial in quick] == ["indices"]
    assert [trial.prices.name for trial in whole] == ["indices", "stocks", "eurusd"]
    for trial in whole:
        market.checked(trial.market)
        assert trial.clock.periods(len(trial.prices.times) - 1) > 100
        assert trial.prices.about


@needs_packages
def test_real_prices_are_read_without_importing_what_ships_them():
    shapes = {name: packaged(name).values.shape for name in SOURCES}
    assert shapes == {"indices": (5031, 2), "stocks": (3270, 5), "eurusd": (6225, 1)}
    assert packaged("indices").periods_per_year == pytest.approx(251.6, abs=0.2)
    assert not {"arch", "bokeh_sampledata", "gym_anytrading"} & set(sys.modules)
