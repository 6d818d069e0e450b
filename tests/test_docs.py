"""What the guides show can be run as it stands there."""

import dataclasses
import json
import re
import sys
from pathlib import Path

import pytest

import selftune as st
from selftune.cli import main
from selftune.envs.drift import Change, Drift
from selftune.envs.drift.reading import read

DOCS = Path(__file__).parent.parent / "docs"


def blocks(page, language):
    return re.findall(rf"```{language}\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)


def test_the_environment_of_ones_own(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "corridors.py").write_text(blocks("environments.md", "python")[0])
    drift = '{"changes": [{"field": "slip", "values": [0.1, 0.3], "every": 300}]}'
    main(["train", "corridors:Corridor-v0", "--steps", "600", "--out", "run", "--drift", drift])
    main(["envs", "--drift", "corridors:Corridor-v0"])
    assert "slip" in capsys.readouterr().out
    main(["eval", "run", "--episodes", "1", "--imports", "corridors"])


def test_spaces_made_flat():
    made: dict = {}
    exec(blocks("environments.md", "python")[1], made)
    assert made["env"].observation_space.shape == (45,)
    made["env"].close()


def test_the_schedule_and_the_table_of_its_keys():
    (shown,) = blocks("drift.md", "json")
    drift = read(json.loads(shown))
    assert [change.field for change in drift.changes] == ["force", "gravity"]
    told = set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`.*?) \|", (DOCS / "drift.md").read_text(), re.M))))
    known = {entry.name for kind in (Drift, Change) for entry in dataclasses.fields(kind)}
    assert told == known


@pytest.mark.parametrize("memory", [0, 3])
def test_the_exported_policy_as_it_is_called_there(tmp_path, monkeypatch, memory):
    monkeypatch.chdir(tmp_path)
    settings = {"num_envs": 4, "rollout_length": 8, "hidden": (4,), "memory": memory}
    st.train("CartPole-v1", steps=64, settings=settings, out="runs/pole", progress=False)
    main(["export", "runs/pole"])
    called = next(block for block in blocks("runs.md", "python") if "program.call" in block)
    if memory:
        called = called.replace("observation, (),", "observation, np.zeros((1, 3), np.float32),")
    found = {}
    exec(called, found)
    assert found["action"].shape == (1,)
