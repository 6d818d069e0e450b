import json
import logging
import shutil
import signal
from contextlib import nullcontext, suppress
from types import SimpleNamespace

import jax
import numpy as np
import pytest

import selftune as st
from selftune.agents import Recipe
from selftune.envs import make
from selftune.errors import CheckpointError, MetaParamError, RunFolderError, SettingError
from selftune.runner import checkpointing, chunks, native_experiment, rollouts, training
from selftune.runner.arrays import pack
from selftune.runner.checkpointing import read_arrays
from selftune.runner.plan import Plan, planned
from selftune.runner.run_folder import RunFolder
from selftune.spaces import Box, Discrete

CLOCK = {"wall_time", "steps_per_second"}
SMALL = {"num_envs": 4, "rollout_length": 8, "hidden": (16,)}


def train(path, env="CartPole-v1", **options):
    return st.train(env, **({"steps": 2000, "progress": False, "out": path} | options))


def last_checkpoint(path):
    return read_arrays(max((path / "checkpoints").glob("step-*.safetensors")))[0]


def told(run):
    """Rows without the fields that a clock makes."""
    return [{key: value for key, value in row.items() if key not in CLOCK} for row in run.rows]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return train(tmp_path_factory.mktemp("runs") / "one", init={"learning_rate": 1e-4})


def test_a_run_leaves_its_folder(run):
    assert {file.name for file in run.path.iterdir()} == {
        "config.json",
        "metrics.jsonl",
        "events",
        "checkpoints",
        ".lock",
    }
    assert run.config["command"] == (
        f"selftune train CartPole-v1 --agent a2c --init learning_rate=0.0001 --steps 2000 --seed 0 --out {run.path}"
    )
    assert run.config["settings"]["init"]["critic_learning_rate"] == pytest.approx(1e-4)
    assert run.config["settings"]["tune"] == list(Recipe().tune)
    assert run.config["settings"]["settings"]["lifetime"] == 2000


def test_the_config_says_where_a_beginners_start_is_drawn(run):
    assert "home" not in run.config["settings"], "the user said where it begins"
    _, _, config = Plan("CartPole-v1", steps=2000, settings=SMALL).build()
    assert config["home"] == {name: pytest.approx(3e-3) for name in ("learning_rate", "critic_learning_rate")}
    assert all(config["init"][name] > home for name, home in config["home"].items())


def test_rows_hold_what_a_person_looks_for(run):
    first, last = run.rows[0], run.rows[-1]
    assert [row["step"] for row in run.rows] == [512, 1024, 1536, 2048]
    assert first["eta/learning_rate"] == pytest.approx(1e-4 * 30**0.03, rel=0.03), "one leak towards 3e-3"
    assert {"update", "wall_time", "steps_per_second", "loss", "entropy", "guard/trust_region"} <= last.keys()
    assert {key for key in last if key.startswith("meta_grad/")} == {f"meta_grad/{name}" for name in run.eta}
    assert sum(row["return_episodes"] for row in run.rows) > 20
    assert 10 < run.final_return < 60
    assert [row["reward_mean"] for row in run.rows] == [1.0] * 4, "every step of cartpole pays 1"
    assert run.final_reward == 1.0


def test_everything_that_was_learned_is_saved(run):
    arrays = last_checkpoint(run.path)
    names = " ".join(arrays)
    for part in ("agent/learner/params/policy", "agent/learner/opt_state", "agent/meta/meta_params", "key", "update"):
        assert part in names


def test_the_same_seed_makes_the_same_run(run, tmp_path):
    again = train(tmp_path / "again", init={"learning_rate": 1e-4})
    assert told(again) == told(run)
    other = train(tmp_path / "other", init={"learning_rate": 1e-4}, seed=1)
    assert other.rows[-1]["loss"] != run.rows[-1]["loss"]


def test_a_fixed_agent_logs_no_metaparameters(tmp_path):
    run = train(tmp_path / "fixed", tune=[], settings=SMALL)
    assert run.eta == {}
    assert run.config["settings"]["tune"] == []


@pytest.mark.parametrize(
    ("options", "error", "word"),
    [
        ({"agent": "a3c"}, SettingError, "a2c"),
        ({"steps": 0}, SettingError, "steps"),
        ({"seed": -1}, SettingError, "seed"),
        ({"checkpoint_every": 0}, SettingError, "checkpoint_every"),
        ({"tune": ["learning_rat"]}, MetaParamError, "learning_rate"),
        ({"tune": ["num_envs"]}, MetaParamError, "num_envs"),
        ({"init": {"discount": 2.0}}, MetaParamError, "discount"),
        ({"settings": {"hiden": 3}}, SettingError, "hidden"),
        ({"settings": {"hidden": "many"}}, SettingError, "hidden"),
        ({"settings": {"num_envs": 2.5}}, SettingError, "num_envs"),
    ],
)
def test_bad_settings_are_refused_before_a_folder_is_made(tmp_path, options, error, word):
    with pytest.raises(error, match=word):
        train(tmp_path / "bad", **options)
    assert not (tmp_path / "bad").exists()


def test_a_folder_in_use_is_refused(run):
    with pytest.raises(RunFolderError, match="already holds a run"):
        train(run.path)


@pytest.mark.parametrize("failure", [KeyboardInterrupt, RuntimeError])
def test_a_run_that_breaks_loses_nothing_and_goes_on(tmp_path, monkeypatch, failure):
    calls = iter(range(100))
    collect = rollouts.Rollout.collect

    def broken(self, *given):
        if next(calls) == 2:
            raise failure("in the middle")
        return collect(self, *given)

    monkeypatch.setattr(rollouts.Rollout, "collect", broken)
    path = tmp_path / "run"
    if failure is KeyboardInterrupt:
        assert [row["step"] for row in train(path).rows] == [512, 1024]
    else:
        with pytest.raises(RuntimeError, match="in the middle") as caught:
            train(path)
        assert str(path) in caught.value.__notes__[0]
    kept = last_checkpoint(path)
    assert all(np.isfinite(array).all() for array in kept.values() if array.dtype.kind == "f")
    assert int(kept["update"]) == 2
    resumed = training.resume(path, progress=False)
    assert [row["step"] for row in resumed.rows] == [512, 1024, 1536, 2048]


@pytest.mark.parametrize(("reward", "mean"), [([2.0, np.nan], 2.0), ([np.nan, np.inf], np.nan)])
def test_a_reward_that_is_no_number_is_left_out_of_the_mean(monkeypatch, reward, mean):
    env = make("CartPole-v1", 2)
    step = env.step
    monkeypatch.setattr(env, "step", lambda action: step(action)._replace(reward=np.array(reward, np.float32)))
    choice = SimpleNamespace(action=np.zeros(2, int), carry=(), notes=())
    rollout = rollouts.Rollout(env, lambda actor, carry, seen, first, key: (choice, key), 2)
    rollout.begin(0)
    rollout.collect((), (), jax.random.key(0))
    np.testing.assert_array_equal(rollout.take()[2], [mean])
    env.close()


class Killed(BaseException):
    """No handler is asked: as with kill -9."""


@pytest.mark.parametrize("patience", [training.MOST_SECONDS, 0.0])
def test_a_run_that_is_killed_goes_on_where_the_clock_last_saved_it_or_begins_anew(
    tmp_path, monkeypatch, caplog, patience
):
    """Slow worlds come to few steps; nothing but `patience` asks for a checkpoint in these 2000."""
    calls, collect = iter(range(100)), rollouts.Rollout.collect

    def killed(self, *given):
        if next(calls) == 3:
            raise Killed
        return collect(self, *given)

    path = tmp_path / "run"
    with monkeypatch.context() as patched:
        patched.setattr(training, "MOST_SECONDS", patience)
        patched.setattr(rollouts.Rollout, "collect", killed)
        patched.setattr(checkpointing.Checkpoints, "finish", lambda *given: None)
        with pytest.raises(Killed):
            train(path)
    saved = len(list((path / "checkpoints").glob("step-*"))) if (path / "checkpoints").exists() else 0
    assert saved == (0 if patience else 3)
    assert [row["step"] for row in st.Run(path).rows] == [512, 1024, 1536]
    with caplog.at_level(logging.WARNING, "selftune"):
        resumed = training.resume(path, progress=False)
    assert ("begins anew" in caplog.text) == bool(patience)
    assert [row["step"] for row in resumed.rows] == [512, 1024, 1536, 2048]
    assert resumed.finished
    if not patience:
        return
    for mine, theirs in zip(told(resumed), told(train(tmp_path / "whole")), strict=True):
        assert mine == theirs, "it is the run that never was killed"


@pytest.mark.parametrize("failure", [KeyboardInterrupt, RuntimeError])
def test_a_run_that_stops_within_a_row_tells_of_all_it_did(tmp_path, monkeypatch, failure):
    calls, collect = iter(range(100)), rollouts.Rollout.collect

    def broken(self, *given):
        if next(calls) == 3:
            raise failure("within the second row of two updates")
        return collect(self, *given)

    monkeypatch.setattr(chunks, "ROWS", 2)
    monkeypatch.setattr(rollouts.Rollout, "collect", broken)
    with suppress(RuntimeError):
        train(tmp_path / "run")
    before = st.Run(tmp_path / "run").rows
    assert [row["step"] for row in before] == [1024, 1536]
    after = training.resume(tmp_path / "run", progress=False).rows
    assert [row["step"] for row in after] == [1024, 2048], "one row about both parts"
    assert after[1]["return_episodes"] > before[1]["return_episodes"] > 5


def test_an_agent_online_goes_on_with_what_a_run_has_learned(run, tmp_path):
    agent = st.OnlineAgent(Box((4,)), Discrete(2))
    agent.begin_with(run.learned())
    kept, own = last_checkpoint(run.path), pack(agent._learner.state)
    networks = [name for name in own if name.startswith("learner/params")]
    assert networks
    assert all(np.array_equal(kept[f"agent/{name}"], own[name]) for name in networks)
    with pytest.raises(CheckpointError, match="begin_with"):
        st.OnlineAgent.load(max((run.path / "checkpoints").glob("step-*.safetensors")))
    st.export_policy(run.path, tmp_path)
    with pytest.raises(CheckpointError, match="bears no SHA-256"):
        st.OnlineAgent.load(next(tmp_path.rglob("*.safetensors")))


@pytest.mark.parametrize("moment", ["advance", "begin"])
def test_ctrl_c_waits_for_the_end_of_an_update(usual_ctrl_c, tmp_path, monkeypatch, moment):
    """In the middle of one the session is in no one's hands."""
    experiment, calls = native_experiment.native_experiment, iter(range(100))

    def interrupted(*given):
        whole = experiment(*given)

        def advance(session, updates, beat):
            if moment == "advance" and next(calls) == 2:
                signal.raise_signal(signal.SIGINT)
            return whole.advance(session, updates)

        def begin(seed):
            if moment == "begin":
                signal.raise_signal(signal.SIGINT)
            return whole.begin(seed)

        return whole._replace(advance=advance, begin=begin)

    monkeypatch.setattr("selftune.runner.plan.native_experiment", interrupted)
    run = train(tmp_path / "run", "cartpole", settings=SMALL, steps=400)
    done = {"advance": 3, "begin": 0}[moment]
    assert len(run.rows) == done
    assert int(last_checkpoint(run.path)["update"]) == done
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_ctrl_c_inside_an_update_says_what_is_lost(usual_ctrl_c, tmp_path, monkeypatch):
    experiment, calls = native_experiment.native_experiment, iter(range(100))

    def interrupted(*given):
        whole = experiment(*given)

        def advance(session, updates, beat):
            told = whole.advance(session, updates)
            if next(calls) == 2:
                signal.raise_signal(signal.SIGINT)
                signal.raise_signal(signal.SIGINT)
            return told

        return whole._replace(advance=advance)

    monkeypatch.setattr("selftune.runner.plan.native_experiment", interrupted)
    with pytest.raises(KeyboardInterrupt) as caught:
        train(tmp_path / "run", "cartpole", settings=SMALL, steps=400)
    assert f"selftune resume {tmp_path / 'run'}" in caught.value.__notes__[0]


@pytest.mark.parametrize("agent", ["a2c", "impala", "ppo"])
def test_a_native_run_that_was_stopped_goes_on_bitwise(tmp_path, monkeypatch, agent):
    options = {"agent": agent, "settings": SMALL | ({"epochs": 2} if agent == "ppo" else {}), "steps": 400}
    alone = train(tmp_path / "alone", "cartpole", **options)
    log = RunFolder.log

    def stop(self, row):
        log(self, row)
        if row["update"] == 5:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(RunFolder, "log", stop)
        stopped = train(tmp_path / "stopped", "cartpole", **options)
    assert len(stopped.rows) == 5
    resumed = training.resume(stopped.path, progress=False)
    assert told(resumed) == told(alone)
    left, right = (last_checkpoint(one.path) for one in (alone, resumed))
    assert left.keys() == right.keys()
    assert all(left[name].tobytes() == right[name].tobytes() for name in left)


@pytest.mark.parametrize("killed", [True, False])
def test_a_native_run_that_ends_within_a_row_goes_on_bitwise(tmp_path, monkeypatch, killed):
    """Rows of six updates and a checkpoint every two: the tenth is within the second row."""
    monkeypatch.setattr(chunks, "ROWS", 2)
    alone = train(tmp_path / "alone", "cartpole", settings=SMALL, steps=400, checkpoint_every=64)
    assert [row["update"] for row in alone.rows] == [6, 12, 13]
    shutil.copytree(alone.path, tmp_path / "ended")
    saved = sorted((tmp_path / "ended" / "checkpoints").glob("step-*"))
    assert [int(read_arrays(file)[0]["update"]) for file in saved] == [10, 12, 13]
    if killed:
        for file in saved[1:]:
            file.unlink()
    else:
        shutil.rmtree(tmp_path / "ended")
        calls = iter(range(100))
        with monkeypatch.context() as patched:
            patched.setattr(training, "stop_requests", lambda: nullcontext(lambda: next(calls) == 5))
            stopped = train(tmp_path / "ended", "cartpole", settings=SMALL, steps=400, checkpoint_every=64)
        assert [row["update"] for row in stopped.rows] == [6, 10]
    resumed = training.resume(tmp_path / "ended", progress=False)
    assert told(resumed) == told(alone)
    left, right = (last_checkpoint(one.path) for one in (alone, resumed))
    assert all(left[name].tobytes() == right[name].tobytes() for name in left)


def test_a_finished_run_can_be_made_longer(tmp_path, capsys):
    run = train(tmp_path / "run", "cartpole", settings=SMALL, steps=100)
    assert [row["step"] for row in training.resume(run.path).rows] == [32, 64, 96, 128], "nothing is left to do"
    assert f"has taken 128 of 100 steps. To go on: selftune resume {run.path} --steps" in capsys.readouterr().out
    longer = training.resume(run.path, steps=200, progress=False)
    assert [row["step"] for row in longer.rows] == [32, 64, 96, 128, 160, 192, 224]
    plan = planned(json.loads((run.path / "config.json").read_text()))
    assert plan.steps == 200, "whoever resumes it again goes on to there"
    assert plan.build()[2]["settings"]["lifetime"] == 200, "what follows the length of a life follows the new one"
    mine = Plan("cartpole", steps=100, settings=SMALL | {"lifetime": 50}).build()[2]
    plan = planned({"settings": mine, "seed": 0, "extended": 200})
    assert (plan.steps, plan.settings["lifetime"]) == (200, 50), "what was asked for stays"


def test_a_last_checkpoint_that_cannot_be_written_is_an_error(tmp_path, monkeypatch, caplog):
    def full(*given):
        raise CheckpointError("No space.")

    monkeypatch.setattr(checkpointing, "write_arrays", full)
    with pytest.raises(CheckpointError, match="it is the last") as caught:
        train(tmp_path / "run", "cartpole", settings=SMALL, steps=100)
    assert not getattr(caught.value, "__notes__", []), "nothing was kept"
    assert "No space." in caplog.text


def test_the_command_that_is_recorded_makes_the_same_run(tmp_path):
    run = train(tmp_path / "run", "cartpole", settings=SMALL, steps=32, init={"learning_rate": 0.00012345678})
    assert "--init learning_rate=0.00012345678 " in json.loads((run.path / "config.json").read_text())["command"]


def test_older_rows_without_rewards_are_read(run, tmp_path):
    shutil.copytree(run.path, tmp_path / "old")
    old = [{key: value for key, value in row.items() if key != "reward_mean"} for row in run.rows]
    (tmp_path / "old" / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in old))
    assert st.Run(tmp_path / "old").final_reward is None
    assert "reward" not in st.Run(tmp_path / "old").report().read_text().split("Losses and diagnostics")[0][-2000:]


def test_rows_of_the_final_reward_weigh_as_many_steps_as_they_tell_of(run):
    """Of 1000 steps those after 800: 190 at 1 and 10 at 20 are 390 in 200 steps."""
    one = st.Run(run.path)
    one.rows = [{"step": step, "reward_mean": reward} for step, reward in ((800, 9.0), (990, 1.0), (1000, 20.0))]
    assert one.final_reward == pytest.approx(390 / 200)


def test_a_world_without_episodes_tells_the_reward_of_a_step(tmp_path, capsys):
    run = train(tmp_path / "run", "two_colors", settings=SMALL, steps=320, progress=True)
    assert run.final_return is None
    assert -0.2 < run.final_reward < 0.1, "most steps of a beginner cost 0.04"
    assert "reward per step" in capsys.readouterr().out
    page = run.report().read_text()
    assert "No episode ended in 320 environment steps. A step brought -0.0" in page
    assert "No episode has ended: the mean reward of a step." in page


def test_a_damaged_checkpoint_costs_only_itself(tmp_path, caplog):
    run = train(tmp_path / "run", "cartpole", settings=SMALL, steps=200, checkpoint_every=64)
    newest = max((run.path / "checkpoints").glob("step-*"))
    newest.write_bytes(newest.read_bytes()[:-100])
    with caplog.at_level(logging.WARNING, "selftune"):
        resumed = training.resume(run.path, progress=False)
    assert "damaged" in caplog.text
    assert resumed.rows[-1]["step"] == 224
    for file in (run.path / "checkpoints").glob("step-*"):
        file.write_bytes(b"")
    for remove in (False, True):
        if remove:
            shutil.rmtree(run.path / "checkpoints")
        with pytest.raises(CheckpointError, match="no whole checkpoint"):
            training.resume(run.path, progress=False)
        assert st.Run(run.path).rows[-1]["step"] == 224, "what they had told is kept"


def test_report_is_one_page(run, tmp_path):
    page = run.report(tmp_path / "page.html")
    assert "CartPole-v1" in page.read_text()


def test_a_self_tuned_agent_learns_where_a_fixed_one_does_not(tmp_path):
    """Threshold on a tiny budget: from a rate of 1e-4, 60k steps; fixed stays near the random 22."""
    bad = {"learning_rate": 1e-4}
    tuned = train(tmp_path / "tuned", "cartpole", init=bad, steps=60_000)
    fixed = train(tmp_path / "fixed", "cartpole", init=bad, steps=60_000, tune=[])
    assert tuned.final_return > 1.5 * fixed.final_return
    assert tuned.eta["learning_rate"] > 3e-4


def test_config_is_plain_json(run):
    assert json.loads((run.path / "config.json").read_text())["versions"]["jax"] == jax.__version__
