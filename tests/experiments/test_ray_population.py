"""Populations through Ray Tune: its members alone, without Ray, and the whole where Ray is installed."""

import importlib.util
import json
import math
import subprocess
import sys
from types import SimpleNamespace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file

from selftune.errors import MissingExtraError, SettingError
from selftune.experiments.fleet import Fleet, Told
from selftune.experiments.population import in_use as best_known
from selftune.experiments.ray_population import PLAIN, UNIT, Interval, Life, in_use, member_class, ray_population, table

NAMES = ("learning_rate", "discount")


class Counted(NamedTuple):
    """A session that only counts its updates and sums up its rates."""

    updates: jax.Array
    rates: jax.Array
    key: jax.Array


def counting() -> Fleet:
    """A fleet whose every update is worth its learning rate; one episode ends in every second chunk."""

    def begin(settings: Any, keys: Any) -> Any:
        return Counted(jnp.zeros(1), jnp.zeros(1), keys)

    def advance(settings, session, physics, updates):
        moved = session._replace(
            updates=session.updates + updates, rates=session.rates + updates * settings["learning_rate"]
        )
        return moved, Told(
            moved.updates // updates % 2, moved.rates, jnp.full(1, physics), dict(settings), {}, jnp.ones(1, bool)
        )

    return Fleet(begin, advance, 10)


def life(**changes):
    told = Life(counting, lambda step: step, UNIT, NAMES, 0, 4, chunk=2, every=3, chunks=5, continuing=False)
    return told._replace(**changes)


def member(config, number=0, **changes):
    made = member_class(SimpleNamespace(Trainable=object))()
    made.trial_id = f"1f3ab_{number:05d}"  # as Ray calls a trial, whatever it copies
    made.setup(config, life=life(**changes))
    return made


def config(learning_rate=1.0, discount=0.0):
    return {"learning_rate": learning_rate, "discount": discount}


def test_a_member_takes_its_share_of_the_populations_steps_and_no_more():
    made = member(config())
    first, second = made.step(), made.step()
    points = [*json.loads(first["told"]), *json.loads(second["told"])]
    assert len(points) == 5, "three chunks, and the two that are left"
    # A chunk is 2 updates of 10 steps in each of 4 members: 80 steps of the population, seen in its middle.
    assert [point["reward"] for point in points] == [40.0, 120.0, 200.0, 280.0, 360.0]
    # The highest learning rate is 0.1: 0.2 a chunk, of which episodes end in the first, the third and the fifth.
    assert [point["returns"] for point in points] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert first["level"] == pytest.approx((0.2 + 0.4 + 0.6) / 2)
    assert points[0]["eta"] == pytest.approx({"learning_rate": 0.1, "discount": 0.999})


def test_levels_of_a_member_without_episodes():
    assert math.isnan(member(config(), open_fleet=_never_ends).step()["level"])
    assert member(config(), continuing=True).step()["level"] == pytest.approx((40 + 120 + 200) / (3 * 20))


def _never_ends():
    made = counting()

    def advance(*given):
        session, told = made.advance(*given)
        return session, told._replace(episodes=jnp.zeros(1), returns=jnp.zeros(1))

    return made._replace(advance=advance)


def test_a_level_that_was_not_seen_is_the_last_one_also_for_a_copy(tmp_path):
    made = member(config(), every=1)
    levels = [made.step()["level"] for _ in range(2)]
    assert levels == [pytest.approx(0.2)] * 2, "no episode ends in the second chunk"
    made.save_checkpoint(str(tmp_path))
    copy = member(config(), 1, chunks=9, every=1)
    copy.load_checkpoint(str(tmp_path))
    assert (copy._level, copy._own) == (pytest.approx(0.2), False), "its source's, until an episode ends"
    assert math.isnan(member(config())._level)


def test_a_copy_goes_on_from_its_source_with_settings_and_a_key_of_its_own(tmp_path):
    source, copy = member(config()), member(config(learning_rate=0.0), 1)
    source.step()
    source.save_checkpoint(str(tmp_path))
    assert copy.reset_config({**config(), "learning_rate": 0.5}), "Ray's config of a copy is its source's, changed"
    copy.load_checkpoint(str(tmp_path))
    then = json.loads(copy.step()["told"])
    assert len(then) == 2
    assert then[0]["reward"] == 280.0, "time goes on where the source stood"
    assert then[0]["returns"] == pytest.approx(0.6 + 2 * 1e-3), (
        "its own rate: the middle of -5 and -1, in powers of ten"
    )
    assert np.array_equal(_key(copy, tmp_path / "copy"), _key(member(config(), 1), tmp_path / "fresh"))
    assert not np.array_equal(_key(copy, tmp_path / "copy"), _key(source, tmp_path / "source"))


def _key(made, folder):
    """The random key with which a member goes on."""
    folder.mkdir(exist_ok=True)
    made.save_checkpoint(str(folder))
    (told,) = (array for name, array in load_file(folder / "member").items() if name.startswith("key"))
    return told


def test_scales_are_inverse_and_a_discount_is_what_is_missing_to_one():
    for scale in (PLAIN, UNIT):
        for name in NAMES:
            assert scale.back(name, scale.of(name, 0.3)) == pytest.approx(0.3)
            assert scale.back(name, 2.0 if scale is UNIT else 1.0) == 1.0, "beyond the range is its end"
    assert PLAIN.of("discount", 0.0) == pytest.approx(1e-3)
    assert PLAIN.of("learning_rate", 0.5) == pytest.approx(1e-3)


def test_in_use_is_who_was_best_in_the_interval_before():
    def told(number):
        return Told(jnp.float32(1), jnp.float32(number), jnp.float32(0), {}, {}, jnp.asarray(True))

    nan = float("nan")
    lives = [
        [Interval(1.0, [told(1), told(2)]), Interval(nan, [told(3)]), Interval(9.0, [told(4)])],
        [Interval(2.0, [told(11), told(12)]), Interval(-5.0, [told(13)]), Interval(0.0, [told(14)])],
    ]
    assert [point.returns.tolist() for point in in_use(lives)] == [[1.0], [2.0], [13.0], [14.0]]
    unknown = [[Interval(2.0, [told(1)]), Interval(nan, [told(2)]), Interval(0.0, [told(3)])], lives[0]]
    unknown[1] = [Interval(1.0, [told(11)]), Interval(nan, [told(12)]), Interval(0.0, [told(13)])]
    assert [point.returns.item() for point in in_use(unknown[::-1])] == [11.0, 2.0, 3.0], "nothing known, no change"
    copied = [Interval(9.0, [told(1)]), Interval(9.0, [told(2)], own=False), Interval(9.0, [told(3)])]
    source = [Interval(8.0, [told(11)]), Interval(9.0, [told(12)]), Interval(9.0, [told(13)])]
    assert [point.returns.item() for point in in_use([copied, source])][2] == 13.0, (
        "nobody has seen the copy's settings"
    )


def test_who_is_in_use_was_seen():
    nan, lost = math.nan, -math.inf
    assert best_known(np.array([nan, lost, nan, lost]), 2) == 1
    assert best_known(np.array([nan, nan]), 1) == 1


def test_a_table_with_gaps_is_filled_from_before():
    point = json.dumps([{"episodes": 1.0, "returns": 2.0, "reward": 3.0, "eta": {}, "guards": {}, "finite": 1.0}])
    rows = {"training_iteration": [1, 3], "level": [5.0, 7.0], "told": [point, point], "own": [True, True]}
    assert [interval.level for interval in table(rows, 4)] == [5.0, 5.0, 7.0, 7.0]


def test_what_cannot_be_is_refused():
    with pytest.raises(SettingError, match="at least 4"):
        ray_population(counting, lambda step: step, "pbt", NAMES, 0, 100, members=2)
    with pytest.raises(SettingError, match="'pb3'"):
        ray_population(counting, lambda step: step, "pb3", NAMES, 0, 100)


@pytest.mark.skipif(importlib.util.find_spec("ray") is not None, reason="Ray is installed")
def test_without_ray_the_command_that_installs_it_is_told():
    with pytest.raises(MissingExtraError, match=r"selftune\[ray\]"):
        ray_population(counting, lambda step: step, "pbt", NAMES, 0, 100)


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed")
@pytest.mark.parametrize("strategy", ["pbt", "pb2"])
def test_ray_makes_a_population_of_agents(strategy, tmp_path):
    """In a process of its own: classes that are checked at run time cannot be sent to members."""
    line = f"bench drift --only cartpole none {strategy}_ray --seeds 1 --steps 16000 --out {tmp_path / 'drift.json'}"
    subprocess.run([sys.executable, "-m", "selftune", *line.split()], check=True, timeout=600)
    row = json.loads((tmp_path / "drift.json").read_text())[-1]
    assert row["row"] == f"{strategy}_ray"
    # What is told is the member's in use: a fourth of the population's steps, each of which pays 1.
    assert row["details"]["total_reward"] == [row["steps"] / 4]
