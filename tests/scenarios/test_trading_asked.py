"""What a trial is asked: prices, a goal and a time that make no sense are refused before anything is learned."""

import numpy as np
import pytest

import selftune as st
from selftune.errors import SettingError
from selftune.scenarios.trading import trial
from selftune.scenarios.trading.market import Market
from selftune.scenarios.trading.teaching import Goal, spec
from selftune.scenarios.trading.trial import Trial, tried

from .trading_setting import made_up


@pytest.mark.parametrize("wrong", [0.0, -1.0, np.nan])
def test_prices_that_are_none_are_refused_wherever_they_come_from(wrong, monkeypatch):
    monkeypatch.setattr(trial, "walker", None)
    prices = made_up(400)
    values = prices.values.copy()
    values[100, 0] = wrong
    with pytest.raises(SettingError, match="expected a price above 0 at every time"):
        tried(Trial(prices._replace(values=values), Market()))
    with pytest.raises(SettingError, match="expected times that ascend"):
        tried(Trial(prices._replace(times=prices.times[::-1]), Market()))


@pytest.mark.parametrize(
    ("goal", "told"),
    [
        (Goal(aversion=0.2), "between 0.3 and 100"),
        (Goal(aversion=150), "between 0.3 and 100"),
        (Goal(premium=np.nan), "a finite premium"),
        (Goal(periods_per_year=0), "above 0 periods"),
    ],
)
def test_a_goal_that_no_trader_can_pursue_is_refused(goal, told, monkeypatch):
    monkeypatch.setattr(trial, "walker", None)
    with pytest.raises(SettingError, match=told):
        tried(Trial(made_up(400), Market(), goal=goal))
    assert st.values(spec(Market(), Goal(aversion=5)))["risk_aversion"] == 5.0


def test_a_year_of_other_prices_is_refused(monkeypatch):
    monkeypatch.setattr(trial, "walker", None)
    for year in (252.0 * 24, 52.0):
        with pytest.raises(SettingError, match=rf"periods_per_year={year:g}\), but made up has 365.25 prices a year"):
            tried(Trial(made_up(400), Market(), goal=Goal(periods_per_year=year)))


def test_results_are_counted_from_whole_periods_on():
    times = made_up(60).times
    for since in (times[7], times[7].astype(object), times[7].astype(object).date(), str(times[7])):
        assert trial._first(times, since, 5) == 10
    assert trial._first(times, times[10], 5) == 10
    assert trial._first(times, None, 5) == 0
    for wrong in ("yesterday", np.datetime64("NaT")):
        with pytest.raises(SettingError, match="expected a time such as"):
            trial._first(times, wrong, 5)
