"""Where 64-bit numbers are enabled, as in much scientific code, samplers and worlds give wider types than networks."""

import jax
import jax.numpy as jnp
import pytest

from selftune import _tree
from selftune.agents.catalogue import AGENTS

from .setting import CHOICES, SEEN, rollout


@pytest.mark.parametrize("name", ["a2c", "q_lambda"])
def test_agents_learn_with_64_bit_numbers_enabled(float64, name):
    make, default = AGENTS[name]
    agent = make(SEEN, CHOICES, settings=type(default)(hidden=(4,), num_envs=2))
    state = agent.init(jax.random.key(0))
    learn, types = jax.jit(agent.learn), jax.tree.map(jnp.result_type, state)
    for update in range(2):
        batch = rollout(agent, state, update)
        batch = batch._replace(action=batch.action.astype("int64"), reward=batch.reward.astype("float32"))
        state, _ = learn(state, batch, jax.random.key(update))
    assert jax.tree.map(jnp.result_type, state) == types
    assert _tree.finite(state)
