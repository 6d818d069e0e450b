"""What a change costs: recoveries are those of a hand calculation, and verdicts those of their intervals."""

import numpy as np
import pytest

import selftune as st
from selftune.errors import SettingError
from selftune.scenarios.robotics import figures, sentences
from selftune.scenarios.robotics.measures import against, cost, row, updates_before, windows
from selftune.scenarios.robotics.robots import ICE

from .robotics_setting import SPEED, course


def test_recovery_by_hand():
    own = cost(course(SPEED, falls=[1, 0, 0, 0, 2, 0, 1, 0, 0]), before=4, window=2)
    # Before: (2 + 2) / 2. Windows after: .5, 1.5, 2.5, 3; .9 * 2 = 1.8 is reached by the third, which ends at point 4.
    assert (own.before, own.lowest, own.last) == (2.0, 0.5, 3.0)
    assert (own.recovery, own.recovered) == (400.0, True)
    assert own.reward == pytest.approx((0 + 1 + 2 + 3 + 3) * 100 / 1000)
    assert own.distance == pytest.approx(1.8)
    assert own.falls == pytest.approx(3 / 500 * 1e5)


def test_who_does_not_recover_counts_with_all_that_was_seen():
    own = cost(course([4.0, 4.0, 1.0, 2.0, 3.0]), before=2, window=2)
    assert (own.recovery, own.recovered) == (300.0, False)


def test_who_never_slows_down_has_nothing_to_recover():
    own = cost(course([2.0] * 6), before=2, window=3)
    assert (own.recovery, own.recovered) == (0.0, True)
    assert cost(course([2.0] * 4), before=2, window=9).recovery == 0.0


def test_who_falls_late_has_not_recovered_before():
    own = cost(course([2.0] * 5 + [0.0, 0.0, 1.0, 3.0]), before=2, window=2)
    # Windows after: 2, 2, 1, 0, .5, 2; the sixth is back, and ends at point 7.
    assert (own.recovery, own.recovered) == (700.0, True)
    assert not cost(course([2.0] * 5 + [0.0, 0.0]), before=2, window=2).recovered


@pytest.mark.parametrize("before", [0.0, -1.0])
def test_who_had_no_speed_has_none_to_come_back_to(before):
    own = cost(course([before] * 2 + [0.0] * 3), before=2, window=2)
    assert (own.recovery, own.recovered) == (300.0, False)


@pytest.mark.parametrize("before", [0, 4])
def test_a_change_before_or_after_all_is_refused(before):
    with pytest.raises(SettingError, match="expected at least 1 and fewer than the course's 4"):
        cost(course([2.0] * 4), before=before, window=1)


def test_a_change_comes_between_two_updates():
    late = st.Drift([st.Change("x", factors=[1.0, 0.5], start=1024, every=1024)])
    assert updates_before(late, 512) == 4
    with pytest.raises(SettingError, match=r"change at step 2,048; expected a multiple of 1,000"):
        updates_before(late, 1000)


@pytest.mark.parametrize(
    ("changes", "updates"),
    [
        ([{"field": "x", "factors": [1.0, 2.0], "every": 2048}, {"field": "y", "factors": [1, 2], "every": 512}], 1),
        ([{"field": "x", "factors": [1.0, 1.0, 0.1], "every": 1024}], 4),
        ([{"field": "x", "factors": [1.0, 0.1], "every": 1024, "start": 1536, "kind": "gradual"}], 3),
        ([{"field": "x", "factors": [1.0, 1.0, 0.1], "every": 512, "kind": "gradual"}], 1),
        ([{"field": "x", "factors": [1.0, 1.0], "every": 512}, {"field": "y", "factors": [1, 2], "every": 1024}], 2),
    ],
)
def test_the_first_change_is_the_first_that_is_felt(changes, updates):
    """Whatever the order: a change that was taken for a later one had lain in what came before it."""
    assert updates_before(st.Drift([st.Change(**change) for change in changes]), 512) == updates


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ([], "Nothing changes"),
        ([{"field": "x", "factors": [0.1], "every": 512}], "Nothing changes"),
        ([{"field": "x", "factors": [1.0, 0.1], "every": 512, "kind": "gradual"}], "x begins to change at step 0"),
    ],
)
def test_without_anything_before_there_is_nothing_to_compare_with(changes, told):
    with pytest.raises(SettingError, match=told):
        updates_before(st.Drift([st.Change(**change) for change in changes]), 512)


def test_windows_by_hand():
    np.testing.assert_allclose(windows(np.array([1.0, 2.0, 6.0]), 2), [1.5, 4.0])
    np.testing.assert_allclose(windows(np.array([1.0, 2.0, 6.0]), 7), [3.0])


def test_ratios_are_of_equal_seeds_and_of_nothing_where_there_is_none():
    slow, fast = cost(course(SPEED), 4, 2), cost(course([4, 4, 2, 2, 0, 2, 2, 3, 3]), 4, 2)
    assert against([fast, fast], [slow, slow], "recovery", 0) == pytest.approx((0.75, 0.75, 0.75))
    lost = cost(course(SPEED, reward=[-1.0] * 9), 4, 2)
    assert against([fast], [lost], "reward", 0) is None
    told = row("a", "ppo", ICE, "fixed agent", [slow], [lost], 0)
    assert told["reward_ratio"] is None
    assert told["recovery_ratio"] == pytest.approx(1.0)


def test_a_trailing_mean_stays_on_its_side_of_the_change():
    np.testing.assert_allclose(figures.trailing(np.array([1.0, 3.0, 5.0, 9.0]), 2, 2), [1.0, 2.0, 5.0, 7.0])


def test_a_change_that_costs_nothing_is_told_as_such():
    told = cost(course([2.0] * 9), 4, 2)
    own, fixed = (row("HalfCheetah-v5", "ppo", ICE, name, [told], [told], 0) for name in ("self-tuned", "fixed agent"))
    assert "There is nothing to recover from" in sentences.sentence(ICE, own, fixed)
    assert "for which there was nothing to recover from, and 1.1 times its reward, which is not" in sentences.verdict(
        own, fixed
    )


def test_a_change_that_costs_one_run_something_has_no_ratio():
    none, some = cost(course([2.0] * 9), 4, 2), cost(course(SPEED), 4, 2)
    own, fixed = (
        row("HalfCheetah-v5", "ppo", ICE, name, told, [none, some], 0)
        for name, told in (("self-tuned", [some, some]), ("fixed agent", [none, some]))
    )
    assert "no ratio, for in some runs there is nothing to recover from" in sentences.sentence(ICE, own, fixed)
    assert "None" not in sentences.sentence(ICE, own, fixed)
    assert "fixed agent's steps, of which no ratio can be told" in sentences.verdict(own, fixed)


def test_a_bar_within_an_interval_is_said_to_be():
    own = {"recovery": 1.0, "recovery_ratio": 0.6, "recovery_low": 0.4, "recovery_high": 0.9}
    own |= {"reward_ratio": 1.05, "reward_low": 1.0, "reward_high": 1.08}
    told = sentences.verdict(own, own)
    assert "which is reached (0.60 [0.40, 0.90], though the interval holds both)" in told
    assert "which is not reached (1.05 [1.00, 1.08])" in told


def test_who_earned_most_by_luck_is_not_said_to_have():
    one = cost(course(SPEED), 4, 2)
    earned = {"a": (1, 5, 2, 4, 3), "b": (3, 2, 3, 3, 2), "c": (0,) * 5}
    many = {name: [one._replace(reward=float(reward)) for reward in rewards] for name, rewards in earned.items()}
    assert sentences.earned_most(many, 0) is None
    assert sentences.earned_most({name: many[name] for name in "ac"}, 0) == "a"
    assert sentences.earned_most({name: many[name][:4] for name in "ac"}, 0) is None, "four runs tell nothing"
