"""The bench of learning: what it keeps, and what it begins anew."""

import json

import numpy as np
import pytest

from selftune.errors import RunFolderError, SettingError
from selftune.experiments import learning
from selftune.experiments.learning import Task, bench_learning, verdict

TASK = Task("cartpole", "a2c", 1000, 100.0, seeds=2, settings={"hidden": (4,)})


class Trained:
    final_return, eta = 90.0, {"learning_rate": 1e-3}


def test_a_task_is_held_by_its_median_and_its_worst():
    assert verdict(TASK, [120.0, 80.0]) == {"median": 100.0, "worst": 80.0, "held": True}
    assert not verdict(TASK, [200.0, 60.0])["held"], "under 70 % of the bar"
    assert not verdict(TASK, [200.0])["held"], "one seed of two"
    below = Task("x", "a2c", 1, -100.0, seeds=3)
    assert verdict(below, [-90.0, -100.0, -142.0])["held"], "-100 / .7 is -142.9"
    assert not verdict(below, [-90.0, -100.0, -143.0])["held"]


def test_runs_are_kept_and_those_of_another_task_or_recipe_are_not_taken_for_them(tmp_path, monkeypatch):
    out, ran, said = tmp_path / "learning.json", [], []
    monkeypatch.setattr(learning, "train", lambda env, agent, **asked: ran.append(asked["seed"]) or Trained())
    monkeypatch.setattr(learning, "evaluate_run", lambda folder, episodes: np.array([110.0, 130.0]))
    monkeypatch.setattr(learning, "TASKS", [TASK])
    first = bench_learning(out, seeds=1, say=said.append)
    assert first["cartpole/a2c"]["runs"]["0"]["evaluation"] == 120.0
    assert first["cartpole/a2c"]["runs"]["0"]["recipe"]["leak"] == 0.03
    both = bench_learning(out, say=said.append)
    assert ran == [0, 1]
    assert both["cartpole/a2c"]["held"]
    assert json.loads(out.read_text()) == json.loads(json.dumps(both))

    both["cartpole/a2c"]["runs"]["0"]["recipe"]["leak"] = 0.5
    out.write_text(json.dumps(both))
    bench_learning(out, say=said.append)
    assert ran == [0, 1]
    assert said[-1].startswith("cartpole/a2c seed 0: kept, but of an earlier recipe")
    monkeypatch.setattr(learning, "TASKS", [TASK._replace(bar=130.0)])
    assert not bench_learning(out)["cartpole/a2c"]["held"], "judged by the bar of now"
    monkeypatch.setattr(learning, "TASKS", [TASK._replace(steps=2000)])
    longer = bench_learning(out, say=said.append)["cartpole/a2c"]
    assert ran == [0, 1, 0, 1]
    assert longer["steps"] == 2000
    with pytest.raises(SettingError, match="There is no task 'cartpole/ppo'"):
        bench_learning(out, only=["cartpole/ppo"])


def test_two_benches_lose_nothing_of_each_other_and_what_is_no_result_is_kept(tmp_path, monkeypatch):
    out, said = tmp_path / "learning.json", []
    monkeypatch.setattr(learning, "TASKS", [TASK, TASK._replace(env="catch")])
    monkeypatch.setattr(learning, "evaluate_run", lambda folder, episodes: np.array([120.0]))

    def train(env, agent, **asked):
        if env == "catch":  # another bench ends meanwhile
            monkeypatch.setattr(learning, "train", lambda *given, **asked: Trained())
            bench_learning(out, ["cartpole/a2c"], 1)
        return Trained()

    monkeypatch.setattr(learning, "train", train)
    assert set(bench_learning(out, ["catch/a2c"], 1)) == {"catch/a2c", "cartpole/a2c"}
    told = json.loads(out.read_text())
    assert set(told) == {"catch/a2c", "cartpole/a2c"}
    higher = [TASK._replace(bar=130.0), TASK._replace(env="catch", steps=2000)]
    monkeypatch.setattr(learning, "TASKS", higher)
    judged = bench_learning(out, seeds=1)["cartpole/a2c"]
    assert (judged["bar"], judged["held"]) == (130.0, False), "also after another task was run"
    told = json.loads(out.read_text())
    assert told["cartpole/a2c"]["bar"] == 130.0
    del told["catch/a2c"]["runs"]["0"]["recipe"]
    out.write_text(json.dumps(told))
    bench_learning(out, ["catch/a2c"], 1, said.append)
    assert "does not tell of which recipe" in said[0]
    with pytest.raises(SettingError, match="seeds=0; expected at least 1"):
        bench_learning(out, seeds=0)
    for other in ("[]", '{"catch/a2c": {"runs": {}}}', "{"):
        out.write_text(other)
        with pytest.raises(RunFolderError, match="holds no results of bench learning"):
            bench_learning(out)
        assert out.read_text() == other
