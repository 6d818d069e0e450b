"""Gymnax through its adapter: true successors, and the two ends of an episode told apart, before 1.0 and since.

A small imitation stands in for gymnax where it is not installed.
"""

import sys
from typing import NamedTuple
from urllib.error import URLError

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces

from selftune.envs import from_gymnax
from selftune.errors import MissingExtraError, SettingError
from selftune.spaces import Box, Discrete

KEY = jax.random.key(0)


class Limits(NamedTuple):
    goal: int = 3
    max_steps_in_episode: int = 4

    def replace(self, **changes):
        return self._replace(**changes)


class Count(NamedTuple):
    count: jax.Array
    time: int
    terminal: bool


class Counter:
    """Counts up by its actions, pays them, and ends at `goal`; as gymnax before 1.0, also at its time limit."""

    def observation_space(self, params):
        return spaces.Box(0, 9, (1,), np.int64)

    def action_space(self, params):
        return spaces.Discrete(4)

    def reset_env(self, key, params):
        return jnp.zeros(1), Count(jnp.int32(0), 0, False)

    def step_env(self, key, state, action, params):
        count, time = state.count + action, state.time + 1
        done = (count >= params.goal) | (time >= params.max_steps_in_episode)
        return count[None] * 1.0, Count(count, time, done), action, done, {}


class CounterOf1:
    """The same as gymnax 1.0 has it."""

    observation_space, action_space = Counter.observation_space, Counter.action_space
    reset_env = Counter.reset_env

    def step_env(self, key, state, action, params):
        return Counter.step_env(self, key, state, action, params.replace(max_steps_in_episode=99))

    def is_truncated(self, state, params):
        return state.time >= params.max_steps_in_episode


@pytest.fixture(params=[Counter, CounterOf1])
def counter(request, imitate):
    imitate("gymnax", registered_envs=["Counter-v0"], make=lambda name: (request.param(), Limits()))
    imitate("gymnax.environments")
    imitate("gymnax.environments.spaces", gymnax_space_to_gym_space=lambda space: space)
    return from_gymnax("Counter-v0")


@pytest.mark.parametrize(
    ("actions", "terminated", "truncated"),
    [
        ([2, 2], True, False),  # 4 of 3
        ([0, 1, 0, 0], False, True),  # 1 of 3, after four steps
        ([0, 0, 0, 3], True, None),  # both: that it terminated decides
        ([0, 0, 1], False, False),
    ],
)
def test_terminates_or_is_truncated_and_does_not_reset(counter, actions, terminated, truncated):
    _, state = counter.reset(KEY, counter.params)
    for action in actions:
        observation, state, reward, *ends, _ = counter.step(KEY, state, jnp.int32(action), counter.params)
    assert bool(ends[0]) is terminated
    assert truncated is None or bool(ends[1]) is truncated
    assert observation.tolist() == [sum(actions)]
    assert reward == actions[-1]


def test_spaces_and_types_are_ours(counter):
    assert counter.observation_space == Box((1,), "float32", (0.0,), (9.0,))
    assert counter.action_space == Discrete(4)
    observation, state = counter.reset(KEY, counter.params)
    step = counter.step(KEY, state, jnp.int32(1), counter.params)
    assert [x.dtype for x in (observation, step[0], *step[2:5])] == ["f4", "f4", "f4", "?", "?"]


def test_runs_in_one_compiled_program(counter, drive):
    steps, compiled = drive(counter, counter.params, [[1, 0]] * 6)
    assert compiled == 1
    assert steps.next_observation[..., 0].T.tolist() == [[1, 2, 3, 1, 2, 3], [0] * 6]
    assert steps.terminated.T.tolist() == [[False, False, True] * 2, [False] * 6]
    assert steps.truncated[:, 1].tolist() == [False] * 3 + [True] + [False] * 2
    assert steps.lengths[steps.finished].tolist() == [3, 4, 3]


@pytest.mark.usefixtures("counter")
def test_an_unknown_name_brings_the_nearest():
    with pytest.raises(SettingError, match="Counter-v0"):
        from_gymnax("Countr-v0")


@pytest.mark.usefixtures("counter")
@pytest.mark.parametrize(
    ("failure", "error", "message"),
    [
        (URLError("no such host"), SettingError, r"gymnax:Counter-v0 could not be made \(URLError: .*no such host"),
        (ImportError("no flax"), MissingExtraError, r"gymnax:Counter-v0 cannot be made \(no flax\)"),
    ],
)
def test_what_fails_as_it_is_made_is_told_in_a_sentence(monkeypatch, failure, error, message):
    def fail(name):
        raise failure

    monkeypatch.setattr(sys.modules["gymnax"], "make", fail)
    with pytest.raises(error, match=message):
        from_gymnax("Counter-v0")


@pytest.fixture
def real():
    """The real package, whichever version; it promotes ranks."""
    pytest.importorskip("gymnax")
    with jax.numpy_rank_promotion("allow"):
        yield


@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("real")
def test_real_cartpole_equals_gymnasium():
    env, other = from_gymnax("CartPole-v1"), gymnasium.make("CartPole-v1").unwrapped
    reset, step = jax.jit(env.reset), jax.jit(env.step)
    rng, ends = np.random.default_rng(0), 0
    observation, state = reset(KEY, env.params)
    for number in range(1000):
        other.reset()
        other.state = np.asarray(observation, np.float64)
        action = rng.integers(2)
        observation, state, reward, terminated, truncated, _ = step(KEY, state, action, env.params)
        successor, paid, fell, _, _ = other.step(action)
        np.testing.assert_allclose(observation, successor, rtol=1e-5, atol=1e-6)
        assert (reward, terminated, truncated) == (paid, fell, False)
        if terminated:
            ends += 1
            observation, state = reset(jax.random.fold_in(KEY, number), env.params)
    assert ends > 20


@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("real")
def test_real_minatar_is_truncated_at_its_limit_and_compiled_once(drive):
    env = from_gymnax("Breakout-MinAtar")
    steps, compiled = drive(env, env.params.replace(max_steps_in_episode=2), [[0, 0, 0]] * 5)
    assert compiled == 1
    assert steps.truncated.tolist() == [[False] * 3, [True] * 3] * 2 + [[False] * 3]
    assert not steps.terminated.any()  # the ball needs more than two steps
    steps, _ = drive(env, env.params, [[0, 0, 0]] * 40)
    assert steps.terminated.any()
    assert not steps.truncated.any()
