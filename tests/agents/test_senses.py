"""What an agent knows of the world it is in."""

import jax.numpy as jnp

from selftune.agents.senses import absorb, context, senses
from selftune.agents.settings import ActorCriticSettings
from selftune.types import Transitions

from .setting import SEEN


def test_steps_that_32_bits_cannot_count_are_a_life_that_is_over():
    seen, reward, ended = jnp.zeros((8, 4, 3)), jnp.zeros((8, 4)), jnp.zeros((8, 4), bool)
    batch = Transitions(seen, ended, reward, ended, ended, seen, ())
    known = senses(SEEN, ActorCriticSettings())._replace(steps=jnp.int32(2**31 - 40))
    for _ in range(2):  # 32 more steps can be counted, 64 cannot
        known = absorb(known, batch, jnp.float32(1.0))
        assert int(known.steps) == 2**31 - 8
        assert float(context(known, reward, 10**6)[2]) == 1.0
