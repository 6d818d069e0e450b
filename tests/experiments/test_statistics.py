import numpy as np
import pytest

from selftune.errors import SettingError
from selftune.experiments.statistics import bootstrap, interquartile_mean, mean, rank_correlation


def test_interquartile_mean_is_the_mean_of_the_middle_half():
    # 8 scores: the middle half are the third to the sixth: (2 + 3 + 4 + 5) / 4.
    assert interquartile_mean([7, 0, 6, 1, 5, 2, 4, 3]) == pytest.approx(3.5)
    assert interquartile_mean([-1e9, 0, 6, 1, 5, 2, 4, 1e9]) == pytest.approx((1 + 2 + 4 + 5) / 4)


def test_a_score_on_a_quartile_counts_by_its_part():
    # Five scores cover a fifth each; of [0, .2] nothing is inside [.25, .75], of [.2, .4] the part from .25:
    # (.15 * 1 + .2 * 2 + .15 * 10) / .5 = 4.1
    assert interquartile_mean([0, 1, 2, 10, 100]) == pytest.approx(4.1)
    assert interquartile_mean([3.0]) == 3.0


def test_bootstrap_is_deterministic_and_resamples_within_strata():
    chance = np.random.default_rng(0)
    scores = [chance.normal(0, 1, 30), chance.normal(100, 1, 30)]
    told = bootstrap(scores, mean)
    assert told == bootstrap(scores, mean)
    assert told != bootstrap(scores, mean, seed=1)
    # Strata are 100 apart; resampled together, the mean would vary by 50 / sqrt(60) = 6.5.
    assert told.high - told.low < 1.0
    assert told.low < told.estimate < told.high


def test_an_interval_covers_the_truth_about_as_often_as_it_says():
    chance = np.random.default_rng(1)
    hits = 0
    for _ in range(100):
        told = bootstrap([chance.normal(0, 1, 40)], mean, resamples=300)
        hits += told.low <= 0.0 <= told.high
    assert 85 <= hits <= 100


def test_nothing_to_count_is_refused():
    with pytest.raises(SettingError, match="at least one run"):
        bootstrap([[1.0], []])
    with pytest.raises(SettingError, match="between 0 and 1"):
        bootstrap([[1.0]], confidence=95.0)


def test_rank_correlation_by_hand():
    assert rank_correlation(np.array([1.0, 2.0, 9.0]), np.array([0.1, 0.5, 0.6])) == pytest.approx(1.0)
    # Spearman: 1 - 6 * (1 + 1 + 0) / (3 * 8)
    assert rank_correlation(np.array([1.0, 2.0, 3.0]), np.array([2.0, 1.0, 3.0])) == pytest.approx(0.5)
    assert rank_correlation(np.ones(3), np.arange(3.0)) == 0.0
    assert np.isnan(rank_correlation(np.arange(3.0), np.array([1.0, np.nan, 2.0])))
