import json

import jax
import numpy as np
import pytest

import selftune as st
from selftune.errors import MetaParamError, RunFolderError, SettingError
from selftune.runner import training
from selftune.runner.run_folder import RunFolder


def train(path, **options):
    return st.train("CartPole-v1", **({"steps": 2000, "progress": False, "out": path} | options))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return train(tmp_path_factory.mktemp("runs") / "one", init={"learning_rate": 1e-4})


def test_a_run_leaves_its_folder(run):
    assert {file.name for file in run.path.iterdir()} == {"config.json", "metrics.jsonl", "events", "checkpoints"}
    assert run.config["command"] == (
        f"selftune train CartPole-v1 --agent a2c --init learning_rate=0.0001 --steps 2000 --seed 0 --out {run.path}"
    )
    assert run.config["settings"]["init"]["critic_learning_rate"] == pytest.approx(1e-4)
    assert run.config["settings"]["tune"] == list(training.Recipe().tune)


def test_rows_hold_what_a_person_looks_for(run):
    first, last = run.rows[0], run.rows[-1]
    assert [row["step"] for row in run.rows] == [512, 1024, 1536, 2048]
    assert first["eta/learning_rate"] == pytest.approx(1e-4, rel=0.03)
    assert {"update", "wall_time", "steps_per_second", "loss", "entropy", "guard/trust_region"} <= last.keys()
    assert {key for key in last if key.startswith("meta_grad/")} == {f"meta_grad/{name}" for name in run.eta}
    assert sum(row["return_episodes"] for row in run.rows) > 20
    assert 10 < run.final_return < 60


def test_what_was_learned_is_saved(run):
    arrays = RunFolder.open(run.path).load_arrays("final")
    assert arrays["params/policy/0/weight"].shape == (4, 64)
    assert "meta_params/learning_rate" in arrays


def test_the_same_seed_makes_the_same_run(run, tmp_path):
    again = train(tmp_path / "again", init={"learning_rate": 1e-4})
    clock = {"wall_time", "steps_per_second"}
    for old, new in zip(run.rows, again.rows, strict=True):
        assert {k: v for k, v in old.items() if k not in clock} == {k: v for k, v in new.items() if k not in clock}
    other = train(tmp_path / "other", init={"learning_rate": 1e-4}, seed=1)
    assert other.rows[-1]["loss"] != run.rows[-1]["loss"]


def test_a_fixed_agent_logs_no_metaparameters(tmp_path):
    run = train(tmp_path / "fixed", tune=[])
    assert run.eta == {}
    assert run.config["settings"]["tune"] == []


def test_bad_settings_are_refused_before_a_folder_is_made(tmp_path):
    for options, error in [
        ({"agent": "a3c"}, SettingError),
        ({"steps": 0}, SettingError),
        ({"tune": ["learning_rat"]}, MetaParamError),
        ({"tune": ["num_envs"]}, MetaParamError),
        ({"init": {"discount": 2.0}}, MetaParamError),
    ]:
        with pytest.raises(error):
            train(tmp_path / "bad", **options)
    assert not (tmp_path / "bad").exists()


def test_a_folder_in_use_is_refused(run):
    with pytest.raises(RunFolderError, match="already holds a run"):
        train(run.path)


@pytest.mark.parametrize("failure", [KeyboardInterrupt, RuntimeError])
def test_a_run_that_breaks_loses_nothing(tmp_path, monkeypatch, failure):
    calls = iter(range(100))
    collect = training.Rollout.collect

    def broken(self, params, key):
        if next(calls) == 2:
            raise failure("in the middle")
        return collect(self, params, key)

    monkeypatch.setattr(training.Rollout, "collect", broken)
    if failure is KeyboardInterrupt:
        assert [row["step"] for row in train(tmp_path / "run").rows] == [512, 1024]
    else:
        with pytest.raises(RuntimeError, match="in the middle"):
            train(tmp_path / "run")
    arrays = RunFolder.open(tmp_path / "run").load_arrays("final")
    assert all(np.isfinite(array).all() for array in arrays.values())
    assert len((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()) == 2


def test_report_is_one_page(run, tmp_path):
    page = run.report(tmp_path / "page.html")
    assert "CartPole-v1" in page.read_text()


def test_a_self_tuned_agent_learns_where_a_fixed_one_does_not(tmp_path):
    """Threshold on a tiny budget: from a rate of 1e-4, 60k steps; fixed stays near the random 22."""
    bad = {"learning_rate": 1e-4}
    tuned = train(tmp_path / "tuned", init=bad, steps=60_000)
    fixed = train(tmp_path / "fixed", init=bad, steps=60_000, tune=[])
    assert tuned.final_return > 1.5 * fixed.final_return
    assert tuned.eta["learning_rate"] > 3e-4


def test_config_is_plain_json(run):
    assert json.loads((run.path / "config.json").read_text())["versions"]["jax"] == jax.__version__
