import json
import shutil
from types import SimpleNamespace

import jax
import numpy as np
import pytest

import selftune as st
from selftune.agents import Recipe
from selftune.envs import make
from selftune.errors import CheckpointError, MetaParamError, RunFolderError, SettingError
from selftune.runner import rollouts
from selftune.runner.arrays import pack
from selftune.runner.plan import Plan
from selftune.spaces import Box, Discrete

from .setting import SMALL, last_checkpoint, told, train


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
