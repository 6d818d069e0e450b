import dataclasses
import json
import shlex
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

import selftune as st
from selftune.agents.catalogue import AGENTS
from selftune.agents.tuners import OWN, TUNERS
from selftune.cli import main
from selftune.runner import training


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
        (["train", "CartPole-v1", "--tune", ","], "--tune got no name"),
        (["train", "CartPole-v1", "--tune", "num_envs"], "no gradient can move it"),
        (["train", "CartPole-v1", "--agent", "poo"], "did you mean 'ppo'"),
        (["train", "MountainCarContinuous-v0", "--agent", "dqn"], "Discrete"),
        (["train", "CartPole-v1", "--agent", "sac"], "Box"),
        (["train", "CartPole-v1", "--set", "hiden=8"], "did you mean 'hidden'"),
        (["train", "CartPole-v1", "--set", "discount=.9"], "It is a metaparameter: give where it starts"),
        (["train", "cartpole", "--set", "num_envs=8", "--set", "hidden=32"], "--set was given 2 times"),
        (["train", "cartpole", "--checkpoint-every", "8", "--checkpoint_every", "9"], "--checkpoint-every was given 2"),
        (["train", "cartpole", "--init", "discount=.8", "discount=.9"], "discount twice, '.8' and '.9'"),
        (["train", "cartpole", "--out", ""], "Got an empty word"),
        (["train", "cartpole", "--out="], "Got an empty word"),
        (["train", "cartpole", "--drift", "{}"], "A drift has no changes"),
        (["resume", "nowhere"], "nowhere"),
        (["eval", "nowhere"], "nowhere"),
        (["train", "cartpol"], "Near names: cartpole"),
        (["train", "CartPole-v1", "--tuner", "kl"], "did you mean 'kl_adaptive'"),
        (["train", "no_such_module:Corridor-v0"], "no module 'no_such_module' in this folder"),
        (["train", "my_envs:on:[b]Corridor-v0"], "my_envs:on:[b]Corridor-v0"),
        (["train", "cartpole", "--drift", '{"field": "gravity"}'], "a single change as a drift"),
        (["train", "cartpole", "--drift", '[{"field": "gravity"}]'], "expected an object such as"),
        (["export", "nowhere"], "nowhere"),
        (["bench", "learning", "--only", "CartPole-v1/a3c"], "CartPole-v1/a2c"),
        (["bench", "overhead", "--only", "agent"], "did you mean 'agents'"),
        (["bench", "drift", "--out", "drift.html"], "expected FILE.json"),
        (["bench", "robust", "--out", "robust.html"], "expected FILE.json"),
        (["bench", "drift", "--out", "."], "expected FILE.json"),
        (["bench", "robust", "--out", "/"], "expected FILE.json"),
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


def test_an_option_that_is_a_metaparameter_is_met_with_a_hint(capsys):
    with pytest.raises(SystemExit):
        main(["train", "cartpole", "--learning-rate", "0.1"])
    assert "--init learning_rate=VALUE" in " ".join(capsys.readouterr().err.split())


def test_names_may_be_told_apart_by_commas(tmp_path):
    main(["train", "cartpole", "--tune", "learning_rate,discount", "--steps", "600", "--out", str(tmp_path / "run")])
    assert set(st.Run(tmp_path / "run").eta) == {"learning_rate", "discount"}


def test_a_run_that_was_stopped_says_so_and_goes_on(tmp_path, monkeypatch, capsys):
    def impatient():
        yield lambda: True

    monkeypatch.setattr(training, "stop_requests", contextmanager(impatient))
    out = str(tmp_path / "run")
    with pytest.raises(SystemExit) as end:
        main(["train", "cartpole", "--steps", "600", "--out", out])
    assert end.value.code == 130
    assert f"stopped early; to go on: selftune resume {out}" in capsys.readouterr().out.replace("\n", "")
    main(["eval", out, "--episodes", "1"])
    assert "(the run has taken 0 of 600 steps)" in " ".join(capsys.readouterr().out.split())
    monkeypatch.undo()
    main(["resume", out])
    assert "stopped early" not in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["resume", out, "--steps", "100"])
    assert "has taken 1,024; expected more than that" in " ".join(capsys.readouterr().err.split())
    monkeypatch.setattr(training, "stop_requests", contextmanager(impatient))
    with pytest.raises(SystemExit) as end:
        main(["resume", out, "--steps", "3000"])
    assert end.value.code == 130, "it has not taken the steps that it was given since"
    assert f"stopped early; to go on: selftune resume {out}" in capsys.readouterr().out.replace("\n", "")
    main(["eval", out, "--episodes", "1"])
    assert "(the run has taken 1,024 of 3,000 steps)" in " ".join(capsys.readouterr().out.split())
    main(["resume", out, "--steps", "1024"])
    assert st.Run(Path(out)).finished, "what it has taken is its length now"


def test_who_stops_reading_does_not_stop_the_run(tmp_path):
    code = (
        "import sys, selftune as st\n"
        "run = st.train('cartpole', steps=20_000, out=sys.argv[1])\n"
        "print(run.finished, file=sys.stderr)"
    )
    words = [sys.executable, "-c", code, str(tmp_path / "run")]
    made = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert made.stdout is not None
    made.stdout.close()
    assert made.communicate()[1].splitlines()[-1] == "True"
    assert made.returncode == 0
