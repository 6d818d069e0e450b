"""Every part at its tiniest size measures what it says, in rows of the shape that the bench writes."""

import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from selftune.errors import SettingError
from selftune.experiments.overhead import agents, compilation, end_to_end, libraries, scaling, updates
from selftune.experiments.overhead.processes import worker
from selftune.experiments.overhead.updates import Setting
from selftune.experiments.overhead.workload import build, first_tuned

PEERS = Path(__file__).parents[3] / libraries.USUAL_PEERS
SMALL = {"num_envs": 2, "rollout_length": 4, "hidden": (2,)}
SCALING = scaling.REDUCED._replace(
    metaparameters=(1, 2), env="catch", agent="q_lambda", seeds=(2,), devices=(2,), shared=2, rounds=1
)


@pytest.fixture
def compiled_before(monkeypatch):
    """Other processes share the tests' folder of compiled programs."""
    folder = Path(jax.config.values["jax_compilation_cache_dir"])
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(folder))
    return folder


def measured(block, names=None):
    """The rows of a block by name; each has a value inside its interval."""
    rows = {row.row: row for row in block.measure(names or block.rows)}
    assert list(rows) == list(names or block.rows)
    for row in rows.values():
        assert 0 < row.value.low <= row.value.estimate <= row.value.high < np.inf
    return rows


def test_updates():
    setting = Setting(width=4, batch=4, unroll=2, metaparameters=1)
    size = updates.Size({setting: ("truncated, mixed",)}, setting, unrolls=(1, 2), rounds=2)
    timed, memory = updates.blocks(size, print)
    [row] = measured(timed).values()
    assert {"flops", "floor", "temporary_mib", "milliseconds"} <= set(row.details)
    assert row.details["flops"] > 1.0
    assert "truncated, K = 1" in memory.rows
    assert "truncated, reverse, K = 2" in memory.rows
    measured(memory, ["truncated, K = 1"])


def test_agents():
    [block] = agents.blocks(agents.Size((agents.Case("catch", "q_lambda", SMALL),), rounds=2), print)
    assert block.steps == 8
    row = measured(block)["catch q_lambda"]
    assert row.details["flops"] > 1.0
    assert row.details["temporary_mib"] >= row.details["temporary_mib_fixed"]


def test_end_to_end_leaves_out_what_is_not_installed():
    cases = (
        end_to_end.Case("catch", "q_lambda", 64, SMALL),
        end_to_end.Case("HalfCheetah-v5", "ppo", 64, needs="a_package_that_nobody_has"),
    )
    said = []
    [block] = end_to_end.blocks(end_to_end.Size(cases, rounds=1), said.append)
    row = measured(block)["catch q_lambda"]
    assert row.value.estimate == pytest.approx(row.details["steps_per_second"] / row.details["steps_per_second_fixed"])
    assert len(said) == 1
    assert "HalfCheetah-v5" in said[0]
    assert "pip install" in said[0]


def test_scaling():
    *by_number, seeds, _ = scaling.blocks(SCALING, print)
    assert ["metaparameters: 1" in block.experiment for block in by_number] == [True, False]
    row = measured(seeds)["seeds: 2"]
    assert row.details["steps_per_second"] == pytest.approx(2 * seeds.steps / row.details["milliseconds"] * 1000)


def test_devices_are_seen_by_processes_of_their_own(compiled_before):
    *_, devices = scaling.blocks(SCALING, print)
    assert measured(devices)["devices: 2"].details["steps_per_second"] > 0


def test_compilation_is_warm_only_after_the_same_run_was_cold(monkeypatch):
    compiled = set()

    def first_update(env, agent, tune, cache):
        warm = (tune, cache) in compiled
        compiled.add((tune, cache))
        return (1.0 if warm else 4.0) * (1.0 if tune == () else 2.0)

    monkeypatch.setattr(compilation, "first_update", first_update)
    [block] = compilation.blocks(compilation.Size((("cartpole", "a2c"),), rounds=3), print)
    found = {name.removeprefix("cartpole a2c, "): row.value.estimate for name, row in measured(block).items()}
    assert found == {"self-tuned, cold": 8.0, "self-tuned, warm": 2.0, "fixed, cold": 4.0, "fixed, warm": 1.0}


def test_a_run_in_a_new_process_makes_its_first_update(compiled_before):
    assert compilation.first_update("catch", "q_lambda", (), compiled_before) > 0.0


def test_a_run_that_makes_no_update_is_told_of(tmp_path):
    with pytest.raises(SettingError, match="no update"):
        compilation.first_update("cartpole", "no-agent", None, tmp_path)


def test_without_the_other_libraries_there_is_a_line_and_no_row(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(libraries.VARIABLE, raising=False)
    said = []
    assert list(libraries.blocks(libraries.REDUCED, said.append)) == []
    assert len(said) == 1
    assert "make peers" in said[0]
    monkeypatch.setenv(libraries.VARIABLE, "nowhere/python")
    with pytest.raises(SettingError, match="nowhere/python"):
        libraries.peers()
    monkeypatch.setenv(libraries.VARIABLE, sys.executable)
    assert libraries.peers() == Path(sys.executable)


def test_the_other_libraries_get_all_arrays_of_the_work():
    named = libraries.arrays(build(3, 2, 5, first_tuned(2)))
    assert named["params/0/weight"].shape == (3, 3)
    assert named["params/2/bias"].shape == (1,)
    assert named["batches/observation"].shape == (5, 2, 3)
    assert named["validation/next_value"].shape == (2, 1)
    assert float(named["learning_rate"]) == pytest.approx(1e-3)


@pytest.mark.skipif(not PEERS.exists(), reason="make peers")
def test_the_other_libraries_find_our_meta_gradient(monkeypatch):
    monkeypatch.setenv(libraries.VARIABLE, str(PEERS))
    size = libraries.Size(((4, 4),), 2, 1, end_to_end.Case("CartPole-v1", "ppo", 64), 1)
    meta_gradients, runs = libraries.blocks(size, print)
    rows = measured(meta_gradients)
    assert rows["selftune, reverse"].details["gradient_off"] < 1e-3
    assert rows["torchopt"].details["gradient_off"] < 1e-2
    assert rows["torch.func"].details["gradient_off"] < 1e-2
    assert rows["torchopt"].details["version"][0].isdigit()
    assert runs.rows == ("Stable-Baselines3",)


@pytest.mark.skipif(not PEERS.exists(), reason="make peers")
def test_stable_baselines_answers():
    command = [str(PEERS), str(libraries.WORKERS / "stable_baselines.py"), "CartPole-v1", "a2c", "2"]
    with worker(command) as ask:
        assert ask("version")[0].isdigit()
        assert ask("steps per second") > 0


def test_a_scale_is_told_in_units_of_its_first_entry():
    seconds = {"seeds: 1": np.full(3, 2.0), "seeds: 4": np.full(3, 5.0)}
    found = scaling._rows(seconds, {"seeds: 1": 100, "seeds: 4": 400}, ["seeds: 4"])
    assert [(row.row, row.value.estimate, row.details["steps_per_second"]) for row in found] == [
        ("seeds: 4", 2.5, 80.0)
    ]
