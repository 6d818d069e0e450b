"""Ratios and their intervals; no clock is trusted here."""

import numpy as np
import pytest

from selftune.experiments.overhead.timing import alternate, median_milliseconds, ratio, stopwatch


def test_a_constant_ratio_has_no_width_however_the_machine_drifts():
    reference = np.array([1.0, 2.0, 4.0, 8.0, 16.0])
    assert ratio(3.0 * reference, reference) == pytest.approx((3.0, 3.0, 3.0))


def test_the_interval_is_that_of_resampled_rounds():
    # Three rounds; a resample has median 1, 2 or 9 with chances 7/27, 13/27, 7/27: each end is beyond 2.5 %.
    found = ratio(np.array([1.0, 2.0, 9.0]), np.ones(3))
    assert found == (2.0, 1.0, 9.0)
    # Twenty rounds, one of them disturbed: the median does not see it.
    calm = ratio(np.array([2.0] * 19 + [50.0]), np.ones(20))
    assert calm == (2.0, 2.0, 2.0)


def test_rounds_are_resampled_together():
    # Apart, a slow round of one would meet a fast round of the other.
    mood = np.array([1.0, 10.0, 100.0, 1.0, 10.0, 100.0, 10.0])
    assert ratio(mood, mood) == (1.0, 1.0, 1.0)


def test_programs_take_turns_and_the_warm_up_does_not_count():
    order, laps = [], iter(range(100))

    def run(name):
        order.append(name)
        return float(next(laps))

    seconds = alternate({"a": lambda: run("a"), "b": lambda: run("b")}, 3, "turns", warm_up=1)
    assert "".join(order) == "abbaabba"
    assert {name: kept.tolist() for name, kept in seconds.items()} == {"a": [3, 4, 7], "b": [2, 5, 6]}


def test_a_stopwatch_calls_the_program():
    seen = []
    assert stopwatch(lambda *given: seen.append(given), (1, 2))() >= 0.0
    assert seen == [(1, 2)]
    assert median_milliseconds(np.array([0.001, 0.002, 0.5])) == pytest.approx(2.0)
