"""How an agent sees its world: normalised observations, scaled rewards, and a context; all of it plain state.

Observations are normalised, or lifted where they are tiny, by what was known when they were acted on, so that learning
sees what acting saw; but V-trace's, which may act one update behind, by what is known one update later.
"""

from typing import NamedTuple

import jax.numpy as jnp

from selftune.agents.settings import ActorCriticSettings
from selftune.networks.normalisation import (
    Magnitude,
    ReturnScale,
    Statistics,
    follow,
    include,
    lift,
    magnitude,
    measure,
    normalise,
    readable,
    return_scale,
    scale_reward,
    statistics,
)
from selftune.spaces import Box, Space
from selftune.types import Array, Eta, Float, Int, PyTree, Scalar, Transitions

CONTEXT = 3
"""Entries of the context of contextual metaparameters."""


class Senses(NamedTuple):
    """What an agent has learned of the scale of things."""

    observation: Statistics | Magnitude | tuple[()]
    """Of vectors of numbers; nothing is learned of other observations."""
    reward: ReturnScale | tuple[()]
    steps: Int[Array, ""]
    """Environment steps so far."""
    error: Scalar
    """The critic's root mean squared error in the last update."""


def senses(space: Space, settings: ActorCriticSettings) -> Senses:
    """Before anything was seen."""
    shape = space.encoded_shape
    numbers = isinstance(space, Box) and len(shape) == 1
    standard = statistics(shape) if settings.normalise_observations else magnitude()
    seen = standard if numbers else ()
    earned = return_scale(settings.num_envs) if settings.scale_rewards else ()
    return Senses(seen, earned, jnp.zeros((), jnp.int32), jnp.zeros(()))


def see(known: Statistics | Magnitude | tuple[()], horizons: PyTree, observation: Array) -> Array:
    """One observation [..., *shape] as the networks get it.

    `horizons`, where policy and critics are told them, are appended to a vector: a change of discount or trace decay is
    then something that they see, and no moving target (Xu et al. 2018, https://arxiv.org/abs/1805.09801, section 1.4).
    """
    if isinstance(known, Statistics):
        observation = normalise(known, observation)
    observation = readable(observation)  # a broken sensor must not break actions
    if isinstance(known, Magnitude):
        observation = lift(known, observation)
    if not isinstance(horizons, tuple):
        told = jnp.broadcast_to(horizons, (*observation.shape[:-1], *horizons.shape))
        observation = jnp.concatenate([observation, told], axis=-1)
    return observation


def horizons(eta: Eta) -> Float[Array, "2"]:
    """Discount and trace decay as two numbers of about [0, 1]: logarithms of how far they reach."""
    reach = [-jnp.log(1.0 - jnp.minimum(eta[name], 0.9999)) / jnp.log(1e4) for name in ("discount", "trace_decay")]
    return jnp.stack(reach)


def absorb(known: Senses, batch: Transitions, value_loss: Scalar) -> Senses:
    """Learn from a rollout [T, B], as the environments gave it, and from the critic's loss on it."""
    observation = known.observation
    if isinstance(observation, Statistics):
        observation = include(observation, batch.observation)
    if isinstance(observation, Magnitude):
        observation = measure(observation, batch.observation)
    error = jnp.sqrt(2.0 * value_loss)
    error = jnp.where(jnp.isfinite(error), error, known.error)
    return known._replace(observation=observation, steps=_counted(known.steps, batch.reward.size), error=error)


def _counted(steps: Int[Array, ""], more: int) -> Int[Array, ""]:
    """The sum; what cannot be counted in 32 bits stays the last number that can."""
    return jnp.where(steps > jnp.iinfo(steps.dtype).max - more, steps, steps + more)


def at_beginnings(known: Senses) -> Senses:
    """The same where all episodes begin anew: nothing has been earned in them."""
    if not isinstance(known.reward, ReturnScale):
        return known
    return known._replace(reward=known.reward._replace(returns=jnp.zeros_like(known.reward.returns)))


def earn(known: Senses, batch: Transitions, discount: float) -> tuple[Senses, Transitions]:
    """Follow the scale of returns, and divide rewards by it."""
    if not isinstance(known.reward, ReturnScale):
        return known, batch
    reward = follow(known.reward, batch.reward, batch.terminated | batch.truncated, discount)
    return known._replace(reward=reward), batch._replace(reward=scale_reward(reward, batch.reward))


def context(known: Senses, reward: Float[Array, "T B"], lifetime: int) -> Float[Array, " 3"]:
    """Recent rewards, recent errors, the lifetime's fraction; each in [-1, 1]."""
    fraction = 2.0 * jnp.minimum(known.steps / lifetime, 1.0) - 1.0
    return jnp.stack([jnp.tanh(reward.mean()), jnp.tanh(known.error), fraction])
