"""What `make` says when it cannot."""

import importlib.util
import subprocess
import sys
from importlib.machinery import ModuleSpec
from threading import Barrier, Thread
from time import sleep
from types import ModuleType

import numpy as np
import pytest

from selftune.envs import Box, Discrete, gymnasium_vector, make
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


def test_unsupported_spaces_are_named_with_a_way_out():
    with pytest.raises(UnsupportedSpaceError, match=r"Tuple\(Discrete.*FlattenObservation"):
        make("Blackjack-v1", 1)


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
