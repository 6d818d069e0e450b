"""A few of the hostile inputs of benchmarks/fuzz.py: each ends in a clear error or in a finished run."""

import importlib
import itertools
import json
import sys
from contextlib import suppress

import gymnasium as gym
import numpy as np
import pytest

import selftune as st
from selftune.agents.vocabulary import VOCABULARY
from selftune.cli import main
from selftune.envs import describe_actions, describe_observations, encode, make
from selftune.envs.opening import open_env
from selftune.envs.own_modules import import_asked, refuse_unasked, resume_command
from selftune.errors import (
    ConstraintError,
    MissingExtraError,
    RunFolderError,
    SettingError,
    UnsupportedSpaceError,
    did_you_mean,
)
from selftune.runner.asked import names, starts
from selftune.runner.checkpointing import read_arrays
from selftune.runner.evaluating import evaluate_run
from selftune.runner.handed import earned, flag
from selftune.runner.online import OnlineAgent
from selftune.runner.plan import agent_named
from selftune.spaces import Box, Discrete

SMALL = {"num_envs": 2, "rollout_length": 4, "hidden": (8,)}
numbers = itertools.count()


class World(gym.Env):
    """Three numbers to see, two actions; `at(step)` gives the factor of everything, or raises."""

    observation_space, action_space = gym.spaces.Box(-10, 10, (3,)), gym.spaces.Discrete(2)

    def __init__(self, at):
        self._at, self._steps = at, 0

    def reset(self, *, seed=None, options=None):
        return np.full(3, self._at(self._steps), np.float32), {}

    def step(self, action):
        self._steps += 1
        now = self._at(self._steps)
        return np.full(3, now, np.float32), now, self._steps % 5 == 0, False, {}


def registered(at):
    name = f"Hostile{next(numbers)}-v0"
    gym.register(name, lambda **options: World(at), disable_env_checker=True)
    return name


def train(path, env="CartPole-v1", **options):
    defaults = {"tune": [], "settings": SMALL, "steps": 32, "out": path, "progress": False}
    return st.train(env, **(defaults | options))


def arrays(path):
    return read_arrays(max((path / "checkpoints").glob("step-*")))[0]


def refuse(word):
    raise ValueError(f"{word} is not JSON")


@pytest.mark.parametrize("number", [np.nan, -np.inf, 1e30])
def test_numbers_that_break_everything_break_nothing(tmp_path, number):
    run = train(tmp_path / "run", registered(lambda step: number if step > 3 else 1.0))
    assert [row["step"] for row in run.rows] == [8, 16, 24, 32]
    assert all(np.isfinite(array).all() for array in arrays(run.path).values() if array.dtype.kind == "f")
    for line in (run.path / "metrics.jsonl").read_text().splitlines():
        json.loads(line, parse_constant=refuse)


def test_an_environment_that_raises_is_named_and_the_run_is_kept(tmp_path):
    def at(step):
        if step == 10:
            raise KeyError("joint")
        return 1.0

    with pytest.raises(KeyError, match="joint") as caught:
        train(tmp_path / "run", registered(at))
    whose, how = caught.value.__notes__
    assert "environment raised this" in whose
    assert f"selftune resume {tmp_path / 'run'}" in how
    assert int(arrays(tmp_path / "run")["update"]) == 2


def test_an_environment_that_cannot_begin_or_be_made_is_named():
    def at(step):
        raise OSError("no camera")

    with pytest.raises(OSError, match="no camera") as caught:
        make(registered(at), 2).reset(0)
    assert "environment raised this" in caught.value.__notes__[0]

    def entry(**options):
        raise OSError("no camera")

    gym.register("Hostile-v0", entry)
    with pytest.raises(SettingError, match=r"Hostile-v0 could not be made \(OSError: no camera\)"):
        make("Hostile-v0", 2)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"tune": "discount"}, "list of names"),
        ({"init": {"discount": np.nan}}, "outside its bounds"),
        ({"seed": 2**70}, "2\\^32"),
        ({"steps": 2**70}, "2\\^63"),
        ({"out": "\0"}, "folder"),
        ({"settings": {"num_envs": 0}}, "from 1 to"),
        ({"settings": {"hidden": (0,)}}, "from 1 to"),
        ({"settings": {"hidden": (2.5,)}}, "such as 64,64"),
        ({"settings": {"num_envs": float("inf")}}, "such as 16"),
        ({"settings": {"outer_discount": "nan"}}, r"from 0\.0 to 1\.0"),
        ({"settings": {"lifetime": 10**400}}, "2147483647"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path, options, told):
    with pytest.raises((SettingError, ConstraintError), match=told):
        train(tmp_path / "run", **options)
    assert not (tmp_path / "run").exists()


def test_what_is_no_name_or_number_at_all_is_refused():
    for wrong in (3, [None], {1}):
        with pytest.raises(SettingError, match="list of names"):
            names(wrong)
    for wrong in ("discount", {3: 1.0}, [1]):
        with pytest.raises(SettingError, match="values by name"):
            starts(wrong)
    for wrong in (True, "x", None, 10**400):
        with pytest.raises(SettingError, match=r"discount = .*: expected a number"):
            starts({"discount": wrong})
    with pytest.raises(SettingError, match="a2c"):
        agent_named([])
    assert names(None) is None
    assert starts(None) == {}
    assert starts({"discount": np.float32(0.5)}) == {"discount": 0.5}


def test_a_config_that_was_changed_is_told(tmp_path):
    run = train(tmp_path / "run", steps=8)
    file = run.path / "config.json"
    config = json.loads(file.read_text())
    for name, value in {"tune": "x", "init": [], "steps": None}.items():
        file.write_text(json.dumps(config | {"settings": config["settings"] | {name: value}}))
        with pytest.raises(RunFolderError, match=rf"(?s)config.json does not say .*{name}"):
            st.resume(run.path, progress=False)


def test_the_line_that_goes_on_names_the_module_that_lies_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    (tmp_path / "my_lifts.py").write_text("")
    assert resume_command("runs/a b", "my_lifts:Lift-v0") == "selftune resume 'runs/a b' --imports my_lifts"
    for env in ("CartPole-v1", "cartpole", "gymnasium:CartPole-v1", "nowhere_at_all:World-v0", "ALE/Pong-v5"):
        assert resume_command("runs/a", env) == "selftune resume runs/a"


def test_names_of_other_libraries_are_understood():
    for other, ours in {"lr": "learning_rate", "gamma": "discount", "lambda": "trace_decay"}.items():
        assert did_you_mean(other, VOCABULARY).startswith(f"did you mean {ours!r}?")
    assert did_you_mean("alpha", [*VOCABULARY, "temperature"]).startswith("did you mean 'temperature'?")
    assert did_you_mean("n_steps", ["n_step", "rollout_length"]).startswith("did you mean 'n_step'?"), "a slip"
    assert did_you_mean("gamma", ["gain", "gamut"]).startswith("did you mean 'gamut'?"), "where there is such a name"


def test_the_folder_above_the_runs_is_told_from_a_run(tmp_path):
    run = train(tmp_path / "run", steps=8)
    with pytest.raises(RunFolderError, match=f"output of a training run, such as {run.path}"):
        st.resume(tmp_path, progress=False)


def test_spaces_of_no_size_or_any_are_refused():
    for number in (0, -2, 2**62):
        space = gym.spaces.Discrete(1)
        space.n = number
        for describe in (describe_actions, describe_observations):
            with pytest.raises(UnsupportedSpaceError, match="expected 1 to 1000000"):
                describe(space)
    with pytest.raises(UnsupportedSpaceError, match="expected at least one number"):
        describe_actions(gym.spaces.Box(-1, 1, (0,)))


def test_observations_of_another_kind_are_refused():
    assert encode(Discrete(2, -1), np.array([-1, 0])).tolist() == [[1.0, 0.0], [0.0, 1.0]]
    for wrong in (2, -1, 0.5, "x", None):
        with pytest.raises(SettingError, match="expected whole numbers from 0 to 1"):
            encode(Discrete(2), wrong)
    with pytest.raises(SettingError, match=r"expected numbers \(float32\)"):
        encode(Box((1,)), ["x"])


def test_the_users_own_loop_may_hand_in_anything(tmp_path):
    agent = OnlineAgent(Box((3,)), Discrete(2), tune=[], settings={"rollout_length": 4, "hidden": (8,)})
    agent.reset(np.zeros(3))
    for reward in (None, "x", [1.0, 2.0], {}, 10**400, 1j):
        with pytest.raises(SettingError, match="expected one real number"):
            earned(reward)
    for value in (None, "yes", [], np.nan):
        with pytest.raises(SettingError, match="expected True or False"):
            flag("terminated", value)
    for observation in (["a", "b", "c"], [[1], [2, 3]], np.zeros(2)):
        with pytest.raises(SettingError, match="expected"):
            agent.step(observation, 0.0)
    assert agent.steps == 0
    agent.step(np.full(3, np.nan), np.float64(1e300))
    saved = read_arrays(agent.save(tmp_path / "agent.safetensors"))[0]
    assert all(np.isfinite(array).all() for array in saved.values() if array.dtype.kind == "f")


def test_a_closed_agent_learns_on():
    agent = OnlineAgent(
        Box((3,)), Discrete(2), tune=[], settings={"rollout_length": 4, "hidden": (8,)}, learning="background"
    )
    agent.close()
    agent.reset(np.zeros(3))
    for _ in range(8):
        agent.step(np.zeros(3), 1.0)
    assert agent.updates == 2


def test_reading_a_strangers_run_executes_nothing_that_lies_beside_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    run = train(tmp_path / "run", steps=8)
    (tmp_path / "bait.py").write_text("raise SystemExit('executed')")
    (tmp_path / "friend.py").write_text(
        "import gymnasium\ngymnasium.register('Pole-v0', gymnasium.spec('CartPole-v1').entry_point)"
    )
    file = run.path / "config.json"
    config = json.loads(file.read_text())

    def made_by(module, name="Pole-v0"):
        file.write_text(json.dumps(config | {"settings": config["settings"] | {"env": f"{module}:{name}"}}))

    made_by("bait")
    for read in (st.resume, evaluate_run, lambda path: st.Run(path).learned()):
        with pytest.raises(RunFolderError, match=r"'bait' is not installed.*--imports bait"):
            read(run.path)
    with pytest.raises(MissingExtraError, match="--imports bat: No module named 'bat'"):
        import_asked(("bat",))
    made_by("friend")
    with pytest.raises(RunFolderError, match="friend"):
        evaluate_run(run.path, episodes=1)
    import_asked(("friend",))
    assert evaluate_run(run.path, episodes=1).shape == (1,)
    made_by("gymnasium.envs.classic_control", "CartPole-v1")  # installed
    assert evaluate_run(run.path, episodes=1).shape == (1,)


@pytest.mark.parametrize("place", [0, 10**6], ids=["first", "last"])
@pytest.mark.parametrize("env", ["bait:X-v0", "__pycache__:X-v0", "google.bait:X-v0", "brax:ant", "this:X-v0", "ALE/X"])
def test_no_name_of_an_environment_gets_the_current_folder_executed(tmp_path, monkeypatch, env, place):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path[:place], str(tmp_path), *sys.path[place:]])
    (tmp_path / "google").mkdir()
    for name in ("bait", "__pycache__", "google/bait", "brax", "this", "ale_py"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('executed')")
    with suppress(RunFolderError, MissingExtraError, SettingError):  # `this`, where Python's own comes first
        refuse_unasked(env)
        open_env(env, 1)


def test_commands_that_read_a_run_look_for_nothing_in_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place])
    run = train(tmp_path / "run", steps=8)
    main(["eval", str(run.path), "--episodes", "1"])
    assert str(tmp_path) not in sys.path
    main(["envs"])
    assert sys.path[-1] == str(tmp_path)


def test_nor_does_a_package_of_several_places_that_was_imported_before(tmp_path, monkeypatch):
    for folder in ("here", "elsewhere"):
        (tmp_path / folder / "many_places").mkdir(parents=True)
    (tmp_path / "here" / "many_places" / "bait.py").write_text("raise SystemExit('executed')")
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path / "elsewhere"), str(tmp_path / "here")])
    importlib.import_module("many_places")
    with pytest.raises(RunFolderError, match=r"'many_places\.bait' is not installed"):
        refuse_unasked("many_places.bait:X-v0")
