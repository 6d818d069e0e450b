"""How agents of action values act: mostly the best action, and any action with probability epsilon."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from selftune.agents.agent import Choice
from selftune.networks import Network
from selftune.networks.normalisation import readable
from selftune.types import Array, Bool, Params, PRNGKey, PyTree, Scalar


class Actor(NamedTuple):
    """What acting needs of an agent's state."""

    params: Params
    epsilon: Scalar


class Behaviour(NamedTuple):
    """The acting half of an `Agent`."""

    act: Callable[[Actor, PyTree, PyTree, Bool[Array, " B"], PRNGKey], Choice]
    decide: Callable[[Actor, PyTree, PyTree, Bool[Array, " B"]], Choice]


def epsilon_greedy(network: Network, num_actions: int) -> Behaviour:
    """Act by a network from observations [B, ...] to action values [B, A]; decide greedily."""

    def decide(actor: Actor, carry: PyTree, observation: PyTree, first: Bool[Array, " B"]) -> Choice:
        return Choice(jnp.argmax(network.apply(actor.params, readable(observation)), axis=-1))

    def act(actor: Actor, carry: PyTree, observation: PyTree, first: Bool[Array, " B"], key: PRNGKey) -> Choice:
        random_key, explore_key = jax.random.split(key)
        greedy = decide(actor, carry, observation, first).action
        random = jax.random.randint(random_key, greedy.shape, 0, num_actions, greedy.dtype)
        explores = jax.random.uniform(explore_key, greedy.shape) < actor.epsilon
        return Choice(jnp.where(explores, random, greedy))

    return Behaviour(act, decide)
