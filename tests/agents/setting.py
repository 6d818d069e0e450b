"""Small agents in a world with 3 numbers to see, and made-up experience."""

import jax
import jax.numpy as jnp

from selftune.spaces import Box, Discrete
from selftune.types import Transitions

SEEN = Box((3,))
CHOICES = Discrete(2)
FORCES = Box((2,), low=(-1.0, -1.0), high=(1.0, 1.0))


def rollout(agent, state, seed):
    """What the agent does for its rollout in a world of noise [T, B]; some episodes end, in both ways."""
    return _rollout(agent)(state, seed)


def _rollout(agent):
    @jax.jit
    def collect(state, seed):
        T, B = agent.rollout_length, agent.num_envs
        keys = jax.random.split(jax.random.key(seed), 5)
        observation = jax.random.normal(keys[0], (T + 1, B, 3))
        reward = jax.random.normal(keys[1], (T, B))
        terminated, truncated = (jax.random.bernoulli(key, 0.1, (T, B)) for key in keys[2:4])
        first = jnp.concatenate([jnp.ones((1, B), bool), (terminated | truncated)[:-1]])
        actor = agent.actor(state)

        def step(carry, seen):
            observation, first, key = seen
            choice = agent.act(actor, carry, observation, first, key)
            return choice.carry, (choice.action, choice.notes)

        told = (observation[:-1], first, jax.random.split(keys[4], T))
        _, (action, notes) = jax.lax.scan(step, agent.rest(B), told)
        return Transitions(observation[:-1], action, reward, terminated, truncated, observation[1:], notes)

    return collect


def learned(agent, updates, seed=0):
    """`(learn, state, info)` after some updates on made-up experience."""
    learn, collect = jax.jit(agent.learn), _rollout(agent)
    state, info = jax.jit(agent.init)(jax.random.key(seed)), None
    for update in range(updates):
        state, info = learn(state, collect(state, update), jax.random.key(update))
    return learn, state, info
