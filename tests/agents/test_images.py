"""Bytes reach every network in [0, 1]: as 0 to 255 they would saturate it from the first step on."""

import jax
import jax.numpy as jnp
import numpy as np

from selftune.agents.body import body
from selftune.agents.settings import ActorCriticSettings
from selftune.agents.soft_learner import soft_networks
from selftune.spaces import Box, Discrete
from selftune.types import Transitions

IMAGE = Box((4, 4, 1), low=0.0, high=255.0, dtype="uint8")
BYTES = jax.random.randint(jax.random.key(0), (3, 2, 4, 4, 1), 0, 256).astype(jnp.uint8)


def test_of_critics_beside_a_memory():
    parts = body(IMAGE, Discrete(2), ActorCriticSettings(num_envs=2, rollout_length=3, hidden=(8,), memory=3))
    critic = parts.init(jax.random.key(1))["critic"]
    nothing = jnp.zeros((3, 2))

    def values(seen):
        carry = jnp.zeros((3, 2, 3))
        notes = {"carry": carry, "carry_after": carry}
        return parts.model.values(critic, Transitions(seen, nothing, nothing, nothing, nothing, seen, notes))[0]

    np.testing.assert_allclose(values(BYTES), values(BYTES / 255), rtol=1e-5)


def test_of_policy_and_critics_of_sac():
    networks = soft_networks(IMAGE.shape, 2, (8,))
    params, action = networks.init(jax.random.key(1)), jnp.zeros((2, 2))
    for network, given in ((networks.model.policy, ()), (networks.model.critics, (action,))):
        part = params["critics" if given else "policy"]
        bytes_, shares = network(part, BYTES[0], *given), network(part, BYTES[0] / 255, *given)
        jax.tree.map(lambda left, right: np.testing.assert_allclose(left, right, rtol=1e-5), bytes_, shares)
