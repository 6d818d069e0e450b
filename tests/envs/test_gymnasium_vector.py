"""What `make` says when it cannot."""

import importlib.util
import subprocess
import sys
from importlib.machinery import ModuleSpec
from threading import Barrier, Thread
from time import sleep
from types import ModuleType

import gymnasium
import numpy as np
import pytest

from selftune.envs import Box, Discrete, gymnasium_vector, make
from selftune.envs.drift import Change, Drift
from selftune.envs.gymnasium_vector import host_fields
from selftune.errors import MissingExtraError, SettingError, UnsupportedSpaceError


def test_an_unknown_environment_brings_its_near_names():
    with pytest.raises(SettingError, match=r"'CartPol-v1'.*CartPole-v1"):
        make("CartPol-v1", 2)


def test_no_environments_at_all():
    with pytest.raises(SettingError, match="num_envs=0"):
        make("CartPole-v1", 0)


@pytest.mark.parametrize(
    ("env_id", "needed", "command"),
    [
        ("Ant-v5", "mujoco", 'pip install "selftune[mujoco]"'),
        ("LunarLander-v3", "Box2D", 'pip install "selftune[box2d]"'),
        ("ALE/Pong-v5", "ale_py", 'pip install "selftune[atari]"'),
        ("no_such_module:Some-v0", "no_such_module", "no_such_module"),
    ],
)
def test_a_missing_package_brings_the_command_that_installs_it(monkeypatch, env_id, needed, command):
    for name in [name for name in sys.modules if "gymnasium.envs." + needed.lower() in name]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, needed, None)  # importing it now fails
    with pytest.raises(MissingExtraError) as caught:
        make(env_id, 1)
    assert command in str(caught.value)


@pytest.mark.skipif(importlib.util.find_spec("mujoco") is None, reason="mujoco is not installed")
def test_old_words_in_the_models_of_a_package_are_not_told_to_its_user(capfd, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make("HalfCheetah-v5", 2).close()
    assert capfd.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []  # MuJoCo's own log


class Listening(ModuleType):
    """As much of MuJoCo as has one listener for all threads."""

    def __init__(self):
        super().__init__("mujoco")
        self.__spec__ = ModuleSpec("mujoco", None)
        self.listener, self.heard_by = None, []

    def get_mju_user_warning(self):
        return self.listener

    def set_mju_user_warning(self, listener):
        self.heard_by.append(self.listener is not None)
        self.listener = listener


def test_environments_that_are_made_in_several_threads_listen_to_mujoco_one_after_the_other(monkeypatch):
    """Set and unset in turns: with a second listener before the first has gone, MuJoCo aborts the process."""
    mujoco = Listening()
    monkeypatch.setitem(sys.modules, "mujoco", mujoco)
    ready = Barrier(4)

    def listen():
        ready.wait()
        with gymnasium_vector._without_deprecations("gymnasium.envs.mujoco"):
            sleep(0.01)

    threads = [Thread(target=listen) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert mujoco.heard_by == [False, True] * 4
    assert mujoco.listener is None


class Guest(gymnasium.Env):
    """Pays what it is told to, and counts what was made and what was closed."""

    observation_space, action_space = gymnasium.spaces.Box(-1.0, 1.0, (2,)), gymnasium.spaces.Discrete(2)
    made, closed = 0, 0

    def __init__(self, reward=0.0, **spaces):
        vars(self).update(spaces)
        self.reward = reward
        type(self).made += 1

    def reset(self, *, seed=None, options=None):
        return np.zeros(2, np.float32), {}

    def step(self, action):
        return np.zeros(2, np.float32), self.reward, False, False, {}

    def close(self):
        type(self).closed += 1


@pytest.fixture
def guest(monkeypatch):
    """A class of environments that is registered as Guest-v0."""
    kind = type("Guest", (Guest,), {})
    spec = gymnasium.envs.registration.EnvSpec("Guest-v0", kind, disable_env_checker=True)
    monkeypatch.setitem(gymnasium.registry, "Guest-v0", spec)
    return kind


def test_unsupported_spaces_are_named_with_a_way_out(guest):
    with pytest.raises(UnsupportedSpaceError, match=r"Sequence\(Discrete.*numbers of a fixed shape"):
        make("Guest-v0", 1, observation_space=gymnasium.spaces.Sequence(gymnasium.spaces.Discrete(2)))


@pytest.mark.parametrize(
    "settings",
    [
        {"observation_space": gymnasium.spaces.Sequence(gymnasium.spaces.Discrete(2))},
        {"action_space": gymnasium.spaces.Sequence(gymnasium.spaces.Discrete(2))},
        {"action_space": gymnasium.spaces.MultiBinary(13)},
        {"drift": Drift([Change("nothing", values=[1.0])])},
    ],
)
def test_what_is_made_and_refused_is_closed(guest, settings):
    with pytest.raises(SettingError):
        make("Guest-v0", 2, **settings)
    assert guest.made == guest.closed > 0


@pytest.mark.parametrize("reward", [None, np.array([1.0]), [1.0], "much", 1j])
@pytest.mark.parametrize("drift", [None, Drift([Change("reward_factor", values=[2.0])])])
def test_a_reward_that_is_no_number_is_refused_by_the_name_of_the_environment(guest, reward, drift):
    env = make("Guest-v0", 2, drift=drift, reward=reward)
    env.reset(0)
    with pytest.raises(SettingError, match=r"Guest-v0 gave the reward .*, expected one number"):
        env.step(np.zeros(2, int))


@pytest.mark.parametrize("reward", [1, True, np.float32(1.0), np.array(1.0), np.int64(1)])
def test_a_reward_of_any_type_of_number_is_taken(guest, reward):
    env = make("Guest-v0", 2, reward=reward)
    env.reset(0)
    assert env.step(np.zeros(2, int)).reward.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("path", ["./worlds", ".worlds", "../worlds.py", "of/mine/worlds", r"C:\mine\worlds.py"])
def test_a_path_in_place_of_a_module_is_refused_with_the_modules_name(path):
    with pytest.raises(SettingError, match=r"not a path: worlds:World-v0, in the folder"):
        make(f"{path}:World-v0", 1)


def test_an_environment_that_cannot_be_made_has_no_fields_to_tell(guest, monkeypatch):
    def refuse(self):
        raise RuntimeError("no simulator at port 5000")

    monkeypatch.setattr(guest, "__init__", refuse)
    for ask in (lambda: make("Guest-v0", 1), lambda: host_fields("Guest-v0")):
        with pytest.raises(SettingError, match=r"could not be made \(RuntimeError: no simulator at port 5000\)"):
            ask()


def test_continuous_actions_are_stretched_to_the_bounds():
    env = make("Pendulum-v1", 2)
    assert env.action_space == Box((1,), "float32", (-2.0,), (2.0,))
    env.reset(0)
    assert env.step(np.array([[0.5], [7.0]])).reward.shape == (2,)
    env.close()


def test_spaces_are_plain_numbers():
    env = make("Acrobot-v1", 2)
    assert (env.num_envs, env.observation_space.shape, env.action_space) == (2, (6,), Discrete(3))


def test_a_discrete_observation_is_one_hot():
    env = make("FrozenLake-v1", 2)
    observation = env.reset(0)
    assert observation.tolist() == [[1.0] + [0.0] * 15] * 2  # both begin in the first of 16 fields
    env.close()


def test_settings_reach_the_environment():
    env = make("CartPole-v1", 1, max_episode_steps=3)
    env.reset(0)
    assert [bool(env.step(np.ones(1, int)).truncated[0]) for _ in range(6)] == [False, False, True] * 2


def test_gymnasium_is_not_imported_before_it_is_needed():
    code = "import sys, selftune.envs; sys.exit('gymnasium' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
