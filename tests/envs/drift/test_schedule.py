"""The evaluator against hand calculations, on the host and traced alike; schedules come back from their JSON."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from selftune.envs.drift import Change, Drift, figure, from_json, plain, read, standard, to_json
from selftune.envs.drift.standards import STANDARDS, WAYS, kinds
from selftune.errors import SettingError

TABLE = {"values": [1.0, 3.0, 7.0], "every": 10, "start": 5}

CASES = {
    # elapsed = step - 5; entries of ten steps each: 5-14 is 1, 15-24 is 3, 25-34 is 7, then from the beginning.
    "abrupt": (
        {},
        {0: 1.0, 4: 1.0, 5: 1.0, 14: 1.0, 15: 3.0, 24: 3.0, 25: 7.0, 34: 7.0, 35: 1.0, 45: 3.0},
    ),
    "once": ({"recurring": False}, {0: 1.0, 15: 3.0, 25: 7.0, 35: 7.0, 1000: 7.0}),
    # Half of the way from 1 to 3 is 2; a quarter (2.5 steps) does not exist, four tenths are 1.8; back from 7 to 1.
    "gradual": ({"kind": "gradual"}, {3: 1.0, 5: 1.0, 9: 1.8, 10: 2.0, 15: 3.0, 20: 5.0, 25: 7.0, 30: 4.0, 35: 1.0}),
    "gradual, once": ({"kind": "gradual", "recurring": False}, {10: 2.0, 20: 5.0, 25: 7.0, 30: 7.0, 99: 7.0}),
    # (1 - cos(pi/2)) / 2 = 0.5; at two tenths (1 - 0.809017) / 2 = 0.0954915 of the 2 from 1 to 3.
    "periodic": ({"kind": "periodic"}, {5: 1.0, 7: 1.190983, 10: 2.0, 15: 3.0, 20: 5.0, 25: 7.0}),
}


@pytest.mark.parametrize(("changes", "expected"), CASES.values(), ids=CASES)
def test_levels_against_hand_calculations(changes, expected):
    drift = Drift([Change("gravity", **TABLE | changes)])
    levels = jax.jit(jax.vmap(lambda step: drift.level(drift.changes[0], step)))(jnp.array(list(expected), jnp.int32))
    assert levels.dtype == jnp.float32
    np.testing.assert_allclose(levels, list(expected.values()), rtol=1e-6)
    for step, level in expected.items():
        assert drift.level(drift.changes[0], step) == pytest.approx(level, rel=1e-6)


def test_far_out_steps_keep_their_precision():
    # 2 000 000 000 = 20 * 10^8, so 2 000 000 051 is 51 steps into its entry of 100: 0.51 of the way from 0 to 1.
    drift = Drift([Change("gravity", values=[0.0, 1.0], kind="gradual", every=100)])
    for step in (2_000_000_051, jnp.int32(2_000_000_051)):
        np.testing.assert_allclose(drift.level(drift.changes[0], step), 0.51, rtol=1e-6)


def test_a_walk_is_drawn_by_the_seed_and_stays_within_its_bounds():
    walk = Change("mass", factors=[1.0], kind="random_walk", deviation=0.3, low=0.5, high=1.5, every=10, length=500)
    drift = Drift([walk], seed=3)
    table = drift.table(walk)
    assert table.shape == (500,)
    assert table[0] == 1.0
    assert 0.5 <= table.min() < 0.6
    assert 1.4 < table.max() <= 1.5
    steps = np.diff(table[:100])
    assert 0.1 < steps.std() < 0.4
    np.testing.assert_array_equal(Drift([walk], seed=3).table(walk), table)
    assert not np.array_equal(Drift([walk], seed=4).table(walk), table)
    assert drift.level(walk, 4999) == table[499]
    assert drift.level(walk, 29) == table[2]


def test_regimes_lie_between_the_changes():
    flip = Change("blue_reward", values=[1.0, -1.0], every=10)
    assert Drift([flip]).regimes(25) == [(0, 10), (10, 20), (20, 25)]
    once = Change("step_cost", values=[0.0, 0.1], every=7, start=6, recurring=False)
    assert Drift([flip, once]).regimes(25) == [(0, 10), (10, 13), (13, 20), (20, 25)]
    ramp = Change("step_cost", values=[0.0, 0.1], kind="gradual", every=7, start=6, recurring=False)
    assert Drift([ramp]).regimes(25) == [(0, 6), (6, 13), (13, 25)]
    assert Drift([Change("gravity", values=[1.0, 1.0], every=5)]).regimes(25) == [(0, 25)]
    assert Drift().regimes(25) == [(0, 25)]


def test_announced_levels_are_scaled_by_the_range_of_their_table():
    drift = Drift([Change("a", values=[2.0, 4.0, 6.0], every=1), Change("b", values=[5.0])], announced=True)
    assert [drift.announce(step) for step in range(3)] == [[-1.0, 0.0], [0.0, 0.0], [1.0, 0.0]]


EVERYTHING = Drift(
    (
        Change("gravity", values=(0.1, 1 / 3, 1e-30), kind="periodic", every=7, start=3, recurring=False),
        Change("mass", factors=(1,), kind="random_walk", deviation=0.1, low=0.5, high=2, length=10),
    ),
    seed=5,
    announced=True,
)


def test_json_round_trips_exactly(tmp_path):
    file = tmp_path / "schedule.json"
    file.write_text(to_json(EVERYTHING))
    for given in (to_json(EVERYTHING), plain(EVERYTHING), json.loads(to_json(EVERYTHING)), file, str(file), EVERYTHING):
        assert read(given) == EVERYTHING
    file.write_text(to_json(EVERYTHING), "utf-8-sig")
    assert read(file) == EVERYTHING
    assert from_json('{"changes": []}') == Drift()
    again = from_json(to_json(EVERYTHING))
    assert [again.levels(step) for step in range(200)] == [EVERYTHING.levels(step) for step in range(200)]


GOOD = {"field": "gravity", "factors": [1, 2]}
REFUSED = {
    "no object": ([GOOD], "expected an object"),
    "an unknown key": ({"changes": [GOOD], "sead": 1}, "did you mean 'seed'"),
    "an unknown key of a change": ({"changes": [GOOD | {"evry": 3}]}, "did you mean 'every'"),
    "no field": ({"changes": [{"factors": [1]}]}, "has no field"),
    "a field of a wrong type": ({"changes": [GOOD | {"field": 3}]}, "field=3"),
    "no list": ({"changes": GOOD}, "expected a list"),
    "both tables": ({"changes": [GOOD | {"values": [1]}]}, "both"),
    "no table": ({"changes": [{"field": "gravity"}]}, "neither"),
    "an empty table": ({"changes": [GOOD | {"factors": []}]}, "list of numbers"),
    "text in a table": ({"changes": [GOOD | {"factors": ["1"]}]}, "finite number"),
    "truth in a table": ({"changes": [GOOD | {"factors": [True]}]}, "finite number"),
    "an infinite number": ({"changes": [GOOD | {"factors": [float("inf")]}]}, "finite number"),
    "every below 1": ({"changes": [GOOD | {"every": 0}]}, "every = 0.*from 1"),
    "every half": ({"changes": [GOOD | {"every": 1.5}]}, "every = 1.5"),
    "every beyond 32 bits": ({"changes": [GOOD | {"every": 2**31}]}, "every"),
    "start below 0": ({"changes": [GOOD | {"start": -1}]}, "start = -1"),
    "an unknown kind": ({"changes": [GOOD | {"kind": "abrubt"}]}, "did you mean 'abrupt'"),
    "recurring as a number": ({"changes": [GOOD | {"recurring": 1}]}, "true or false"),
    "announced as a text": ({"changes": [], "announced": "yes"}, "true or false"),
    "no changes": ({}, "A drift has no changes"),
    "a negative seed": ({"seed": -1}, "seed"),
    "the same field twice": ({"changes": [GOOD, GOOD]}, "twice"),
    "a deviation without a walk": ({"changes": [GOOD | {"deviation": 0.1}]}, "random_walk"),
    "a walk without bounds": (
        {"changes": [{"field": "g", "values": [1], "kind": "random_walk", "deviation": 1}]},
        "low",
    ),
    "a walk from outside": (
        {"changes": [{"field": "g", "values": [3], "kind": "random_walk", "deviation": 1, "low": 0, "high": 2}]},
        "between low and high",
    ),
    "no JSON": ("{changes", "JSON"),
    "NaN": ('{"changes": [{"field": "g", "values": [NaN]}]}', "NaN"),
    "a key twice": ('{"seed": 1, "seed": 2}', "twice"),
    "no file": ("nowhere.json", "nowhere.json"),
}


@pytest.mark.parametrize(("given", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_understood_is_refused(given, message):
    with pytest.raises(SettingError, match=message):
        read(given)


def test_every_standard_schedule_is_one():
    for env in STANDARDS:
        told = [kind.split() for kind in kinds(env)]
        assert {way for way, _ in told} == set(WAYS)
        for way, subject in told:
            drift = standard(env, way, subject, 500)
            assert {change.kind for change in drift.changes} == {way}
            assert len(drift.regimes(2000)) == 4
    assert standard("two_colors") == standard("two_colors", "abrupt", "reward")
    with pytest.raises(SettingError, match="did you mean 'cartpole'"):
        standard("cartpol")
    with pytest.raises(SettingError, match="did you mean 'abrupt'"):
        standard("cartpole", "abrubt")
    with pytest.raises(SettingError, match="abrupt dynamics, abrupt reward"):
        standard("catch", "gradual", "dynamics")


def test_a_schedule_is_drawn_with_a_line_at_every_change():
    drawn = figure(Drift([Change("gravity", values=[1.0, 3.0], every=10), Change("mass", factors=[1.0, 2.0])]), 35)
    assert len(drawn.layout.shapes) == 2 * 3
    np.testing.assert_array_equal(drawn.data[0].y, np.repeat([1.0, 3.0, 1.0, 3.0], [10, 10, 10, 5]))
    assert drawn.layout.yaxis2.title.text == "factor of mass"
    with pytest.raises(SettingError, match="nothing to draw"):
        figure(Drift(), 10)
