"""Prices: a table of one's own, what is refused in it, what is delisted, and the real ones that packages ship.

What needs those packages is skipped where they are not installed.
"""

import importlib.util
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from selftune.errors import MissingExtraError, SettingError
from selftune.scenarios import Ask
from selftune.scenarios.trading import DEVELOPMENT_ENDS, market, telling
from selftune.scenarios.trading.features import tape
from selftune.scenarios.trading.packaged import SOURCES, located, packaged
from selftune.scenarios.trading.prices import JumpNotice, Prices, checked
from selftune.scenarios.trading.reading import read_csv
from selftune.scenarios.trading.teaching import Goal, about_the_premium
from selftune.scenarios.trading.trader import Stretch, chooser, drawn, imagined
from selftune.scenarios.trading.trial import realised

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
        ("2020-01-01,1,1\n2020-01-02,,1\n2020-01-03,1,1\n", "A: got no price at 2020-01-02.*gaps are errors"),
        ("2020-01-01,1,1\n2020-01-02,,\n", "got no price at 2020-01-02.*Leave the row out"),
        ("2020-01-01,1,1\n2020-01-02,inf,1\n", "got inf"),
        ("2020-01-02,1,1\n2020-01-01,1,1\n", "2020-01-01.* follows 2020-01-02.*Sort the rows"),
        ("2020-01-02,1,1\n2020-01-02,1,1\n", "each once"),
        ("2020-01-01,1,1\n2020-02-01,1,1\n", "no gap above 7 days.*Fill in"),
        ("2020-01-01,1,\n2020-01-02,1,\n", "there is no price"),
        ("2020-01-01,1,1\n\n\nyesterday,1,1\n", "line 5: got 'yesterday,1,1'"),
        ("2020-01-01T00:00Z,1,1\n2020-01-02,1,1\n", "with an offset and 2020-01-02.*without"),
        ("2020-01-01,1,1\n2020-01-02,1\n", "and 2 prices"),
        ("2020-01-01,1,1\n", "at least 2 times"),
        ("2020-01-01,1,1\n2020-01-02,1_5,1\n", "line 3: got '2020-01-02,1_5,1'"),
    ],
)
def test_what_cannot_be_traded_is_refused(tmp_path, rows, told):
    (tmp_path / "mine.csv").write_text("day,A,B\n" + rows)
    with pytest.raises(SettingError, match=told):
        read_csv(tmp_path / "mine.csv")


def test_files_that_are_none(tmp_path):
    with pytest.raises(SettingError, match="no file"):
        read_csv(tmp_path / "none.csv")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"", "got '' as its first line; expected heads with commas"),
        (b"day;A;B\n2020-01-01;1;1\n", "got 'day;A;B'.*commas between them, and not semicolons"),
        (b"day,A,A\n2020-01-01,1,1\n2020-01-02,1,1\n", "2 columns with the head 'A'"),
        (b"day,A,\n2020-01-01,1,\n2020-01-02,1,\n", "column 3 of 3 has no head"),
        (b"Date,Open,High,Low,Close,Adj Close,Volume\n" + b"2020-01-01,1,1,1,1,1,9\n", "Keep 'Adj Close' alone"),
        (b"day,Close,volume\n2020-01-01,1,1\n2020-01-02,1,1\n", "one column of prices for each asset. Keep 'Close'"),
        (b"Date,Price,Open,High,Low,Vol.\n2020-01-01,1,1,1,1,9\n", "Keep 'Price' alone"),
        (b"Date,Close/Last,Volume\n2020-01-01,1,9\n", "Keep 'Close/Last' alone"),
        ("day,A,B\n2020-01-01,1,1\n".encode("utf-16"), "cannot be read as text.*UTF-8"),
        ("day,Börse\n2020-01-01,1\n".encode("latin-1"), "cannot be read as text.*UTF-8"),
    ],
)
def test_tables_that_are_none(tmp_path, text, told):
    (tmp_path / "mine.csv").write_bytes(text)
    with pytest.raises(SettingError, match=told):
        read_csv(tmp_path / "mine.csv")


def test_a_split_is_told(tmp_path):
    (tmp_path / "mine.csv").write_text("day,A,B\n2020-01-01,8,1\n2020-01-02,8.1,1.9\n2020-01-03,2,1\n2020-01-04,2,1\n")
    with pytest.warns(JumpNotice, match="mine, A: 8.1 at 2020-01-02.* is followed by 2 at 2020-01-03.* 1 of its rows"):
        assert read_csv(tmp_path / "mine.csv").values[2, 0] == 2.0


def test_times_with_an_offset_are_those_of_utc(tmp_path):
    file = tmp_path / "mine.csv"
    file.write_text("day,A\n2020-03-29T00:30+01:00,1\n2020-03-29T03:30+02:00,2\n2020-03-29T02:30Z,3\n")
    assert read_csv(file).times.astype(str).tolist() == [f"2020-03-{t}:30:00" for t in ("28T23", "29T01", "29T02")]


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


def ending(last=120, rows=200):
    """Prices of three, the second of which has none after row `last`."""
    times = np.datetime64("2020-01-01", "s") + np.arange(rows) * np.timedelta64(1, "D")
    chance = np.random.default_rng(0)
    values = 100.0 * np.exp(np.cumsum(0.01 * chance.standard_normal((rows, 3)), axis=0))
    values[last + 1 :, 1] = np.nan
    return checked(Prices("made up", times, ("A", "B", "C"), values))


def test_what_is_delisted_is_sold_at_its_last_price_one_row_late():
    series = tape(ending())
    assert all(np.isfinite(leaf).all() for leaf in series)
    assert not np.asarray(series.returns[120:, 1]).any()
    assert np.asarray(series.listed[:, 1]).tolist() == [0.0] * 21 + [1.0] * 101 + [0.0] * 77
    for one in (series.signals, series.volatility):
        assert not np.asarray(one[122:, 1]).any()
    half = jnp.array([0.3, 0.4, 0.3])
    _, ledger = market.replay(lambda held, row: half, market.Market(), series, jnp.zeros(3))
    weights, turnover = np.asarray(ledger.weights[:, 1]), np.asarray(ledger.turnover)
    assert weights[120:123] == pytest.approx([0.4, 0.4, 0.0])
    assert not weights[122:].any()
    assert turnover[122] > 0.4 > 0.1 > turnover[123]
    assert ledger.cost[122] >= 0.0005 * 0.4


def test_what_is_delisted_is_in_no_mean():
    whole, ended = tape(ending()), tape(ending()._replace(assets=("A", "C"), values=ending().values[:, ::2]))
    np.testing.assert_allclose(whole.context[122:], ended.context[122:], atol=1e-6)
    np.testing.assert_allclose(realised(whole, 252.0)[122:], realised(ended, 252.0)[122:], rtol=1e-5)


def test_what_stands_still_is_not_in_the_context():
    values = ending().values.copy()
    values[120:, 1] = values[120, 1]
    still, ended = tape(ending()._replace(values=values)), tape(ending())
    np.testing.assert_allclose(still.context[142:], ended.context[142:], atol=1e-6)
    assert (np.abs(np.asarray(still.context[142:])) < 1.0).all()


def test_the_mean_of_what_is_delisted_is_that_of_its_rows():
    series = jax.tree.map(lambda leaf: leaf[60:160], tape(ending()))
    moved = about_the_premium(Stretch(series, jnp.zeros(3)), Goal(premium=0.0)).tape
    np.testing.assert_allclose(moved.returns[:62].mean(axis=0)[1], 0.0, atol=1e-8)
    np.testing.assert_allclose(moved.returns.mean(axis=0)[::2], 0.0, atol=1e-8)


def test_the_mean_of_what_is_newly_listed_is_that_of_its_rows():
    """A premium in place of the mean, not in place of a small part of it: luck at the beginning is no skill."""
    values = ending(last=199).values.copy()
    values[:90, 1] = np.nan
    series = jax.tree.map(lambda leaf: leaf[60:160], tape(ending(last=199)._replace(values=values)))
    listed = np.asarray(series.listed[:, 1]) > 0
    assert 40 < listed.sum() < 60
    moved = about_the_premium(Stretch(series, jnp.zeros(3)), Goal(premium=0.252)).tape
    np.testing.assert_allclose(np.asarray(moved.returns[:, 1])[listed].mean(), 1e-3, rtol=1e-4)
    np.testing.assert_allclose(np.asarray(moved.returns[:, 0]).mean(), 1e-3, rtol=1e-4)


@pytest.mark.parametrize("hours", [1, 36])
def test_a_gap_may_be_a_part_of_a_day(hours):
    times = np.datetime64("2020-01-01", "s") + np.arange(4) * np.timedelta64(hours, "h")
    prices = Prices("made up", times, ("A",), np.full((4, 1), 100.0))
    assert checked(prices, 1.1 * hours / 24) is prices
    with pytest.raises(SettingError, match="expected no gap above"):
        checked(prices, 0.9 * hours / 24)


def test_what_is_imagined_ends_where_an_asset_does(float64):
    series = jax.tree.map(lambda leaf: leaf[60:160], tape(ending()))
    policy, held = drawn(jax.random.key(0), 3, 2), jnp.array([0.3, 0.3, 0.1])
    _, exact = market.replay(chooser(policy, 0.25), market.Market(), series, held)
    quick = imagined(policy, market.Market(), Stretch(series, held))
    assert not np.asarray(quick.weights[62:, 1]).any()
    np.testing.assert_allclose(quick.turnover[62], exact.turnover[62], atol=2e-3)


def test_no_delisting_is_known_before():
    one, other = tape(ending()), tape(ending(last=150))
    for before, after in zip(one, other, strict=True):
        np.testing.assert_array_equal(before[:120], after[:120])
    for name in ("signals", "volatility", "listed", "context"):
        before, after = getattr(one, name), getattr(other, name)
        np.testing.assert_array_equal(before[:122], after[:122])
        assert (np.asarray(before[122]) != np.asarray(after[122])).any()


def test_packages_are_asked_for_by_name():
    with pytest.raises(MissingExtraError, match=r"selftune\[trading\]"):
        located("no_such_package_of_prices", "prices.csv")
    with pytest.raises(MissingExtraError, match=r"numpy is installed, but there is no no/prices.csv in .*--upgrade"):
        located("numpy", "no", "prices.csv")
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
    assert [trial.prices.chosen_before for trial in whole] == [DEVELOPMENT_ENDS, None, None]


@needs_packages
def test_real_prices_are_read_without_importing_what_ships_them():
    shapes = {name: packaged(name).values.shape for name in SOURCES}
    assert shapes == {"indices": (5031, 2), "stocks": (3270, 5), "eurusd": (6225, 1)}
    assert packaged("indices").periods_per_year == pytest.approx(251.6, abs=0.2)
    assert not {"arch", "bokeh_sampledata", "gym_anytrading"} & set(sys.modules)
