"""Protocol N on a minuscule world: what it measures, that it goes on, and that all kinds of change share programs."""

import io
import json
import re
from dataclasses import replace

import jax
import numpy as np
import pytest
from rich.console import Console

from selftune.envs.drift import Change, Drift
from selftune.envs.drift.standards import SUBJECTS, WAYS, kinds
from selftune.errors import SettingError
from selftune.experiments import contest
from selftune.experiments.contest.cell import Cell, Extent, Lab
from selftune.experiments.contest.changing import (
    OFF,
    changing,
    drift_of,
    middles,
    physics_of,
    standing,
    stream_of,
)
from selftune.experiments.contest.methods import METHODS
from selftune.experiments.measures import Stream
from selftune.experiments.nonstationary.asked import TASKS, asked, command
from selftune.experiments.nonstationary.bench import IN_REGIME, _Bench, bench_drift, shares
from selftune.experiments.nonstationary.page import AT_FIRST, figures
from selftune.experiments.nonstationary.rendering import bar, markdown, table
from selftune.experiments.nonstationary.scoring import References, mean_levels, scored
from selftune.experiments.records import Records
from selftune.experiments.sweep import Curves

TINY = Extent(steps=2048, regimes=2, seeds=2, draws=4, members=4, width=4, points=4)
SMALL = {"num_envs": 4, "rollout_length": 16, "hidden": (4,)}


@pytest.mark.parametrize("name", ["cartpole", "pendulum", "two_colors"])
def test_every_kind_of_change_is_a_change_of_numbers(name):
    world = changing(name)
    shapes = set()
    for kind in (*kinds(name), OFF):
        told = physics_of(world, drift_of(name, kind, 1000))(1500.0)
        shapes.add(str(jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype, leaf.weak_type), told)))
    assert len(shapes) == 1
    assert world.env.physics(told, 1500) is told, "the world itself stands still"


def test_the_numbers_are_those_of_the_schedule():
    physics = physics_of(changing("cartpole"), drift_of("cartpole", "abrupt dynamics", 1000))
    assert float(physics(500.0).world.gravity) == pytest.approx(9.8)
    assert float(physics(1500.0).world.gravity) == pytest.approx(19.6)
    assert float(standing(physics, 1500)(0.0).world.gravity) == pytest.approx(19.6)
    seen = physics_of(changing("cartpole"), drift_of("cartpole", "abrupt observation", 1000))
    assert [float(seen(step).maps["observation_factor"]) for step in (500.0, 1500.0, 2500.0)] == [1, -1, 1]
    assert float(seen(1500.0).world.gravity) == pytest.approx(9.8)


def test_a_regime_is_known_again_by_its_levels():
    abrupt = Drift((Change("gravity", factors=(1.0, 2.0), every=10),))
    assert stream_of(abrupt, 30) == Stream((10, 20), (0, 1, 0))
    assert middles(abrupt, 30) == [5, 15]
    assert stream_of(Drift((Change("gravity", factors=(1.0, 2.0), kind="gradual", every=10),)), 30).regimes == (0, 1, 0)
    assert stream_of(Drift(), 30) == Stream((), (0,))
    assert shares(Stream((10, 15), (0, 1, 0)), 20).tolist() == [0.75, 0.25]


@pytest.mark.parametrize(("name", "agent"), [("cartpole", "a2c"), ("HalfCheetah-v5", "ppo")])
def test_an_oracle_serves_every_kind_of_change_that_stands_at_its_place(name, agent):
    cells = {way: Cell(Lab(name, agent, False, TINY), f"{way} dynamics") for way in WAYS}
    there = {way: [cell.standing(regime) for regime in (0, 1)] for way, cell in cells.items()}
    assert there["gradual"] == there["periodic"], "in the middle of a way"
    assert len({*there["gradual"], *there["abrupt"]}) == 4, "between the places of an abrupt change"
    if name == "cartpole":  # the subject does not matter where nothing has changed yet
        assert Cell(Lab(name, agent, False, TINY), "abrupt reward").standing(0) == there["abrupt"][0]


@pytest.mark.parametrize("change", [{"seeds": 3}, {"draws": 5}, {"seed": 1}, {"steps": 4096}])
def test_an_oracle_of_another_extent_is_another(change):
    mine, other = (
        Cell(Lab("cartpole", "a2c", False, extent), "abrupt dynamics") for extent in (TINY, replace(TINY, **change))
    )
    assert mine.standing(0) != other.standing(0)


def test_an_oracle_of_another_agent_is_another():
    labs = [
        Lab("cartpole", "a2c", False, TINY),
        Lab("cartpole", "ppo", False, TINY),
        Lab("cartpole", "a2c", False, TINY, SMALL),
    ]
    assert len({Cell(lab, "abrupt reward").standing(0) for lab in labs}) == 3


def test_a_bench_goes_on_where_it_stopped(tmp_path, monkeypatch):
    out, said = tmp_path / "drift.json", []
    whole = bench_drift(out, ["cartpole"], ["abrupt"], [], ["fixed", "pbt"], TINY, say=said.append, settings=SMALL)
    assert [row.row for row in whole] == ["random", "best_fixed", "oracle", "fixed", "pbt"]
    named = {row.row: row for row in whole}
    assert named["best_fixed"].ours == pytest.approx(1.0)
    assert named["pbt"].details["changes"] == [1024]
    parts = {row.row: row for row in Records(out).rows if row.row.startswith(IN_REGIME)}
    levels = [np.mean(parts[f"{IN_REGIME}{regime}"].details["level"]) for regime in (0, 1)]
    assert named["oracle"].details["levels"] == pytest.approx(levels, rel=1e-4)
    means = [part.details["mean"] for part in parts.values()]
    assert named["oracle"].details["mean"] == pytest.approx(np.mean(means), rel=1e-3), "half of the time each"
    assert len(said) == 7

    kept = [row for row in json.loads(out.read_text()) if row["row"] not in ("fixed", "oracle")]
    other = {"experiment": "cartpole gradual dynamics"}
    out.write_text(json.dumps([row | (other if row["row"] == f"{IN_REGIME}1" else {}) for row in kept]))
    monkeypatch.setattr(Cell, "oracle", None)  # the same world stood still there
    again = bench_drift(out, ["cartpole"], ["abrupt"], [], ["fixed", "pbt"], TINY, say=said.append, settings=SMALL)
    assert again == whole, "deterministic"
    assert len(said) == 11, "only what was missing, and that the rest was there"
    assert said[-1].startswith("3 of 5 rows were in ")
    taken = Records(out).find("cartpole abrupt dynamics", f"{IN_REGIME}1", 2048)
    assert taken.details["measured_in"] == "cartpole gradual dynamics"
    monkeypatch.setattr(_Bench, "_measured", lambda bench, name: {"ours": 1.0, "ci_low": 1.0, "ci_high": 1.0})
    bench_drift(tmp_path / "stub.json", ["cartpole"], ["abrupt"], [], [], TINY, say=said.append, settings=SMALL)
    again = replace(TINY, seeds=3)
    bench_drift(tmp_path / "stub.json", ["cartpole"], ["abrupt"], [], [], again, say=said.append, settings=SMALL)
    assert not said[-1].startswith("3 of 3"), "they were measured again, with more seeds"
    monkeypatch.undo()
    with pytest.raises(SettingError, match=r"of \d+ seeds and \d+ draws.*not written over"):
        bench_drift(out, ["cartpole"], ["abrupt"], [], ["fixed"], replace(TINY, seeds=1), settings=SMALL)
    with pytest.raises(SettingError, match=r"with .*'seed': 0.*, and .*'seed': 7.* were asked for"):
        bench_drift(out, ["cartpole"], ["abrupt"], [], ["fixed"], replace(TINY, seed=7), settings=SMALL)
    with pytest.raises(SettingError, match=r"with the settings .*'hidden'.*\{\} were asked for"):
        bench_drift(out, ["cartpole"], ["abrupt"], [], ["fixed"], TINY)
    rows = json.loads(out.read_text())
    rows.append(rows[-1] | {"row": "meta_gradient", "details": rows[-1]["details"] | {"recipe": {"leak": 0.5}}})
    out.write_text(json.dumps(rows))
    bench_drift(out, ["cartpole"], ["abrupt"], [], ["meta_gradient"], TINY, say=said.append, settings=SMALL)
    assert "meta_gradient: kept, but of an earlier recipe (around, " in said[-2]
    out.write_text(json.dumps(rows[:-1]))

    longer = [row | {"steps": 4096, "ours": 0.123} for row in rows[:-1] if row["row"] == "pbt"]
    out.write_text(json.dumps([*rows[:-1], *longer]))
    assert markdown(out).count("## cartpole, abrupt dynamics") == 2, "a table for each length"
    out.write_text(json.dumps(rows[:-1]))
    told = markdown(out)
    assert "\n## cartpole, abrupt dynamics\n" in told
    assert f"| pbt | {named['pbt'].ours:.2f} |" in told
    console = Console(width=80, file=io.StringIO())
    console.print(table(Records(out).rows))
    shown = console.file.getvalue()  # pyright: ignore
    assert "…\n" not in shown
    assert re.search(rf"pbt +{named['pbt'].ours:.2f} ", shown)
    assert "cartpole abrupt dynamics" in shown
    ((title, drawn),) = figures(Records(out).rows)
    assert title == "cartpole abrupt dynamics: around a change", "the world that stands still has no such figure"
    seen = {trace.name for trace in drawn.data if trace.name and trace.visible is True}
    assert seen == set(AT_FIRST) & named.keys(), "the others wait in the legend"


def test_each_method_begins_where_it_does_for_a_user_who_says_nothing_or_where_it_is_told(monkeypatch):
    settings, nothing = {}, Curves(*(() for _ in Curves._fields))

    def runs(program, physics, begun, *_):
        settings.clear()
        settings.update(begun)
        return nothing

    monkeypatch.setattr(contest.cell, "runs", runs)
    cell = contest.cell.Cell(contest.cell.Lab("cartpole", "a2c", False, TINY, SMALL), OFF)
    begun = {
        "fixed": (7e-4, None), "kl_adaptive": (7e-4, None), "from_literature": (7e-4, None),
        "meta_gradient": (1.2e-2, 0.02), "fixed_from_own_start": (1.2e-2, 0.02), "without_start": (3e-3, 0.02),
        "without_gradient_floor": (1.2e-2, None), "without_quick_start": (7e-4, None),
    }  # fmt: skip
    for name, (rate, floor) in begun.items():
        cell.method(name)
        assert settings["critic_learning_rate"] == pytest.approx([rate] * TINY.seeds), name
        assert settings.get("gradient_floor", [None])[0] == (floor and pytest.approx(floor)), name
    cell.method("without_critic_rate")
    assert settings["learning_rate"] == pytest.approx([1.2e-2] * TINY.seeds)
    assert settings["critic_learning_rate"] == pytest.approx([3e-3] * TINY.seeds)
    cell.method("meta_gradient", cell.usual_starts())
    assert settings["learning_rate"] == pytest.approx([7e-4] * TINY.seeds)
    contest.cell.Cell(contest.cell.Lab("pendulum", "a2c", False, TINY, SMALL), OFF).method("meta_gradient")
    assert settings["learning_rate"] == pytest.approx([1.2e-2] * TINY.seeds)
    assert "gradient_floor" not in settings, "no floor where actions are forces"


def test_names_are_sorted_into_worlds_changes_and_methods():
    choice = asked(["abrupt", "pbt", "acrobot", "reward"], False, seeds=2)
    assert choice[:4] == (("acrobot",), ("abrupt",), ("reward",), ("pbt",))
    assert choice.extent.seeds == 2
    assert set(METHODS) - set(asked([], True).methods) == {"pbt_ray", "pb2_ray"}, "measured where they are named"
    assert asked(["without_restart"], True).methods == ("without_restart",)
    assert asked(["pb2_ray"], True).methods == ("pb2_ray",)
    assert asked([], True)[1:3] == ((*WAYS, OFF), SUBJECTS)
    assert asked([], False).subjects == (), "of each world the usual one"
    with pytest.raises(SettingError, match="meta_gradient"):
        asked(["metagradient"], False)
    for wrong in ({"seeds": 0}, {"steps": 0}, {"seeds": -1}):
        with pytest.raises(SettingError, match="expected at least 1"):
            asked([], False, **wrong)
    assert asked(["gradual", "dynamics"], True).envs == tuple(name for name in TASKS if name != "two_colors")
    assert command(["acrobot"], True, 3, None) == "selftune bench drift --only acrobot --full --seeds 3"


def test_each_world_has_its_kinds_of_change():
    everywhere = (*WAYS, OFF)
    assert TASKS["two_colors"].kinds("two_colors", everywhere, ()) == [
        "abrupt reward", "gradual reward", "periodic reward", OFF,
    ]  # fmt: skip
    assert TASKS["two_colors"].kinds("two_colors", everywhere, ("dynamics",)) == ["abrupt dynamics", OFF]
    assert TASKS["HalfCheetah-v5"].kinds("HalfCheetah-v5", everywhere, SUBJECTS) == [
        "abrupt dynamics", "gradual dynamics", "periodic dynamics", OFF,
    ]  # fmt: skip
    assert len(TASKS["cartpole"].kinds("cartpole", everywhere, SUBJECTS)) == 10
    assert TASKS["two_colors"].kinds("two_colors", (OFF,), ("dynamics",)) == [OFF]
    for name, ways, subjects in (
        ("HalfCheetah-v5", everywhere, ("reward",)),
        ("two_colors", ["gradual"], ["dynamics"]),
    ):
        with pytest.raises(SettingError, match=f"measures no .* in {name}; it measures "):
            TASKS[name].kinds(name, ways, subjects)


def test_a_world_in_which_no_episode_ends_is_no_measure(tmp_path):
    with pytest.raises(SettingError, match=r"no episode of the random policy ended in 128 steps"):
        bench_drift(
            tmp_path / "drift.json", ["acrobot"], [OFF], [], ["fixed"], replace(TINY, steps=128), settings=SMALL
        )
    assert not (tmp_path / "drift.json").exists()


def test_a_run_that_is_lost_counts_as_random_in_what_one_means_too():
    stream = Stream((), (0,))
    curves = Curves(
        np.array([10, 20]), np.array([[0.0, 0.0], [1.0, 1.0]]), np.array([[0.0, 0.0], [8.0, 6.0]]),
        np.array([[0.0, 0.0], [30.0, 50.0]]), {}, {}, np.ones((2, 2), bool),
    )  # fmt: skip
    assert mean_levels(curves, stream, False, np.array([1.0])).tolist() == [4.0], "(1 + 7) / 2"
    references = References(np.array([1.0]), np.array([7.0]), np.array([7.0]))
    assert scored(curves, stream, False, references)["final"] == [1.0, 6.0], "not 0, which may be the best there is"
    assert scored(curves, stream, True, references)["final"] == [0.0, 5.0]


def test_the_bar_is_half_way_to_a_near_oracle():
    assert [bar(oracle) for oracle in (3.0, 1.2, 0.9)] == pytest.approx([1.2, 1.1, 1.0])
    assert np.isfinite(bar(1.0))
