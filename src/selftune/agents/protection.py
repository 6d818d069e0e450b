"""Protection from broken numbers: one reading that failed costs neither a rollout nor, out of a replay, all to come.

Numbers that are not finite, or beyond all reckoning, are put to 0 before anyone learns from them, and counted. What an
agent that remembers has learned in one call is taken whole or not at all: its updates are many, and only the last is
under the tuner's guards.
"""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from selftune import _tree
from selftune.agents.agent import Agent, AgentState, current
from selftune.networks.normalisation import readable
from selftune.tuning import Tuner, TunerInfo
from selftune.types import Array, Bool, Int, PRNGKey, PyTree, Transitions


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
    looked_at = sorted({*names, "observation", "next_observation"})  # in one order, or no cache knows the program

    def learn(state: AgentState, batch: Transitions, key: PRNGKey) -> tuple[AgentState, TunerInfo]:
        whole, broken = _mended({name: getattr(batch, name) for name in looked_at})
        after, info = agent.learn(state, batch._replace(**{name: whole[name] for name in names}), key)
        return after, info._replace(guards=info.guards | {"numeric/experience": _steps(broken)})

    return agent._replace(learn=learn)


def _mended(fields: dict[str, PyTree]) -> tuple[dict[str, PyTree], dict[str, Bool[Array, "T B"]]]:
    """The same without numbers that cannot be reckoned with, and where each field but the notes had some."""
    whole = jax.tree.map(readable, fields)
    return whole, {name: _differ(fields[name], whole[name]) for name in fields if name != "notes"}


def _differ(before: PyTree, after: PyTree) -> Bool[Array, "T B"]:
    pairs = zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True)
    return functools.reduce(jnp.logical_or, ((a != b).reshape(*a.shape[:2], -1).any(axis=2) for a, b in pairs))


def _steps(broken: dict[str, Bool[Array, "T B"]]) -> Int[Array, ""]:
    """How many time steps had something broken. What is seen next is what is acted upon then: one reading, once."""
    seen_before = broken["next_observation"][:-1]
    anew = jnp.zeros_like(broken["observation"]).at[1:].set(broken["observation"][1:] & ~seen_before)
    others = [mask for name, mask in broken.items() if name != "observation"]
    return functools.reduce(jnp.logical_or, others, anew).any(axis=1).sum(dtype=jnp.int32)
