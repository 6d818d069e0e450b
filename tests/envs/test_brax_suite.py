"""Brax through its adapter: a time limit of its own, and no reset; an imitation stands in where it is not installed."""

from types import SimpleNamespace
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from selftune.envs import from_brax
from selftune.errors import SettingError, UnsupportedSpaceError
from selftune.spaces import Box


class BraxState(NamedTuple):
    obs: jax.Array
    reward: jax.Array
    done: jax.Array


class Robot:
    """Moves by its two actions, pays the first, and falls at 3."""

    action_size = 2

    def reset(self, key):
        return BraxState(jnp.zeros(2), jnp.zeros(()), jnp.zeros(()))

    def step(self, state, action):
        obs = state.obs + action
        return BraxState(obs, action[0], jnp.where(obs[0] >= 3.0, 1.0, 0.0))


@pytest.fixture
def brax(imitate):
    seen = SimpleNamespace(backend=None, robots={"robot": Robot})

    def get_environment(name, backend):
        seen.backend = backend
        return seen.robots[name]()

    imitate("brax")
    imitate("brax.envs", get_environment=get_environment)
    return seen


def test_it_falls_or_runs_out_of_time(brax, drive):
    env = from_brax("robot", "spring")
    assert brax.backend == "spring"
    assert env.params.max_steps == 1000
    assert env.observation_space == Box((2,))
    assert env.action_space == Box((2,), "float32", (-1.0, -1.0), (1.0, 1.0))
    steps, compiled = drive(env, env.params._replace(max_steps=4), [[[1.0, 0.5], [0.0, -1.0]]] * 5)
    assert compiled == 1
    assert steps.next_observation[:, 0].tolist() == [[1, 0.5], [2, 1], [3, 1.5], [1, 0.5], [2, 1]]
    assert steps.next_observation[:, 1, 1].tolist() == [-1, -2, -3, -4, -1]
    assert steps.terminated.T.tolist() == [[False, False, True, False, False], [False] * 5]
    assert steps.truncated.T.tolist() == [[False] * 5, [False, False, False, True, False]]
    assert steps.reward.T.tolist() == [[1.0] * 5, [0.0] * 5]


def test_it_must_observe_one_vector(brax):
    brax.robots["eye"] = lambda: SimpleNamespace(reset=lambda key: BraxState({"a": jnp.zeros(2)}, 0.0, 0.0))
    with pytest.raises(UnsupportedSpaceError, match="one vector"):
        from_brax("eye")


@pytest.mark.usefixtures("brax")
def test_an_unknown_name_brings_some_known_ones():
    with pytest.raises(SettingError, match=r"'nobody'.*humanoid"):
        from_brax("nobody")


@pytest.mark.filterwarnings("ignore")
def test_the_real_ant_runs_in_one_compiled_program(drive):
    pytest.importorskip("brax")
    with jax.numpy_rank_promotion("allow"):
        env = from_brax("ant")
        assert env.observation_space == Box((27,))
        assert env.action_space.shape == (8,)
        actions = np.random.default_rng(0).uniform(-1.0, 1.0, (12, 2, 8)).astype(np.float32)
        steps, compiled = drive(env, env.params._replace(max_steps=5), actions)
    assert compiled == 1
    assert np.flatnonzero(steps.truncated[:, 0]).tolist() == [4, 9]
    assert not steps.terminated.any()
    assert np.isfinite(steps.next_observation).all()
    moved = np.abs(np.diff(steps.next_observation, axis=0)).max(axis=(1, 2))
    assert (moved > 0.01).all()
