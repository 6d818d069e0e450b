"""An agent's functions, compiled for a driver on the host."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from selftune.agents import Agent, AgentState, Choice
from selftune.tuning import TunerInfo
from selftune.types import PRNGKey, PyTree, Transitions


class Compiled(NamedTuple):
    """Each is compiled at its first call."""

    act: Callable[..., tuple[Choice, PRNGKey]]
    """`act(actor, carry, observation, first, key) -> (choice, key)`."""
    learn: Callable[[AgentState, Transitions, PRNGKey], tuple[AgentState, TunerInfo]]
    """Uses up the state's experience, so that a replay is never copied."""
    actor: Callable[[AgentState], PyTree]
    """What acting needs, in arrays of its own."""


def compiled(agent: Agent) -> Compiled:
    """Compile an agent's functions."""

    @jax.jit
    def act(actor: PyTree, carry: PyTree, observation: Any, first: Any, key: PRNGKey) -> tuple[Choice, PRNGKey]:
        key, now = jax.random.split(key)
        return agent.act(actor, carry, observation, first, now), key

    @partial(jax.jit, donate_argnums=0)
    def learn_from(experience: PyTree, state: AgentState, batch: Transitions, key: PRNGKey) -> tuple:
        return agent.learn(state._replace(experience=experience), batch, key)

    def learn(state: AgentState, batch: Transitions, key: PRNGKey) -> tuple[AgentState, TunerInfo]:
        return learn_from(state.experience, state._replace(experience=()), batch, key)

    @jax.jit
    def actor(state: AgentState) -> PyTree:
        return jax.tree.map(jnp.copy, agent.actor(state))  # not shared with what learning uses up

    return Compiled(act, learn, actor)
