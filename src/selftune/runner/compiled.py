"""An agent's functions, compiled for a driver on the host."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from selftune.agents import Agent, AgentState, Choice
from selftune.metaparams import tuned
from selftune.tuning import TunerInfo
from selftune.types import Array, Float, Int, PRNGKey, PyTree, Transitions


class Told(eqx.Module):
    """What a person wants to know of an update, in two small arrays: thirty would take longer to fetch than to make."""

    eta: Float[Array, " M"]
    """The tuned metaparameters, each averaged where it is more than one number."""
    guards: Int[Array, " G"]
    names: tuple[tuple[str, ...], tuple[str, ...]] = eqx.field(static=True)
    """Of the metaparameters, and of the guards."""

    def fetch(self) -> tuple[dict[str, float], dict[str, int]]:
        """Both by name, on the host; waits for the update."""
        eta, guards = (np.asarray(numbers).tolist() for numbers in (self.eta, self.guards))
        return dict(zip(self.names[0], eta, strict=True)), dict(zip(self.names[1], guards, strict=True))


class Compiled(NamedTuple):
    """Each is compiled at its first call."""

    act: Callable[..., tuple[Choice, PRNGKey]]
    """`act(actor, carry, observation, first, key) -> (choice, key)`."""
    learn: Callable[[AgentState, Transitions, PRNGKey], tuple[AgentState, TunerInfo]]
    """Uses up the state's experience, so that a replay is never copied."""
    actor: Callable[[AgentState], PyTree]
    """What acting needs, in arrays of its own."""
    improve: Callable[[AgentState, Transitions, PRNGKey], tuple[AgentState, PyTree, Told]]
    """`learn`, `actor` and what there is to tell, in one program."""
    cut: Callable[[AgentState], AgentState]
    """Says that what comes next does not follow on what was learned from last. Uses up the state's experience."""


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

    def own(state: AgentState) -> PyTree:
        return jax.tree.map(jnp.copy, agent.actor(state))  # not shared with what learning uses up

    @partial(jax.jit, donate_argnums=0)
    def improve_from(experience: PyTree, state: AgentState, batch: Transitions, key: PRNGKey) -> tuple:
        state, info = agent.learn(state._replace(experience=experience), batch, key)
        return state, own(state), _told(agent, info)

    def improve(state: AgentState, batch: Transitions, key: PRNGKey) -> tuple[AgentState, PyTree, Told]:
        return improve_from(state.experience, state._replace(experience=()), batch, key)

    @partial(jax.jit, donate_argnums=0)
    def cut_off(experience: PyTree, state: AgentState) -> PyTree:
        return agent.cut(state._replace(experience=experience)).experience

    def cut(state: AgentState) -> AgentState:
        return state._replace(experience=cut_off(state.experience, state._replace(experience=())))

    return Compiled(act, learn, jax.jit(own), improve, cut)


def _told(agent: Agent, info: TunerInfo) -> Told:
    moving, guards = tuple(tuned(agent.spec)), tuple(info.guards)
    eta = [jnp.mean(jnp.asarray(info.eta[name])) for name in moving]
    fired = [jnp.asarray(info.guards[name], jnp.int32) for name in guards]
    stacked = jnp.stack(eta) if eta else jnp.zeros(0), jnp.stack(fired) if fired else jnp.zeros(0, jnp.int32)
    return Told(*stacked, (moving, guards))
