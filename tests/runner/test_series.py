"""Rows as columns, thinned and smoothed, and where a world changed."""

import numpy as np
import pytest

from selftune.envs.drift import Change, Drift
from selftune.runner.series import RunSeries, columns, drift_edges, running_mean, thin


def test_thinning_keeps_spikes_ends_and_gaps():
    values = np.zeros(100_000)
    values[12_345], values[54_321] = 9.0, -9.0
    values[70_000:80_000] = np.nan
    kept = thin(values, 500)
    assert len(kept) <= 502
    assert {0, 12_345, 54_321, 99_999} <= set(kept)
    assert np.isnan(values[kept]).sum() > 10
    assert kept == sorted(set(kept))
    assert thin(values[:500], 500) == list(range(500))


def test_a_running_mean_looks_back_over_known_rows():
    values = np.array([1.0, 3.0, np.nan, 5.0, 10.0])
    # (1), (1 + 3)/2, -, (3 + 5)/2, (5 + 10)/2
    np.testing.assert_array_equal(running_mean(values, 2), [1.0, 2.0, np.nan, 4.0, 7.5])


def test_columns_hold_numbers_only():
    found = columns([{"step": 1, "x": 1, "note": "a"}, {"x": 2}, {"step": 3, "x": None, "y": [1]}, {"step": 4, "z": 5}])
    assert found.keys() == {"step", "x", "z"}
    np.testing.assert_array_equal(found["step"], [1, 3, 4])
    np.testing.assert_array_equal(found["x"], [1, np.nan, np.nan])


def drifted(*changes):
    return RunSeries("a", {"settings": {"drift": {"changes": list(changes)}}}, {"step": np.array([50.0, 1000.0])})


def change(**told):
    return {"field": "gravity", "factors": [1, 2], "kind": "abrupt", "every": 100, "start": 0, "recurring": True} | told


@pytest.mark.parametrize(
    ("told", "marks"),
    [
        ({"every": 400}, [400, 800]),
        ({"factors": [1, 1, 2]}, [200, 300, 500, 600, 800, 900]),
        ({"factors": [1, 1], "every": 1}, []),
        ({"recurring": False, "start": 300}, [400]),
        ({"kind": "gradual", "recurring": False, "start": 50}, [50, 150]),
        ({"kind": "periodic", "factors": [1]}, []),
    ],
)
def test_a_mark_is_where_the_world_changed(told, marks):
    assert drift_edges(drifted(change(**told))) == marks
    assert [begin for begin, _ in Drift([Change(**change(**told))]).regimes(1000)[1:]] == marks


def test_what_changes_too_often_for_marks_hides_no_other():
    rare, often, oftener = change(every=500), change(every=21), change(every=20)
    assert drift_edges(drifted(change(every=10), rare)) == [500]
    assert drift_edges(drifted(oftener, often, rare)) == sorted([500, *range(21, 1000, 21)])
    walk = change(kind="random_walk", factors=[1], length=4, recurring=False)
    assert drift_edges(drifted(walk, {"field": "wind"}, change(every="x"), change(factors=3), 3)) == [
        100,
        200,
        300,
    ]
