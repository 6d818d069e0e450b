"""What an agent knows of the world it is in."""

import jax.numpy as jnp
import numpy as np
import pytest

from selftune.agents.senses import absorb, context, see, senses
from selftune.agents.settings import ActorCriticSettings
from selftune.spaces import Box
from selftune.types import Transitions

from .setting import SEEN

MEASURED = ActorCriticSettings(normalise_observations=True)


def _after(space, settings, observation):
    """The senses after one rollout [T, B, n] of what was seen."""
    reward, ended = jnp.zeros(observation.shape[:2]), jnp.zeros(observation.shape[:2], bool)
    batch = Transitions(observation, ended, reward, ended, ended, observation, ())
    return absorb(senses(space, settings), batch, jnp.float32(1.0)).observation


@pytest.mark.parametrize("broken", [np.inf, np.nan, 3.4e38])
def test_a_broken_sensor_leaves_the_others_measured(broken):
    observation = np.random.default_rng(0).normal(1000.0, 50.0, (50, 2, 3)).astype(np.float32)
    observation[..., 2] = broken
    known = _after(SEEN, MEASURED, jnp.asarray(observation))
    seen = see(known, (), jnp.array([1050.0, 1000.0, broken]))
    np.testing.assert_allclose(seen, [1.0, 0.0, 0.0], atol=0.2)


def test_a_reading_that_is_missing_now_and_then_is_the_usual_one():
    rng = np.random.default_rng(0)
    observation = rng.normal(1e5, 1.0, (50, 20, 3)).astype(np.float32)
    observation[rng.random(observation.shape) < 0.01] = np.nan
    known = _after(SEEN, MEASURED, jnp.asarray(observation))
    seen = see(known, (), jnp.array([1e5 + 1.0, np.nan, 1e5]))
    np.testing.assert_allclose(seen, [1.0, 0.0, 0.0], atol=0.2)  # a missing 0 would make the deviation 10000


@pytest.mark.parametrize("dtype", ["int32", "uint8"])
def test_whole_numbers_are_measured_as_others_are(dtype):
    observation = np.random.default_rng(0).integers(90, 111, (50, 2, 3)).astype(dtype)  # deviation 20.5 / sqrt(12)
    known = _after(Box((3,), dtype), MEASURED, jnp.asarray(observation))
    seen = see(known, (), jnp.array([100, 106, 94], dtype))
    np.testing.assert_allclose(seen, [0.0, 1.0, -1.0], atol=0.2)
    tiny = _after(Box((3,), dtype), ActorCriticSettings(), jnp.zeros((50, 2, 3), dtype).at[0].set(1))
    assert see(tiny, (), jnp.array([0, 1, 0], dtype)).dtype == jnp.float32, "lifted, and so no whole number"


def test_steps_that_32_bits_cannot_count_are_a_life_that_is_over():
    seen, reward, ended = jnp.zeros((8, 4, 3)), jnp.zeros((8, 4)), jnp.zeros((8, 4), bool)
    batch = Transitions(seen, ended, reward, ended, ended, seen, ())
    known = senses(SEEN, ActorCriticSettings())._replace(steps=jnp.int32(2**31 - 40))
    for _ in range(2):  # 32 more steps can be counted, 64 cannot
        known = absorb(known, batch, jnp.float32(1.0))
        assert int(known.steps) == 2**31 - 8
        assert float(context(known, reward, 10**6)[2]) == 1.0
