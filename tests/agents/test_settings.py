import pytest

from selftune.agents import ActorCriticSettings, PPOSettings, a2c, ppo
from selftune.errors import SettingError
from selftune.runner.asked import settled

from .setting import CHOICES, SEEN


@pytest.mark.parametrize(("num_envs", "length"), [(1, 128), (4, 128), (16, 32), (48, 10), (64, 8), (256, 8)])
def test_an_update_sees_512_steps_however_many_environments_within_bounds(num_envs, length):
    agent = a2c(SEEN, CHOICES, settings=ActorCriticSettings(num_envs=num_envs))
    assert (agent.num_envs, agent.rollout_length) == (num_envs, length)


def test_a_length_that_is_given_is_kept():
    assert a2c(SEEN, CHOICES, settings=ActorCriticSettings(num_envs=64, rollout_length=5)).rollout_length == 5
    assert ppo(SEEN, CHOICES, settings=PPOSettings(num_envs=64)).rollout_length == 128


def test_a_length_of_0_chooses_only_where_it_is_the_default():
    assert settled(ActorCriticSettings(), {"rollout_length": "0"}).length == 32
    with pytest.raises(SettingError, match="rollout_length = 0: expected a number from 1 to"):
        settled(PPOSettings(), {"rollout_length": 0})
    with pytest.raises(SettingError, match="rollout_length = -1: expected a number from 0 to"):
        settled(ActorCriticSettings(), {"rollout_length": -1})
