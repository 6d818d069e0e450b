"""What is not as Gymnasium's interface says is refused by the name of the environment."""

import gymnasium
import numpy as np
import pytest

from selftune.envs import make
from selftune.envs.interface import Checked
from selftune.errors import SettingError


class Old(gymnasium.Env):
    """Of the old Gym: one value of `reset`, four of `step`; unless told what to return."""

    def __init__(self, begun=0.0, stepped=(0.0, 1.0, False, {})):
        self.begun, self.stepped = begun, stepped

    def reset(self, *, seed=None, options=None):
        return self.begun

    def step(self, action):
        return self.stepped


@pytest.mark.parametrize("begun", [np.zeros(2), (0.0,), [0.0, {}]])
def test_a_reset_of_another_interface_is_refused(begun):
    with pytest.raises(
        SettingError, match=r"The reset of Old-v0 returned (a ndarray|1 values|a list), expected 2 values"
    ):
        Checked(Old(begun), "Old-v0").reset()


def test_a_step_of_another_interface_is_refused():
    with pytest.raises(SettingError, match=r"The step of Old-v0 returned 4 values, expected 5.*shimmy"):
        Checked(Old(), "Old-v0").step(0)


@pytest.mark.filterwarnings("ignore:.*old step API:DeprecationWarning")
@pytest.mark.parametrize("limit", [None, 10])
def test_an_environment_of_the_old_gym_is_refused_as_it_is_made_for_a_run(monkeypatch, limit):
    kind = type("Old", (Old,), {"observation_space": gymnasium.spaces.Box(-1.0, 1.0, (1,))})
    kind.action_space = gymnasium.spaces.Discrete(2)
    spec = gymnasium.envs.registration.EnvSpec("Old-v0", kind, max_episode_steps=limit)
    monkeypatch.setitem(gymnasium.registry, "Old-v0", spec)
    begun = (np.zeros(1, np.float32), {})
    env = make("Old-v0", 1, begun=begun, stepped=(np.zeros(1, np.float32), 1.0, False, {}))
    env.reset(0)
    with pytest.raises(SettingError, match=r"The step of Old-v0 returned another number of values, expected 5.*shimmy"):
        env.step(np.zeros(1, int))


def test_what_is_as_it_should_be_is_handed_on():
    env = Checked(Old((0.0, {}), (0.0, 1.0, False, False, {})), "New-v0")
    assert env.reset(seed=1) == (0.0, {})
    assert env.step(0) == (0.0, 1.0, False, False, {})
