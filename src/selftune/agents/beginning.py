"""Beginning with what another agent has learned: its networks and its senses, and nothing of how it was tuned.

Nor how good it was: the alarm of `restarting` takes the level to which it settles for a beginner's, and is silent until
the agent has gained on that.

state = begin_with(agent, agent.init(key), known)       optimizers begin, metaparameters are at home: no beginner's
"""

from typing import Any, NamedTuple

import jax

from selftune.agents.agent import Agent, AgentState
from selftune.agents.alarms import settling
from selftune.agents.restarting import Watched
from selftune.agents.senses import Senses
from selftune.errors import SettingError
from selftune.metaparams import placed
from selftune.networks.normalisation import ReturnScale
from selftune.types import Params, PRNGKey, PyTree


class Learned(NamedTuple):
    """What outlives a change of agent."""

    params: Params
    memory: PyTree
    """Target networks, where there are some."""
    senses: Senses | tuple[()]
    """Running statistics of observations and rewards, where there are some."""


def learned(state: AgentState) -> Learned:
    """What an agent has learned."""
    return Learned(state.learner.params, state.learner.memory, getattr(_own(state.experience), "senses", ()))


def begin_with(agent: Agent, state: AgentState, known: Learned) -> AgentState:
    """An agent that begins with what another one has learned.

    Args:
        agent: Which. Of its metaparameters those that start where a beginner's do go home.
        state: As `agent.init(key)` gives it. It acts at once as the other was taught; with an empty replay it learns
            nothing before its own `warm_up` is over.
        known: Of an agent of the same kind with the same spaces, widths and senses; it may have had another number of
            environments and another tuner.

    Raises:
        SettingError: The networks have other shapes, or other senses.
    """
    _same((state.learner.params, state.learner.memory), (known.params, known.memory), "networks", "hidden, memory")
    _same(_measured(_own(state.experience)), _measured(known), "senses", "normalise_observations, scale_rewards")
    learner = agent.start(known.params)._replace(memory=known.memory)
    experience = _own(state.experience)
    if isinstance(known.senses, Senses):
        experience = experience._replace(senses=_in_these_worlds(experience.senses, known.senses))
    whole = _watched_anew(state.experience, experience)
    meta = state.meta._replace(meta_params=placed(agent.spec, state.meta.meta_params, agent.home))
    return AgentState(learner, meta, whole)


def go_on_with(agent: Agent, state: AgentState, known: Learned, key: PRNGKey) -> AgentState:
    """The same of an agent that has already learned: how it is tuned stays, and what it remembers of its worlds.

    What waits to be judged by the next experience was done by networks that are no longer there, and is forgotten, as
    is how well they did.

    Raises:
        SettingError: The networks have other shapes, or other senses.
    """
    fresh = jax.jit(agent.init)(key)
    after = begin_with(agent, state, known)
    meta = after.meta._replace(estimator_state=fresh.meta.estimator_state)
    own = _own(after.experience)
    if hasattr(own, "last"):  # PPO's whole round
        own = own._replace(last=_own(fresh.experience).last)
    return AgentState(after.learner, meta, _watched_anew(fresh.experience, own))


def _own(experience: PyTree) -> Any:
    return experience.own if isinstance(experience, Watched) else experience


def _watched_anew(fresh: PyTree, own: Any) -> PyTree:
    return fresh._replace(own=own, alarm=settling(fresh.alarm)) if isinstance(fresh, Watched) else own


def _in_these_worlds(own: Senses, known: Senses) -> Senses:
    """All statistics; the steps and the returns of episodes that are going on are those of the worlds that begin."""
    known = known._replace(steps=own.steps)
    if isinstance(own.reward, ReturnScale) and isinstance(known.reward, ReturnScale):
        return known._replace(reward=known.reward._replace(returns=own.reward.returns))
    return known


def _measured(own: Any) -> PyTree:
    """What the senses measure; of as many environments as there are, no matter which."""
    known = getattr(own, "senses", ())
    if isinstance(known, Senses) and isinstance(known.reward, ReturnScale):
        return known._replace(reward=known.reward.statistics)
    return known


def _same(own: PyTree, given: PyTree, what: str, settings: str) -> None:
    shapes = [jax.tree.map(lambda leaf: tuple(leaf.shape), tree) for tree in (own, given)]
    if shapes[0] != shapes[1]:
        raise SettingError(
            f"begin_with got {what} of the shapes {shapes[1]!s:.200}, expected {shapes[0]!s:.200}; give the agent "
            f"the spaces and the settings ({settings}) with which the other was trained."
        )
