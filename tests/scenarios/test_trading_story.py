"""The story of trading says what was run, in its own units, and no more than its rows can bear; on tracks made up here.

The tracks are random numbers: nothing learns.
"""

import numpy as np
import pytest

from selftune.errors import SettingError
from selftune.experiments.statistics import Interval
from selftune.scenarios.trading import DEVELOPMENT_ENDS, FIXED, TUNED, Clock, Goal, Market, Prices, Tracks, Trial
from selftune.scenarios.trading.findings import block, chances, change, finding
from selftune.scenarios.trading.measures import interval
from selftune.scenarios.trading.telling import story
from selftune.scenarios.trading.trial import Track
from selftune.scenarios.trading.wording import simple

ETA = ("risk_aversion", "turnover_cost")
PRICES = Prices("mine", np.array(["2004-01-01"], "datetime64[s]"), ("A",), np.ones((1, 1)))


def tracks(rows=300, prices=PRICES, begins="2004-01-01", gain=0.0, stands=False, **asked):
    """Two traders and a rule, as if they had traded a row a day."""
    random = np.random.default_rng(0)

    def track(gain, *moving):
        net = gain + 0.01 * np.random.default_rng(1).standard_normal((2, rows))
        tuned = {name: np.exp(0.1 * random.standard_normal((2, rows))) ** (name in moving) for name in ETA}
        return Track(net, random.uniform(0, 0.1, (2, rows)), random.uniform(0, 1, (2, rows)), tuned)

    by_name = {TUNED: track(gain, *(() if stands else ETA)), FIXED: track(0.0), "a rule": track(0.0)}
    times = np.datetime64(begins, "s") + np.arange(rows) * np.timedelta64(1, "D")
    volatility = 0.2 * np.exp(0.1 * random.standard_normal(rows))
    return Tracks(Trial(prices, **{"market": Market(), **asked}), times, volatility, by_name)


def told(*all_tracks):
    return story(list(all_tracks), resamples=50, say=lambda line: None)


class TestAnyClock:
    @pytest.mark.parametrize(
        ("clock", "rows", "changes"),
        [
            (Clock(), 300, 60),
            (Clock(), 50, 10),
            (Clock(61, 122, 122), 18 * 61, 61),
            (Clock(24, 480, 96), 2000, 48),
            (Clock(121, 242, 121), 10 * 121, 121),
        ],
    )
    def test_changes_are_told_over_the_rows_they_are_taken_over(self, clock, rows, changes):
        one = tracks(rows, clock=clock)
        assert change(one) == changes
        out = told(one)
        assert f"changes over {changes} rows" in out.summary[0]
        assert f"of both over {changes} rows" in out.tables[2].note
        assert not any(word in " ".join(out.summary) for word in ("quarter", "week"))

    def test_a_shift_of_nothing_is_itself_alone(self):
        one = tracks(20 * 121, clock=Clock(121, 242, 121))
        risk = np.repeat(np.random.default_rng(0).permutation(20) + 1.0, 121)
        track = one.by_name[TUNED]._replace(eta={"risk_aversion": risk[None]})
        assert chances(one._replace(volatility=risk), track)["risk_aversion"] == 1 / 20

    def test_what_was_not_listed_is_left_out(self):
        one = tracks(300)
        one.volatility[:100] = 0.0
        assert finding(one, TUNED, 20).follows.keys() == {*ETA, "turnover", "invested", "changes"}
        one.volatility[:] = 0.0
        assert not finding(one, TUNED, 20).follows
        assert "did not move" in told(one).summary[0]

    def test_risk_aversion_that_stands_is_no_error(self):
        assert "risk aversion did not move" in told(tracks(stands=True)).summary[0]


class TestHowSure:
    def test_there_are_ten_blocks(self):
        assert [block(rows) for rows in (10, 15, 40, 200, 1199, 1200, 3000)] == [1, 1, 4, 20, 119, 120, 120]
        assert [block(periods, 0) for periods in (4, 300)] == [1, 1]
        assert "blocks of 30 rows, 10 of 300 rows" in told(tracks(300)).tables[0].note

    def test_intervals_hold_the_mean_about_as_often_as_is_told(self):
        random = np.random.default_rng(0)
        mean = lambda series: float(series.mean())  # noqa: E731
        series = random.standard_normal((200, 200))
        found = [interval(mean, one, block=block(200), resamples=200, seed=seed) for seed, one in enumerate(series)]
        assert 0.85 < np.mean([one.low <= 0.0 <= one.high for one in found]) < 0.95

    @pytest.mark.parametrize(("cycles", "verdict"), [(3, "cannot be said to have followed"), (0, "was low when")])
    def test_series_as_slow_as_chance_are_not_said_to_go_together(self, cycles, verdict):
        one = tracks(1500)
        weeks = np.arange(300)
        level = np.sin(2 * np.pi * cycles * weeks / 300) if cycles else np.random.default_rng(0).standard_normal(300)
        late = -np.repeat(np.roll(level, 10 if cycles else 0), 5)
        by_name = {
            name: track._replace(eta={**track.eta, "risk_aversion": np.exp(late)[None]})
            for name, track in one.by_name.items()
        }
        one = one._replace(by_name=by_name, volatility=np.exp(np.repeat(level, 5)))
        assert finding(one, TUNED, 50).follows["risk_aversion"].high < 0.0
        assert f"risk aversion {verdict}" in told(one).summary[0]

    @pytest.mark.parametrize(
        ("rows", "gain", "verdict"),
        [
            (300, 0.01, "The trader beat the best simple rule: a rule"),
            (300, 0.0, "Whether the trader beats simple rules cannot be told"),
            (300, -0.01, "Simple rules are hard to beat"),
            (199, -0.01, "Whether the trader beats simple rules cannot be told"),
        ],
    )
    def test_rules_are_hard_to_beat_where_they_were_not_beaten(self, rows, gain, verdict):
        assert verdict in told(tracks(rows, gain=gain)).summary[1]

    @pytest.mark.parametrize(("gain", "verdict"), [(0.01, "more than luck explains"), (-0.01, "luck does not explain")])
    def test_few_rows_are_told_from_luck_by_nobody(self, gain, verdict):
        assert verdict in told(tracks(200, gain=gain)).summary[0]
        few = told(tracks(199, gain=gain)).summary[0]
        assert "199 rows: too few to tell anything from luck" in few
        assert verdict not in few

    def test_a_logarithm_is_told_as_a_return(self):
        assert simple(Interval(np.log(1.1), np.log(0.5), np.log(2.0))) == "10.0% (-50.0% to 100.0%)"
        assert simple(None) == ""
        one = tracks(300)
        (row,) = (row for row in told(one).tables[0].rows if row[0] == TUNED)
        found = finding(one, TUNED, 50)
        assert row[1] == simple(found.utility)
        assert row[1].startswith(f"{np.expm1(found.utility.estimate):.1%}")


class TestWhatWasRun:
    def test_the_year_of_the_goal_is_told(self):
        assert "365 rows count as a year" in told(tracks(goal=Goal(periods_per_year=365.0))).tables[0].note

    def test_selling_short_is_told_where_it_is_allowed(self):
        never, some = told(tracks(market=Market(short=0.0))), told(tracks(market=Market(short=0.25)))
        for out, allowed in ((never, False), (some, True)):
            text = " ".join((*out.summary, *out.limits))
            assert ("may sell short" in text) == ("shorting costs nothing" in text) == allowed
            assert ("never sells short" in text) != allowed
        assert "Up to 25% of the wealth may be sold short" in some.tables[0].note

    def test_own_prices_are_not_said_to_be_those_that_choices_were_made_on(self):
        early, late = (" ".join(told(tracks(begins=begins)).limits) for begins in ("2004-01-01", "2020-01-01"))
        for text, begins in ((early, "2004-01-01"), (late, "2020-01-01")):
            assert f"mine: nothing was chosen on these prices here, and they are reported from {begins} on" in text
        assert "Other markets of the same years" in early
        assert "Other markets of the same years" not in late

    def test_rows_that_choices_were_made_on_are_said_to_be_no_evidence(self):
        seen = PRICES._replace(name="indices", chosen_before=DEVELOPMENT_ENDS)
        inside, after = (" ".join(told(tracks(prices=seen, begins=day)).limits) for day in ("2004-01-01", "2007-01-03"))
        assert "reported from 2004-01-01 on. What is said of the rows between is no evidence" in inside
        assert "indices: the choices were made on these prices before 2007-01-01; they are reported from 2007" in after
        assert "no evidence" not in after

    def test_a_story_needs_the_fixed_trader_too(self):
        one = tracks()
        alone = one._replace(by_name={TUNED: one.by_name[TUNED]})
        with pytest.raises(SettingError, match="got tracks of self-tuned; expected 'fixed' among them"):
            told(alone)
