import dataclasses
import json
import shlex
import sys
from pathlib import Path

import pytest

import selftune as st
from selftune.agents.catalogue import AGENTS
from selftune.agents.tuners import OWN, TUNERS
from selftune.cli import main


def test_train_and_report(tmp_path, capsys):
    out = tmp_path / "run"
    main(["train", "CartPole-v1", "--tune", "learning_rate", "discount", "--init", "learning_rate=1e-4", "discount=0.9",
          "--steps", "1000", "--seed", "3", "--out", str(out)])  # fmt: skip
    printed = capsys.readouterr().out
    assert "learning rate" in printed
    assert (out / "report.html").stat().st_size < 8_000_000
    main(["train", "CartPole-v1", "--tune", "none", "--steps", "600", "--out", str(tmp_path / "fixed")])
    main(["report", str(out), str(tmp_path / "fixed"), "--out", str(tmp_path / "both.html")])
    assert (tmp_path / "both.html").exists()


def test_an_environment_of_the_working_folder_is_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "lanes.py").write_text(
        "import gymnasium\n"
        "gymnasium.register('Lane-v0', 'gymnasium.envs.classic_control.cartpole:CartPoleEnv', max_episode_steps=9)"
    )
    main(["train", "lanes:Lane-v0", "--steps", "600", "--out", "run"])
    main(["eval", "run", "--episodes", "2"])


def test_steps_are_written_as_people_write_them(tmp_path, capsys):
    main(["train", "cartpole", "--tune", "none", "--steps", "1e3", "--seed", "1_2", "--out", str(tmp_path / "run")])
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert (config["settings"]["steps"], config["seed"]) == (1000, 12)
    for word in ("1.5", "many", "inf", "1__0"):
        with pytest.raises(SystemExit):
            main(["train", "cartpole", "--steps", word, "--out", str(tmp_path / "none")])
        assert f"got '{word}', expected a whole number" in " ".join(capsys.readouterr().err.split())


def test_the_version_is_told(capsys):
    main(["--version"])
    assert capsys.readouterr().out == f"selftune {st.__version__}\n"


@pytest.mark.parametrize("name", AGENTS)
def test_everything_that_can_be_said_of_an_agent_is_listed(name, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "200")
    main(["agents", name])
    lines = capsys.readouterr().out.splitlines()
    first = {line.split()[0].rstrip("*°"): line for line in lines if line.strip()}
    settings = AGENTS[name][1]
    for field in dataclasses.fields(settings):
        assert len(first[field.name].split()) > 3, f"{field.name} is not explained"
    assert {tuner for tuner, choice in TUNERS.items() if name in choice.agents} <= first.keys()
    assert "learning_rate*" in first["learning_rate"]
    assert "1e-06 to 0.1" in first["learning_rate"]
    homing = {each for each in first if each and first[each].startswith(f"{each}°")}
    assert homing == set(OWN[name].homing)


def test_agents_are_listed(capsys):
    main(["agents"])
    assert set(AGENTS) <= set(capsys.readouterr().out.split())


def test_a_setting_of_no_entries_is_said_as_it_is_recorded(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    few = {"hidden": (), "num_envs": 2, "rollout_length": 4}
    run = st.train("cartpole", settings=few, steps=16, out="linear", progress=False)
    words = [word if word != "linear" else "again" for word in shlex.split(run.config["command"])[1:]]
    assert "hidden=" in words
    main(words)
    assert st.Run(Path("again")).config["settings"] == run.config["settings"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["agents", "saq"], "did you mean 'sac'"),
        (["train", "CartPole-v9", "--steps", "100"], "CartPole"),
        (["train", "CartPole-v1", "--init", "discount"], "NAME=VALUE"),
        (["train", "CartPole-v1", "--init", "discount=high"], "NAME=VALUE"),
        (["train", "CartPole-v1", "--tune", "batch_size"], "no metaparameter"),
        (["train", "CartPole-v1", "--tune"], "--tune got no name"),
        (["train", "CartPole-v1", "--tune", "num_envs"], "no gradient can move it"),
        (["train", "CartPole-v1", "--agent", "poo"], "did you mean 'ppo'"),
        (["train", "MountainCarContinuous-v0", "--agent", "dqn"], "Discrete"),
        (["train", "CartPole-v1", "--agent", "sac"], "Box"),
        (["train", "CartPole-v1", "--set", "hiden=8"], "did you mean 'hidden'"),
        (["resume", "nowhere"], "nowhere"),
        (["eval", "nowhere"], "nowhere"),
        (["train", "cartpol"], "Near names: cartpole"),
        (["train", "CartPole-v1", "--tuner", "kl"], "did you mean 'kl_adaptive'"),
        (["train", "no_such_module:Corridor-v0"], "no module 'no_such_module' in this folder"),
        (["train", "cartpole", "--drift", '{"field": "gravity"}'], "a single change as a drift"),
        (["train", "cartpole", "--drift", '[{"field": "gravity"}]'], "expected an object such as"),
        (["export", "nowhere"], "nowhere"),
        (["bench", "learning", "--only", "CartPole-v1/a3c"], "CartPole-v1/a2c"),
        (["bench", "overhead", "--only", "agent"], "did you mean 'agents'"),
        (["bench", "drift", "--out", "drift.html"], "expected FILE.json"),
        (["bench", "robust", "--out", "robust.html"], "expected FILE.json"),
        (["report", "nowhere"], "nowhere"),
    ],
)
def test_mistakes_end_in_one_clear_message(tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 1
    printed = " ".join(capsys.readouterr().err.split())
    assert message in printed
    assert "Traceback" not in printed
    assert not (tmp_path / "runs").exists()
