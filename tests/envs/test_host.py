"""One call of `step` is one true step of every environment, whatever ended before."""

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from selftune.envs import HostEnv, make
from selftune.errors import SettingError

BALANCE = np.array([0.0, 0.1, 1.0, 1.0])  # pushing to the side that this combination has the pole fall to


class Counter(gymnasium.Env):
    """Counts its steps, pays 10 times the count, and ends after `length` steps in the way it is told to."""

    observation_space = gymnasium.spaces.Box(0.0, np.inf, (1,), np.float64)
    action_space = gymnasium.spaces.Discrete(2, start=5)

    def __init__(self, length, terminates):
        self.length, self.terminates = length, terminates

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.count = 0
        return np.array([0.0]), {}

    def step(self, action):
        assert action in self.action_space
        self.count += 1
        ended = self.count == self.length
        reward = 10.0 * self.count
        return np.array([self.count]), reward, ended and self.terminates, ended and not self.terminates, {}


def counters():
    makers = [lambda: Counter(2, terminates=True), lambda: Counter(3, terminates=False)]
    return HostEnv(SyncVectorEnv(makers, autoreset_mode=AutoresetMode.DISABLED))


def test_six_steps_by_hand():
    env = counters()
    np.testing.assert_array_equal(env.reset(0), [[0], [0]])
    steps = [env.step(np.array([0, 1])) for _ in range(6)]
    # Episodes of two steps beside episodes of three: no step is lost to a reset, so after six both are at an end.
    columns = [np.squeeze(np.stack(column)).T.tolist() for column in list(zip(*steps, strict=True))[:5]]
    observation, reward, terminated, truncated, next_observation = columns
    assert next_observation == [[1, 2, 1, 2, 1, 2], [1, 2, 3, 1, 2, 3]]
    assert observation == [[1, 0, 1, 0, 1, 0], [1, 2, 0, 1, 2, 0]]
    assert reward == [[10, 20, 10, 20, 10, 20], [10, 20, 30, 10, 20, 30]]
    assert terminated == [[False, True] * 3, [False] * 6]
    assert truncated == [[False] * 6, [False, False, True] * 2]
    # Returns 10 + 20 and 10 + 20 + 30; in the last step both end.
    assert [step.finished_returns.tolist() for step in steps] == [[], [30], [60], [30], [], [30, 60]]
    assert [step.finished_lengths.tolist() for step in steps] == [[], [2], [3], [2], [], [2, 3]]


def test_a_reset_forgets_unfinished_episodes():
    env = counters()
    env.reset(0)
    env.step(np.array([0, 0]))
    env.reset(0)
    assert env.step(np.array([0, 0])).finished_returns.size == 0
    assert env.step(np.array([0, 0])).finished_returns.tolist() == [30]


def by_hand(singles, action):
    """Step single environments one by one; reset each that ended, and say where."""
    outcomes = [single.step(int(a)) for single, a in zip(singles, action, strict=True)]
    successor, reward, terminated, truncated = (np.array(x) for x in list(zip(*outcomes, strict=True))[:4])
    observation, ended = successor.copy(), terminated | truncated
    for i in np.flatnonzero(ended):
        observation[i] = singles[i].reset()[0]
    return observation, reward, terminated, truncated, successor


@pytest.mark.parametrize("env_id", ["Acrobot-v1", "MountainCar-v0"])
def test_one_by_one_environments_equal_single_ones_stepped_by_hand(env_id):
    B, limits = 3, {"max_episode_steps": 17}
    env, singles = make(env_id, B, **limits), [gymnasium.make(env_id, **limits) for _ in range(B)]
    first_seed = int(np.random.SeedSequence(7).generate_state(1)[0])
    expected = np.stack([single.reset(seed=first_seed + i)[0] for i, single in enumerate(singles)])
    np.testing.assert_array_equal(env.reset(7), expected)
    rng, episodes = np.random.default_rng(0), 0
    for _ in range(60):
        action = rng.integers(0, env.action_space.n, B)
        step = env.step(action)
        for got, want in zip(step[:5], by_hand(singles, action), strict=True):
            np.testing.assert_array_equal(got, want)
        episodes += step.finished_returns.size
    assert episodes == 3 * B  # 60 steps hold three episodes of 17


def test_native_cartpole_equals_single_environments_stepped_by_hand():
    B = 4
    env, singles = make("CartPole-v1", B), [gymnasium.make("CartPole-v1") for _ in range(B)]
    native = env._env
    assert type(native).__name__ == "CartPoleVectorEnv"
    observation = env.reset(7)
    for single in singles:
        single.reset()
    rng, lengths, ends = np.random.default_rng(0), np.zeros(B), {"terminated": [], "truncated": []}
    for _ in range(1200):
        action = (observation @ BALANCE > 0).astype(np.int32)
        action[0] = rng.integers(2)  # the first falls often; the others reach the time limit
        for i, single in enumerate(singles):  # the pole amplifies a difference in rounding
            single.unwrapped.state = native.state[:, i].copy()
        step = env.step(action)
        _, *expected = by_hand(singles, action)
        for got, want in zip(step[1:5], expected, strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-7)
        lengths += 1
        ended = step.terminated | step.truncated
        assert step.finished_lengths.tolist() == lengths[ended].tolist()
        assert step.finished_returns.tolist() == lengths[ended].tolist()  # one a step, also for the last
        assert (np.abs(step.observation[ended]) <= 0.05).all()  # where CartPole begins
        np.testing.assert_array_equal(step.observation[~ended], step.next_observation[~ended])
        ends["terminated"] += lengths[step.terminated].tolist()
        ends["truncated"] += lengths[step.truncated].tolist()
        lengths[ended] = 0
        observation = step.observation
    assert len(ends["terminated"]) > 10
    assert len(ends["truncated"]) >= 3
    assert set(ends["truncated"]) == {500}


@pytest.mark.parametrize("env_id", ["CartPole-v1", "MountainCar-v0"])
def test_all_is_determined_by_the_seed(env_id):
    def play(seed):
        env = make(env_id, 3, max_episode_steps=9)
        actions = np.random.default_rng(0).integers(0, env.action_space.n, (40, 3))
        return [env.reset(seed), *(step.observation for step in map(env.step, actions))]

    once, again, other = play(0), play(0), play(1)
    np.testing.assert_array_equal(once, again)
    position, other_position = once[0][:, 0], other[0][:, 0]
    assert not np.isin(other_position, position).any()  # under seeds s, s + 1, … two of three would be shared


@pytest.mark.parametrize("env_id", ["CartPole-v1", "MountainCar-v0"])
def test_no_array_is_overwritten_by_a_later_step(env_id):
    env = make(env_id, 3, max_episode_steps=5)
    env.reset(0)
    steps, copies = [], []
    for _ in range(12):
        steps.append(env.step(np.zeros(3, np.int64)))
        copies.append([np.copy(x) for x in steps[-1]])
    for step, copy in zip(steps, copies, strict=True):
        for kept, copied in zip(step, copy, strict=True):
            np.testing.assert_array_equal(kept, copied)


@pytest.mark.parametrize("env_id", ["CartPole-v1", "MountainCar-v0"])
def test_types_are_those_of_a_batch(env_id):
    env = make(env_id, 2)
    observation = env.reset(0)
    step = env.step(np.ones(2, np.int32))
    types = [x.dtype for x in (observation, *step)]
    assert types == ["f4", "f4", "f4", "?", "?", "f4", "f8", "i8"]


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
def test_a_vector_environment_that_resets_itself_is_refused(mode):
    env = SyncVectorEnv([lambda: Counter(2, terminates=True)], autoreset_mode=mode)
    with pytest.raises(SettingError, match=r"AutoresetMode\.DISABLED"):
        HostEnv(env)
