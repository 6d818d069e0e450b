"""Protection of agents that remember: what is broken must not come back out of a replay.

Numbers that are not finite, or beyond all reckoning, are put to 0 before they are remembered, and counted. What was
learned in one call is taken whole or not at all: the updates of a call are many, and only the last is under the tuner's
guards.
"""

import jax
import jax.numpy as jnp

from selftune import _tree
from selftune.agents.agent import Agent, AgentState, current
from selftune.networks.normalisation import readable
from selftune.tuning import Tuner, TunerInfo
from selftune.types import Array, Int, PRNGKey, Transitions


def protected(agent: Agent, tuning: Tuner) -> Agent:
    """The same agent, tuned by `tuning`, with `numeric/experience` and `numeric/round` among its guards."""

    def learn(state: AgentState, batch: Transitions, key: PRNGKey) -> tuple[AgentState, TunerInfo]:
        batch, broken = _mended(batch)
        after, info = agent.learn(state, batch, key)
        whole = _tree.finite((after.learner, after.meta))
        learner, meta = _tree.where(whole, (after.learner, after.meta), (state.learner, state.meta))
        guards = info.guards | {"numeric/experience": broken, "numeric/round": jnp.where(whole, 0, 1)}
        after = AgentState(learner, meta, after.experience)
        return after, info._replace(eta=current(tuning, after), guards=guards)

    return agent._replace(learn=learn)


def _mended(batch: Transitions) -> tuple[Transitions, Int[Array, ""]]:
    """A rollout without numbers that cannot be reckoned with, and how many time steps had some."""

    def mend(leaf: Array) -> tuple[Array, Array]:
        mended = readable(leaf)
        rows = (mended != leaf).reshape(len(leaf), -1).any(axis=1)
        return mended, rows.sum(dtype=jnp.int32)

    leaves, structure = jax.tree.flatten(batch)
    mended, broken = zip(*map(mend, leaves), strict=True)
    return structure.unflatten(mended), jnp.stack(broken).max()
