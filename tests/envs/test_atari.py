"""Atari, prepared and stepped by ale-py: true steps only, and pictures that the literature would know."""

import numpy as np
import pytest

from selftune.envs import make, open_for_filming
from selftune.spaces import Box, Discrete

pytest.importorskip("ale_py")


def play(env, steps, seed=0):
    env.reset(seed)
    rng = np.random.default_rng(0)
    return [env.step(rng.integers(0, env.action_space.n, env.num_envs)) for _ in range(steps)]


def test_pong_is_seen_as_four_pictures():
    env = make("ALE/Pong-v5", 2)
    assert (env.observation_space, env.action_space) == (Box((84, 84, 4), "uint8"), Discrete(6))
    observation = env.reset(2**40)
    assert observation.shape == (2, 84, 84, 4)
    assert observation[..., 3].any(axis=(1, 2)).all()  # the newest is the last; nothing came before it
    assert not observation[..., :3].any()
    step = env.step(np.array([0, 5]))
    np.testing.assert_array_equal(step.observation[..., 2], observation[..., 3])
    assert [x.dtype for x in step[:5]] == ["u1", "f4", "?", "?", "u1"]
    env.close()


def test_an_episode_that_ends_is_reset_at_once_and_only_once():
    env = make("ALE/Pong-v5", 2, max_num_frames_per_episode=40)  # ten steps of four frames
    steps = play(env, 35)
    assert [number for number, step in enumerate(steps) if step.truncated.all()] == [9, 19, 29]
    assert not any(step.terminated.any() for step in steps)
    assert steps[9].finished_lengths.tolist() == [10, 10]
    assert steps[9].next_observation.any(axis=(1, 2)).all()  # a full stack: the true successor
    assert not steps[9].observation[..., :3].any()  # a new episode
    filled = [bool(step.observation[..., number].any()) for step in steps[10:13] for number in range(4)]
    assert filled == [False, False, True, True, False, True, True, True, True, True, True, True]
    env.close()


def test_a_game_that_is_lost_begins_anew_beside_one_that_goes_on():
    env = make("ALE/Breakout-v5", 2)
    lost = [step for step in play(env, 300) if step.terminated.any()]
    assert {step.terminated.argmax() for step in lost if not step.terminated.all()} == {0, 1}
    for step in lost:
        assert not step.observation[step.terminated][..., :3].any()
        np.testing.assert_array_equal(step.observation[~step.terminated], step.next_observation[~step.terminated])
    env.close()


def test_nobody_serves_for_the_agent():
    env = make("ALE/Breakout-v5", 1)
    observation = env.reset(0)
    steps = [env.step(np.zeros(1, int)) for _ in range(20)]
    np.testing.assert_array_equal(steps[-1].observation[..., 3], observation[..., 3])
    env.close()


def test_all_is_determined_by_the_seed_and_actions_stick():
    def pictures(seed, **settings):
        env = make("ALE/Breakout-v5", 1, max_num_frames_per_episode=80, **settings)
        seen = np.stack([step.next_observation for step in play(env, 45, seed)])
        env.close()
        return seen

    once = pictures(3)
    np.testing.assert_array_equal(once, pictures(3))
    assert (once != pictures(4)).any()
    assert (once != pictures(3, repeat_action_probability=0.0)).any()


def test_the_score_is_the_reward():
    env = make("ALE/SpaceInvaders-v5", 1)
    rewards = np.concatenate([step.reward for step in play(env, 300)])
    assert rewards.max() >= 5.0  # an invader is worth 5 to 30 points; clipped it would be 1
    env.close()


def test_what_the_agent_sees_can_be_drawn():
    env = open_for_filming("ALE/Pong-v5")
    observation = env.reset(0)
    frame = env.frame()
    assert frame.shape == (84, 84, 3)
    np.testing.assert_array_equal(frame[..., 1], observation[0, ..., 3])
    env.close()
