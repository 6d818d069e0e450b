"""A batch of worlds steps together; where an episode ends, the successor is told apart from the new beginning."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from selftune.envs import native
from selftune.envs.native import Environment, encode, stretch
from selftune.spaces import Box, Discrete


class Params(NamedTuple):
    goal: int = 3
    limit: int = 100
    pay: float = 10.0


class State(NamedTuple):
    count: jax.Array
    time: jax.Array


def reset(key, params):
    count = jax.random.randint(key, (), 0, 2, jnp.int32)
    return count, State(count, jnp.int32(0))


def step(key, state, action, params):
    state = State(state.count + action, state.time + 1)
    return state.count, state, params.pay * action, state.count >= params.goal, state.time >= params.limit, {}


COUNTER = Environment("counter", Params(), Discrete(9), Discrete(3), reset, step)
"""Counts up from 0 or 1 by its actions, pays 10 for each, and ends at 3."""

KEY = jax.random.key(0)

begin = jax.jit(native.begin, static_argnums=(0, 3))
advance = jax.jit(native.advance, static_argnums=0)


def standing_at(*counts):
    """Worlds at these counts, two steps and 50 points into their episodes."""
    worlds = begin(COUNTER, COUNTER.params, KEY, len(counts))
    count = jnp.asarray(counts, jnp.int32)
    observation = encode(COUNTER, count)
    return worlds._replace(
        state=State(count, jnp.full_like(count, 2)),
        observation=observation,
        first=jnp.zeros_like(worlds.first),
        returns=jnp.full_like(worlds.returns, 50.0),
        lengths=jnp.full_like(worlds.lengths, 2),
    )


def test_all_begin_with_a_first_observation_and_nothing_earned():
    worlds = begin(COUNTER, COUNTER.params, KEY, 32)
    assert worlds.first.all()
    np.testing.assert_array_equal(worlds.returns, np.zeros(32))
    np.testing.assert_array_equal(worlds.lengths, np.zeros(32))
    np.testing.assert_array_equal(worlds.observation, np.eye(9)[worlds.state.count])
    assert set(worlds.state.count.tolist()) == {0, 1}, "each begins with a key of its own"


def test_where_no_episode_ends_the_successor_is_what_to_act_on():
    worlds, step = advance(COUNTER, COUNTER.params, standing_at(0, 1), jnp.array([2, 1]), KEY)
    np.testing.assert_array_equal(step.next_observation, np.eye(9)[[2, 2]])
    np.testing.assert_array_equal(worlds.observation, step.next_observation)
    np.testing.assert_array_equal(step.reward, [20.0, 10.0])
    np.testing.assert_array_equal(worlds.returns, [70.0, 60.0])
    np.testing.assert_array_equal(worlds.lengths, [3, 3])
    assert not step.finished.any()
    assert not worlds.first.any()


def test_an_episode_that_ends_gives_its_true_successor_and_its_return_and_begins_anew():
    worlds, step = advance(COUNTER, COUNTER.params, standing_at(2, 0), jnp.array([2, 1]), KEY)
    np.testing.assert_array_equal(step.terminated, [True, False])
    np.testing.assert_array_equal(step.truncated, [False, False])
    np.testing.assert_array_equal(step.finished, [True, False])
    np.testing.assert_array_equal(step.next_observation[0], np.eye(9)[4])
    assert step.returns[0] == 50.0 + 20.0
    assert step.lengths[0] == 3
    np.testing.assert_array_equal(worlds.first, [True, False])
    assert worlds.state.count[0] in (0, 1)
    np.testing.assert_array_equal(worlds.observation[0], np.eye(9)[worlds.state.count[0]])
    np.testing.assert_array_equal(worlds.state.time, [0, 3])
    np.testing.assert_array_equal(worlds.returns, [0.0, 60.0])
    np.testing.assert_array_equal(worlds.lengths, [0, 3])


def test_a_time_limit_truncates_and_does_not_terminate():
    _, step = advance(COUNTER, Params(limit=3), standing_at(0, 0), jnp.array([1, 1]), KEY)
    assert step.truncated[0]
    assert not step.terminated[0]
    assert step.finished[0]


def test_new_episodes_do_not_all_begin_alike():
    worlds, _ = advance(COUNTER, COUNTER.params, standing_at(*[2] * 32), jnp.full(32, 2), KEY)
    assert set(worlds.state.count.tolist()) == {0, 1}


def test_new_physics_need_no_new_compilation():
    step = jax.jit(lambda params, worlds, key: native.advance(COUNTER, params, worlds, jnp.array([1, 1]), key))
    worlds = begin(COUNTER, COUNTER.params, KEY, 2)
    for params, reward in [(Params(), 10.0), (Params(pay=20.0, goal=5), 20.0), (Params(pay=30.0), 30.0)]:
        worlds, given = step(params, worlds, KEY)
        np.testing.assert_array_equal(given.reward, [reward, reward])
    assert step._cache_size() == 1


def test_whole_numbers_become_one_hot_from_where_they_are_counted():
    env = COUNTER._replace(observation_space=Discrete(4, start=2))
    np.testing.assert_array_equal(encode(env, jnp.array([2, 5])), np.eye(4)[[0, 3]])


def test_arrays_are_observed_as_they_are():
    observation = jnp.arange(6.0).reshape(2, 3)
    assert encode(COUNTER._replace(observation_space=Box((3,))), observation) is observation


def test_discrete_actions_are_counted_from_where_the_world_counts():
    env = COUNTER._replace(action_space=Discrete(2, start=1))
    _, step = advance(env, env.params, standing_at(0, 0), jnp.array([0, 1]), KEY)
    np.testing.assert_array_equal(step.reward, [10.0, 20.0])


def test_continuous_actions_reach_the_world_within_its_bounds():
    def step(key, state, action, params):
        return action, state, action.sum(), jnp.zeros((), bool), jnp.zeros((), bool), {}

    space = Box((2,), low=(0.0, -4.0), high=(1.0, 4.0))
    env = COUNTER._replace(observation_space=Box((2,)), action_space=space, step=step)
    worlds = begin(COUNTER, COUNTER.params, KEY, 3)._replace(observation=jnp.zeros((3, 2)))
    env = env._replace(reset=lambda key, params: (jnp.zeros(2), reset(key, params)[1]))
    _, given = advance(env, env.params, worlds, jnp.array([[-1.0, -1.0], [0.0, 0.5], [1.0, 9.0]]), KEY)
    np.testing.assert_allclose(given.next_observation, [[0.0, -4.0], [0.5, 2.0], [1.0, 4.0]])


@pytest.mark.parametrize("xp", [jnp, np])
def test_actions_stretch_from_the_unit_box_and_are_clipped_to_it(xp):
    space = Box((1,), low=(-2.0,), high=(6.0,))
    # The middle of [-2, 6] is 2, its half width 4: -1 → -2, 0 → 2, 0.25 → 3, 3 → 6.
    stretched = stretch(space, xp.asarray([[-1.0], [0.0], [0.25], [3.0]]), xp)
    np.testing.assert_allclose(stretched, [[-2.0], [2.0], [3.0], [6.0]])


def test_unbounded_actions_stay_as_they_are():
    np.testing.assert_array_equal(stretch(Box((1,)), jnp.array([[7.0]]), jnp), [[7.0]])
