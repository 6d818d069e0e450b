import numpy as np
import pytest

from selftune.errors import SettingError
from selftune.experiments.measures import (
    Stream,
    aligned,
    by_regime,
    dead,
    final_return,
    normalised,
    recovery,
    regret,
    segments,
    told,
)

STEPS = np.arange(1, 9) * 10
STREAM = Stream((40,), (0, 1))
LEVEL = np.array([[1.0, 2, 3, 4, 0, 1, 3.7, 4], [4, 4, 4, 4, 0, 0, 0, 0]])


def test_a_point_belongs_to_the_segment_of_its_middle():
    assert segments(STEPS, STREAM).tolist() == [0] * 4 + [1] * 4
    assert segments(STEPS, Stream((36,), (0, 1))).tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert segments(STEPS, Stream((34,), (0, 1))).tolist() == [0, 0, 0, 1, 1, 1, 1, 1]
    with pytest.raises(SettingError, match="one more"):
        segments(STEPS, Stream((40,), (0,)))


def test_a_regime_that_comes_again_is_one():
    levels, shares = by_regime(LEVEL, STEPS, Stream((20, 40, 60), (0, 1, 0, 2)))
    # Regime 0: points 1, 2, 5, 6: (1 + 2 + 0 + 1) / 4; regime 1: (3 + 4) / 2; regime 2: (3.7 + 4) / 2.
    assert levels[0] == pytest.approx([1.0, 3.5, 3.85])
    assert shares == pytest.approx([0.5, 0.25, 0.25])


def test_normalised_return_is_0_for_the_random_policy_and_1_for_the_best_fixed_setting():
    random, best, shares = np.array([10.0, -500]), np.array([110.0, -100]), np.array([0.25, 0.75])
    levels = np.array([random, best, [60.0, 100.0]])
    # .25 * 50 / 100 + .75 * 600 / 400
    assert normalised(levels, random, best, shares) == pytest.approx([0.0, 1.0, 1.25])


def test_a_regime_in_which_nothing_can_be_won_does_not_outweigh_the_others():
    random, best = np.array([0.0, 0.0]), np.array([100.0, 0.1])
    # The second gap counts as 5: 1 + .5 * 0 / 100 + .5 * .9 / 5
    assert normalised(np.array([[100.0, 1.0]]), random, best, np.array([0.5, 0.5])) == pytest.approx([1.09])
    assert normalised(best[None], random, best, np.array([0.5, 0.5])) == pytest.approx([1.0])


def test_regret_is_what_the_reference_had_more():
    assert regret(np.array([[1.0, 2.0]]), np.array([3.0, 6.0]), np.array([0.75, 0.25])) == pytest.approx([2.5])


def test_recovery_takes_until_ninety_per_cent_of_the_level_before_are_back():
    # Before: the last point of four, 4; 90 % of it above 0 is 3.6. Windows of 1: 0, 1, 3.7 at 70 = 30 after the change.
    none = np.zeros(2)
    assert recovery(LEVEL, STEPS, STREAM, none, none, window=1).tolist() == [[30.0], [np.inf]]
    # From a random policy of 3 before and 1 after: 1 + .9 * (4 - 3) = 1.9; windows of 2: .5, 2.35 at 70.
    assert recovery(LEVEL, STEPS, STREAM, np.array([3.0, 1.0]), none, window=2)[0].tolist() == [30.0]


def test_only_what_was_lost_can_come_back():
    kept, late, unlearned = [4.0] * 8, [4.0] * 5 + [0.0, 0.0, 4.0], [0.1] * 8
    waits = recovery(np.array([kept, late, unlearned]), STEPS, STREAM, np.zeros(2), np.full(2, 0.5), window=1)
    # The second is at 4 for one point more, and back at the last one, 80: 40 steps after the change.
    np.testing.assert_array_equal(waits, [[0.0], [40.0], [np.nan]])


def test_final_return_is_over_the_episodes_of_the_last_fifth():
    steps, returns, episodes = np.arange(1, 11), np.arange(10.0)[None], np.ones((1, 10))
    episodes[0, -1] = 3.0
    assert final_return(returns, episodes, steps) == pytest.approx([(8 + 9) / 4])
    episodes[0, -2:], returns[0, -2:] = 0.0, 0.0
    assert final_return(returns, episodes, steps) == pytest.approx([28 / 8])


def test_event_aligned_average_is_over_changes_first():
    values = np.array([[0.0, 1, 2, 3, 4, 5, 6, 7], [0.0, 1, 2, 3, 4, 5, 6, 7]])
    mean = aligned(values, STEPS, Stream((30, 50), (0, 1, 0)), before=2, after=2)
    assert mean is not None
    # Around 30: points 1 2 | 3 4; around 50: 3 4 | 5 6.
    assert mean.middle.tolist() == [2, 3, 4, 5]
    assert mean.offsets.tolist() == [-10, 0, 10, 20]
    assert aligned(values, STEPS, Stream((10,), (0, 1)), before=2, after=2) is None


def test_the_dead_are_counted_and_shown():
    scores = np.array([0.1, np.nan, 0.5, 1.0])
    assert dead(scores) == 0.5
    row = told(np.array([0.0, 1.0, 1.0, 2.0]))
    assert row["ours"] == 1.0
    assert row["dead"] == 0.25
    assert row["ci_low"] <= 1.0 <= row["ci_high"]
