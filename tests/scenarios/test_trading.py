"""Trading: accounts by hand, nothing known too early, gradients that arrive; on prices made up here.

Prices themselves are in `test_trading_prices.py`.
"""

import json
import re
import runpy
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, strategies as some

import selftune as st
from selftune.errors import SettingError
from selftune.metaparams import bind, contextual
from selftune.scenarios import eject, write_story
from selftune.scenarios.trading import DEVELOPMENT_ENDS, measures, telling, trial
from selftune.scenarios.trading.features import tape
from selftune.scenarios.trading.market import LOST, Market, Tape, checked, limited, replay, trade, utility
from selftune.scenarios.trading.rivals import buy_and_hold, rivals
from selftune.scenarios.trading.teaching import Goal, bounds, losses, spec, taught
from selftune.scenarios.trading.trader import Stretch, aim, chooser, drawn, imagined
from selftune.scenarios.trading.trial import FIXED, TUNED, Trial, tried
from selftune.scenarios.trading.walking import Clock, walk, walker

from .trading_setting import made_up

DOCS = Path(__file__).parents[2] / "docs"
SMALL = Clock(5, 40, 10)
TWO = jax.random.split(jax.random.key(3), 2)
WALK = walker(taught(Market(), Goal()), Market(), SMALL)


@pytest.fixture(scope="module")
def tracks():
    since = np.datetime64("2020-04-01")
    return tried(Trial(made_up(420), Market(), SMALL, since=since), (TUNED, FIXED), seeds=2, say=lambda line: None)


def row(returns, volatility, listed=None):
    count = len(returns)
    return Tape(
        jnp.zeros((count, 2)),
        jnp.asarray(returns),
        jnp.asarray(volatility),
        jnp.ones(count) if listed is None else jnp.asarray(listed),
        jnp.zeros(1),
    )


class TestMarket:
    def test_one_trade_by_hand(self):
        market = Market(cost=0.001, slippage=0.1, short=0.25)
        after, ledger = trade(market, jnp.array([0.2, 0.0]), jnp.array([0.5, -0.1]), row([0.02, -0.03], [0.01, 0.02]))
        # Traded .3 and .1, at .001 + .1 * .01 = .002 and .001 + .1 * .02 = .003.
        assert ledger.turnover == pytest.approx(0.4)
        assert ledger.cost == pytest.approx(0.3 * 0.002 + 0.1 * 0.003)
        assert ledger.gross == pytest.approx(0.5 * 0.02 + 0.1 * 0.03)
        assert ledger.net == pytest.approx(0.013 - 0.0009)
        np.testing.assert_allclose(after, [0.5 * 1.02 / 1.0121, -0.1 * 0.97 / 1.0121], rtol=1e-6)

    def test_wealth_is_what_assets_and_cash_add_up_to(self, float64):
        series = tape(made_up())
        _, ledger = replay(chooser(drawn(jax.random.key(0), 2, 2), 0.25), Market(), series, jnp.zeros(2))
        wealth, holdings, cash = 1.0, np.zeros(2), 1.0
        for t in range(len(ledger.net)):  # the same in units of money
            wanted = np.asarray(ledger.weights[t]) * wealth
            cash -= (wanted - holdings).sum() + wealth * float(ledger.cost[t])
            holdings = wanted * (1.0 + np.asarray(series.returns[t]))
            wealth = cash + holdings.sum()
        assert wealth == pytest.approx(float(jnp.prod(1.0 + ledger.net)), rel=1e-12)

    def test_costs_are_always_on(self):
        _, ledger = replay(chooser(drawn(jax.random.key(0), 2, 2), 0.25), Market(), tape(made_up()), jnp.zeros(2))
        traded = np.asarray(ledger.turnover) > 1e-6
        assert traded[21:].all()
        assert (np.asarray(ledger.cost)[traded] >= 0.00049 * np.asarray(ledger.turnover)[traded]).all()

    @given(some.lists(some.floats(-5, 5), min_size=1, max_size=4), some.floats(0, 1))
    def test_limits_hold_whatever_is_wanted(self, weights, short):
        kept = np.asarray(limited(jnp.asarray(weights), short))
        assert np.maximum(kept, 0).sum() <= 1.0 + 1e-5
        assert np.maximum(-kept, 0).sum() <= short + 1e-5

    @given(some.lists(some.floats(-20, 20), min_size=3, max_size=3), some.floats(0.05, 1))
    def test_a_policy_aims_within_the_limits(self, level, short):
        policy = drawn(jax.random.key(0), 3, 2)._replace(level=jnp.asarray(level))
        wanted = aim(policy, row([0.0, 0.0, 0.0], [0.0, 0.0, 0.0], [1.0, 1.0, 0.0]), short)
        np.testing.assert_allclose(limited(wanted, short), wanted, atol=1e-5)
        assert wanted[2] == 0.0

    def test_what_is_not_listed_cannot_be_bought(self):
        _, ledger = trade(Market(), jnp.zeros(2), jnp.array([0.4, 0.4]), row([0.0, 0.0], [0.0, 0.0], [1.0, 0.0]))
        np.testing.assert_allclose(ledger.weights, [0.4, 0.0])

    def test_a_ruin_leaves_a_thousandth_in_cash(self):
        market = Market(short=1.0)
        doubled = row([1.5], [0.01])
        after, ledger = trade(market, jnp.zeros(1), -jnp.ones(1), doubled)
        assert (ledger.gross, ledger.net, after[0]) == (-1.5, pytest.approx(-LOST), 0.0)
        again = jax.tree.map(lambda leaf: jnp.stack([leaf] * 3), doubled)
        _, ledger = replay(lambda held, row: -jnp.ones(1), market, again, jnp.zeros(1))
        assert np.asarray(ledger.net) == pytest.approx([-LOST] * 3)
        quick = imagined(
            drawn(jax.random.key(0), 1, 2)._replace(level=-9.0 * jnp.ones(1)), market, Stretch(again, -after)
        )
        assert np.isfinite(utility(quick.net, 3.0))
        assert min(quick.net.min(), ledger.net.min()) >= -LOST

    @pytest.mark.parametrize(("returns", "slope"), [(1.5, 0.0), (0.5, 0.5 + 0.0005)])
    def test_a_ruin_has_no_gradient_and_all_else_has(self, float64, returns, slope):
        worth = lambda sold: trade(Market(short=1.0), jnp.zeros(1), -sold * jnp.ones(1), row([returns], [0.0]))[1].net  # noqa: E731
        assert jax.grad(worth)(0.9) == pytest.approx(-slope)
        after = lambda sold: trade(Market(short=1.0), jnp.zeros(1), -sold * jnp.ones(1), row([returns], [0.0]))[0][0]  # noqa: E731
        assert np.isfinite(jax.grad(after)(0.9))

    @pytest.mark.parametrize("wrong", [{"cost": 0.0}, {"cost": 5.0}, {"slippage": -1.0}, {"short": 2.0}])
    def test_free_trades_and_other_nonsense_are_refused(self, wrong):
        with pytest.raises(SettingError, match="never free"):
            checked(Market(**wrong))

    def test_utility_by_hand(self):
        net = jnp.array([0.1, -0.5])  # wealth .55
        assert utility(net, 3.0) == pytest.approx((0.55**-2 - 1) / -2)
        assert utility(net, 1.0) == pytest.approx(np.log(0.55))

    def test_what_is_imagined_is_nearly_what_would_be_traded(self, float64):
        series, policy = tape(made_up()), drawn(jax.random.key(0), 2, 2)
        series = jax.tree.map(lambda leaf: leaf[60:], series)
        held = jnp.array([0.3, 0.1])
        _, exact = replay(chooser(policy, 0.25), Market(), series, held)
        quick = imagined(policy, Market(), Stretch(series, held))
        np.testing.assert_allclose(quick.weights, exact.weights, atol=2e-3)
        np.testing.assert_allclose(quick.held, exact.held, atol=2e-3)
        assert quick.turnover.mean() == pytest.approx(float(exact.turnover.mean()), rel=0.02)
        assert quick.net.sum() == pytest.approx(float(exact.net.sum()), abs=1e-3)


class TestNothingIsKnownTooEarly:
    """Whatever comes after row `t` is replaced: all before it stays as it was, to the last bit."""

    def other_future(self, prices, begins):
        values = prices.values.copy()
        values[begins:] = values[begins:][::-1] * 3.0
        return prices._replace(values=values)

    @pytest.mark.parametrize("begins", [80, 101])
    def test_signals_are_one_period_late(self, begins):
        one, other = tape(made_up()), tape(self.other_future(made_up(), begins))
        for name in ("signals", "volatility", "listed", "context"):
            before, after = getattr(one, name), getattr(other, name)
            np.testing.assert_array_equal(before[: begins + 1], after[: begins + 1])
        assert (np.asarray(one.signals[begins + 1]) != np.asarray(other.signals[begins + 1])).any()

    @pytest.mark.parametrize("begins", [101, 103, 106])
    def test_trades_and_metaparameters(self, begins):
        walked = []
        for prices in (made_up(), self.other_future(made_up(), begins)):
            ledger, eta = WALK(tape(prices), TWO)
            walked.append((np.asarray(ledger.weights), {name: np.asarray(value) for name, value in eta.items()}))
        (one, eta), (other, other_eta) = walked
        row = begins - SMALL.start  # what is held on row `begins` has the value of its new price
        np.testing.assert_array_equal(one[:, :row], other[:, :row])
        assert (one[:, row:] != other[:, row:]).any()
        period = row // SMALL.period
        for name in ("risk_aversion", "turnover_cost"):
            np.testing.assert_array_equal(eta[name][:, : period + 1], other_eta[name][:, : period + 1])
            assert (eta[name][:, period + 2 :] != other_eta[name][:, period + 2 :]).any()

    def test_the_judge_sees_nothing_that_was_learned_from(self):
        # Rows of the window end where those of the horizon begin: at the first period exactly at `window`.
        assert SMALL.start - 1 - SMALL.horizon == SMALL.window


class TestLearning:
    def test_the_same_twice(self):
        again = walker(taught(Market(), Goal()), Market(), SMALL)
        one, other = (walk(tape(made_up()), TWO) for walk in (WALK, again))
        jax.tree.map(np.testing.assert_array_equal, one, other)

    def test_shown_volatility_no_context_leads_beyond_the_bounds(self):
        held = bind(spec(Market(), Goal(), contextual(1, ())), ())
        steep = jax.tree.map(lambda leaf: leaf + 9.0, held.init(jax.random.key(0)))
        for name, (lowest, highest) in bounds(Market()).items():
            calm, wild = (float(held.resolve(steep, jnp.full(1, context))[name]) for context in (-9.0, 9.0))
            assert (calm, wild) == pytest.approx((lowest, highest), rel=1e-4)

    def test_fixed_metaparameters_stay(self, tracks):
        assert np.ptp(tracks.by_name[FIXED].eta["risk_aversion"]) == 0
        assert np.ptp(tracks.by_name[TUNED].eta["risk_aversion"]) > 0

    @pytest.mark.parametrize("name", ["risk_aversion", "turnover_cost"])
    def test_meta_gradients_are_finite_differences(self, float64, name):
        market, goal = Market(), Goal()
        _, meta_loss = losses(market, goal)
        series = tape(made_up(assets=2))
        held = jnp.array([0.3, 0.1])
        window = Stretch(jax.tree.map(lambda leaf: leaf[60:120], series), held)
        after = Stretch(jax.tree.map(lambda leaf: leaf[120:160], series), held)
        tuner = taught(market, goal)
        state = tuner.learner.init(drawn(jax.random.key(1), 2, 2), st.values(tuner.spec))
        meta = tuner.init(state)
        batches = jax.tree.map(lambda leaf: leaf[None], window)
        _, _, info = tuner.update(meta, state, batches, after, jax.random.key(0))

        @jax.jit
        def outer(coordinate):
            eta = tuner.problem(state).eta({**meta.meta_params, name: coordinate}, window)
            new, _ = tuner.learner.step(eta, state, window)
            return meta_loss(new.params, new.params, eta, after)[0]

        x, step = meta.meta_params[name], 1e-5
        difference = (outer(x + step) - outer(x - step)) / (2 * step)
        assert abs(float(difference)) > 1e-8
        assert float(info.meta_grad[name]) == pytest.approx(float(difference), rel=1e-4)

    def test_a_tape_that_is_too_short_is_refused(self):
        with pytest.raises(SettingError, match="Give more prices"):
            walk(taught(Market(), Goal()), Market(), SMALL, tape(made_up(50)), jax.random.key(0))
        with pytest.raises(SettingError, match="whole periods"):
            Clock(5, 40, 11).periods(1000)
        with pytest.raises(SettingError, match="Got 55 prices; expected at least 57"):
            SMALL.periods(54)
        assert SMALL.periods(56) == 1

    @pytest.mark.parametrize("rows", [277, 290, 321])
    def test_too_few_periods_for_a_story_are_refused_before_anything_is_learned(self, rows, monkeypatch):
        monkeypatch.setattr(trial, "walker", None)
        with pytest.raises(
            SettingError, match=f"Got {rows} prices; expected at least 322: 250 .*10 whole periods of 5"
        ):
            tried(Trial(made_up(rows), Market()))
        with pytest.raises(SettingError, match="leaves 45 rows; expected at least 10 periods of 5"):
            tried(Trial(made_up(325), Market(), since=np.datetime64("2020-10-01")))

    def test_a_trader_that_is_none_is_refused(self):
        with pytest.raises(SettingError, match="did you mean 'self-tuned'"):
            tried(Trial(made_up(), Market(), SMALL), ("tuned",))
        with pytest.raises(SettingError, match="trading ends at 2020-07"):
            tried(Trial(made_up(), Market(), SMALL, since=np.datetime64("2021-01-01")))

    def test_both_begin_where_they_are_declared(self):
        values = st.values(spec(Market(cost=0.001), Goal(aversion=4.0)))
        assert values["risk_aversion"] == 4.0
        assert values["turnover_cost"] == pytest.approx(0.002)


class TestRivals:
    def test_buy_and_hold_trades_once(self):
        _, ledger = replay(buy_and_hold, Market(), jax.tree.map(lambda leaf: leaf[30:], tape(made_up())), jnp.zeros(2))
        assert ledger.turnover[0] == pytest.approx(1.0)
        assert np.asarray(ledger.turnover[1:]).max() < 2e-3

    def test_volatility_targeting_holds_less_when_volatility_doubles(self):
        _, ledger = replay(rivals(252.0)["volatility targeting"], Market(), tape(made_up()), jnp.zeros(2))
        invested = np.asarray(ledger.weights.sum(axis=1))
        assert invested[150:].mean() < 0.7 * invested[30:100].mean()


class TestMeasures:
    NET = np.array([0.1, -0.1, 0.2, -0.05])

    def test_by_hand(self):
        assert measures.sharpe(self.NET, 4.0) == pytest.approx(2 * 0.0375 / np.sqrt(0.0625 / 4 - 0.0375**2))
        assert measures.sortino(self.NET, 4.0) == pytest.approx(2 * 0.0375 / np.sqrt((0.01 + 0.0025) / 4))
        assert measures.growth(self.NET, 4.0) == pytest.approx(1.1 * 0.9 * 1.2 * 0.95 - 1)
        assert measures.drawdown(self.NET) == pytest.approx(0.1)
        assert measures.drawdown(np.array([-0.2, 0.1, -0.5])) == pytest.approx(1 - 0.8 * 1.1 * 0.5)
        assert measures.certainty_equivalent(np.full(8, 0.01), 4.0, 3.0) == pytest.approx(4 * np.log(1.01))
        halves = measures.certainty_equivalent(np.array([1.0, -0.5]), 1.0, 3.0)  # mean of 2**-2 and .5**-2
        assert halves == pytest.approx(np.log((0.25 + 4.0) / 2) / -2)

    def test_nothing_earned_is_no_error(self):
        assert measures.sharpe(np.zeros(4), 252.0) == 0.0
        assert measures.sortino(np.full(4, 0.01), 252.0) == 0.0

    def test_slow_series_go_together_by_chance(self):
        chance = np.random.default_rng(0)
        quick = chance.standard_normal((1, 400))
        for turned in (quick, -quick):
            assert measures.by_chance(turned, quick, 20) == pytest.approx(1 / 362)  # of 361 shifts none is as far
        wave = np.sin(np.arange(400) * 2 * np.pi / 400)[None]
        assert measures.by_chance(wave, np.roll(wave, 100, axis=1), 20) > 0.4
        broken = np.where(np.arange(wave.shape[1]) == 7, np.nan, wave)
        assert np.isnan(measures.by_chance(broken, wave, 20)), "not: never by chance"

    def test_blocks_are_neighbours_on_a_ring(self):
        rows = measures.rings(10, 4, 50, np.random.default_rng(0))
        assert rows.shape == (50, 10)
        inside = np.delete(np.diff(rows, axis=1) % 10, [3, 7], axis=1)
        assert (inside == 1).all()
        with pytest.raises(SettingError, match="two blocks"):
            measures.rings(10, 6, 1, np.random.default_rng(0))

    def test_intervals_are_the_same_again_and_widen_with_dependence(self):
        chance = np.random.default_rng(0)
        slow = np.convolve(chance.standard_normal(1100), np.ones(50) / 50, "valid")[:1000]
        mean = lambda series: float(series.mean())  # noqa: E731
        wide, narrow = (measures.interval(mean, slow, block=block, resamples=300) for block in (100, 1))
        assert wide == measures.interval(mean, slow, block=100, resamples=300)
        assert wide.high - wide.low > 2 * (narrow.high - narrow.low)


class TestStory:
    @pytest.fixture
    def told(self, tracks):
        return telling.story([tracks], resamples=20)

    def test_it_is_complete(self, told, tmp_path):
        page = write_story(told, tmp_path, "selftune scenario trading").read_text()
        rows = json.loads((tmp_path / "results.json").read_text())["rows"]
        assert {row["name"] for row in rows} >= {TUNED, FIXED, "buy and hold", "volatility targeting"}
        assert "No promise of profit" in page
        assert all(len(row) == len(table.columns) for table in told.tables for row in table.rows)
        assert "volatility" in told.summary[0]

    def test_the_crisis_is_told_where_it_was(self, tracks):
        moved = tracks._replace(times=tracks.times - np.timedelta64(4250, "D"))
        assert not any("Through the crisis" in sentence for sentence in telling.story([tracks], 3).summary)
        assert any("Through the crisis" in sentence for sentence in telling.story([moved], 3).summary)

    def test_fixed_against_fixed_is_not_told(self, told):
        by_name = {row["name"]: row for row in told.rows}
        assert by_name[FIXED]["above_fixed"] is None
        gain = by_name[TUNED]["utility"]["estimate"] - by_name[FIXED]["utility"]["estimate"]
        assert by_name[TUNED]["above_fixed"]["estimate"] == pytest.approx(gain)
        assert "risk_aversion" not in by_name[FIXED]["follows"]


class TestOnesOwn:
    def changed(self, code):
        """The change that the guide shows."""
        (shown,) = re.findall(r"```diff\n(.*?)```", (DOCS / "trading.md").read_text(), re.DOTALL)
        blocks = re.findall(r"((?:^-.*\n)+)((?:^\+.*\n)+)", shown, re.M)
        assert 0 < len(shown.splitlines()) < 20
        for old, new in blocks:
            old, new = (re.sub("^.", "", part, flags=re.M) for part in (old, new))
            assert old in code
            code = code.replace(old, new)
        return code

    def test_the_skeleton_reports_what_nothing_was_chosen_on(self, tmp_path, monkeypatch):
        eject("trading", tmp_path / "mine")
        asked = []

        def record(trial, seeds):
            asked.append(trial)
            raise SettingError("enough")

        monkeypatch.setattr("selftune.scenarios.trading.packaged", lambda name: made_up())
        monkeypatch.setattr("selftune.scenarios.trading.tried", record)
        main = runpy.run_path(str(tmp_path / "mine" / "main.py"))["main"]
        with pytest.raises(SettingError, match="enough"):
            main()
        assert asked[0].since == DEVELOPMENT_ENDS

    def test_the_skeleton_trades_a_table_of_ones_own(self, tmp_path, monkeypatch, capsys):
        mine = tmp_path / "mine"
        eject("trading", mine)
        monkeypatch.chdir(tmp_path)
        main = mine / "main.py"
        assert len(main.read_text().splitlines()) < 80
        main.write_text(self.changed(main.read_text()))
        prices = made_up(330)
        days = np.datetime_as_string(prices.times, "D")
        rows = [f"{day},{one:.4f},{other:.4f}" for day, (one, other) in zip(days, prices.values, strict=True)]
        (mine / "prices.csv").write_text("\n".join(["day,MINE,YOURS", *rows]) + "\n")
        runpy.run_path(str(main), run_name="__main__")
        told = capsys.readouterr().out
        assert "risk_aversion: " in told
        assert "prices, 2020-" in told
        assert "never sells short" in told
        assert "rows: too few to tell anything from luck" in told
        assert (mine / "report" / "report.html").is_file()
        assert not (tmp_path / "report").exists()
