"""What is broken does not come back out of a replay."""

import os
import subprocess
import sys

import jax
import jax.numpy as jnp

from selftune import _tree
from selftune.agents.dqn import DQNSettings, dqn

from .setting import CHOICES, SEEN, rollout

SMALL = DQNSettings(
    num_envs=2,
    rollout_length=4,
    hidden=(8,),
    batch_size=4,
    replay_capacity=64,
    warm_up=4,
    updates=2,
    unroll=1,
    n_step=1,
)


def test_numbers_that_are_not_finite_are_not_remembered():
    agent = dqn(SEEN, CHOICES, settings=SMALL)
    learn = jax.jit(agent.learn)
    state = jax.jit(agent.init)(jax.random.key(0))
    for update in range(4):
        batch = rollout(agent, state, update)
        broken = batch._replace(
            reward=batch.reward.at[1, 0].set(jnp.nan), observation=batch.observation.at[2, 1, 0].set(jnp.inf)
        )
        state, info = learn(state, broken, jax.random.key(update))
        assert int(info.guards["numeric/experience"]) == 2
    assert _tree.finite(state)


def test_numbers_beyond_all_reckoning_are_not_remembered_either():
    agent = dqn(SEEN, CHOICES, settings=SMALL)
    state = jax.jit(agent.init)(jax.random.key(0))
    batch = rollout(agent, state, 0)
    huge = batch._replace(observation=batch.observation.at[2, 1, 0].set(3e38))
    state, info = jax.jit(agent.learn)(state, huge, jax.random.key(0))
    assert int(info.guards["numeric/experience"]) == 1
    assert float(jnp.abs(state.experience.data.observation).max()) < 100.0


def test_a_call_that_overflows_changes_nothing_that_was_learned():
    agent = dqn(SEEN, CHOICES, settings=SMALL)
    learn = jax.jit(agent.learn)
    state = jax.jit(agent.init)(jax.random.key(0))
    batch = rollout(agent, state, 0)
    for update in range(3):
        huge = batch._replace(observation=jnp.full_like(batch.observation, 3e38), reward=batch.reward * 3e38)
        state, _ = learn(state, huge, jax.random.key(update))
        assert _tree.finite((state.learner, state.meta))


PROGRAM = """
import jax
from selftune.agents import a2c
from selftune.agents.protection import mended
from selftune.spaces import Box, Discrete
from selftune.tuning import TunerInfo
from selftune.types import Transitions

agent = a2c(Box((3,)), Discrete(2))
info = TunerInfo({}, {}, {}, 0.0, (), ())
agent = mended(agent._replace(learn=lambda state, batch, key: (batch, info)), Transitions._fields)
number, flag = jax.ShapeDtypeStruct((4, 2), "float32"), jax.ShapeDtypeStruct((4, 2), bool)
seen, action = jax.ShapeDtypeStruct((4, 2, 3), "float32"), jax.ShapeDtypeStruct((4, 2), "int32")
print(jax.make_jaxpr(agent.learn)((), Transitions(seen, action, number, flag, flag, seen), 0))
"""


def test_the_program_is_the_same_in_every_process():
    """Or the cache of compiled programs would never know it again."""
    told = [
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert "lambda" in told[0]
    assert told[0] == told[1]
