"""What is broken does not come back out of a replay."""

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
