"""Protection from broken numbers: one reading that failed costs neither a rollout nor, out of a replay, all to come.

Numbers that are not finite, or beyond all reckoning, are put to 0 before anyone learns from them, and counted. What an
agent that remembers has learned in one call is taken whole or not at all: its updates are many, and only the last is
under the tuner's guards.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from selftune import _tree
from selftune.agents.agent import Agent, AgentState, current
from selftune.networks.normalisation import readable
from selftune.tuning import Tuner, TunerInfo
from selftune.types import Array, Int, PRNGKey, PyTree, Transitions


def protected(agent: Agent, tuning: Tuner) -> Agent:
    """The same agent, tuned by `tuning`, with `numeric/experience` and `numeric/round` among its guards."""

    def learn(state: AgentState, batch: Transitions, key: PRNGKey) -> tuple[AgentState, TunerInfo]:
        after, info = agent.learn(state, batch, key)
        whole = _tree.finite((after.learner, after.meta))
        learner, meta = _tree.where(whole, (after.learner, after.meta), (state.learner, state.meta))
        guards = info.guards | {"numeric/round": jnp.where(whole, 0, 1)}
        after = AgentState(learner, meta, after.experience)
        return after, info._replace(eta=current(tuning, after), guards=guards)

    return mended(agent._replace(learn=learn), Transitions._fields)


def mended(agent: Agent, names: Sequence[str]) -> Agent:
    """The same agent, with `numeric/experience` among its guards: how many time steps of a rollout had to be mended.

    Args:
        agent: Who learns.
        names: Fields of a rollout that are mended; the others are only counted. Observations are not mended for whoever
            knows better what a missing one stands for.
    """

    def learn(state: AgentState, batch: Transitions, key: PRNGKey) -> tuple[AgentState, TunerInfo]:
        counted = {*names, "observation", "next_observation"}
        whole, broken = _mended({name: getattr(batch, name) for name in counted})
        after, info = agent.learn(state, batch._replace(**{name: whole[name] for name in names}), key)
        return after, info._replace(guards=info.guards | {"numeric/experience": broken})

    return agent._replace(learn=learn)


def _mended(tree: dict[str, PyTree]) -> tuple[dict[str, PyTree], Int[Array, ""]]:
    """The same without numbers that cannot be reckoned with, and how many time steps had some."""

    def mend(leaf: Array) -> tuple[Array, Array]:
        mended = readable(leaf)
        rows = (mended != leaf).reshape(len(leaf), -1).any(axis=1)
        return mended, rows.sum(dtype=jnp.int32)

    leaves, structure = jax.tree.flatten(tree)
    mended, broken = zip(*map(mend, leaves), strict=True)
    return structure.unflatten(mended), jnp.stack(broken).max()
