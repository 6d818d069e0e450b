"""Start anew when all is lost: what an agent can do where the world has changed and it cannot let go.

What an alarm hears is the discounted return so far, as it flows backwards from every step:
`z <- discount * z + reward`, 0 at an episode's end and when an agent begins. It needs no episode to end and no critic,
and falls when rewards or episodes become smaller. Where an episode was cut off, what it had earned is unknown, and
is taken to be as what comes after.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from selftune.agents.agent import Agent, AgentState
from selftune.agents.alarms import Alarm, all_is_lost
from selftune.agents.recipe import Recipe
from selftune.metaparams import placed, tuned
from selftune.networks.normalisation import discounted_returns
from selftune.tuning import TunerInfo
from selftune.types import Array, Float, MetaParams, PRNGKey, PyTree, Scalar, Transitions

DISCOUNT = 0.99
"""Of the return so far."""
MEMORY = 300
"""Steps of each environment that an alarm's memory lasts: three times as far as the return so far looks back."""
ENOUGH = 5000
"""Steps of all environments together that it lasts at least."""
ROLLOUTS = 8
"""Rollouts that it lasts at least: the level of one is noise where episodes begin together."""
UNKNOWN = 2 / 3
"""Weight of what came before a cut, in a rollout's level, above which it is not heard."""


class Watched(NamedTuple):
    """What the agent remembers, and what watches it."""

    own: PyTree
    alarm: PyTree
    so_far: Float[Array, " B"]
    """Discounted return so far, in each environment."""
    unknown: Float[Array, " B"]
    """Weight of what came before a cut, from 1 on; 0 in episodes that were seen to begin."""


def restart_on(alarm: Alarm) -> Callable[[Recipe, Agent], Agent]:
    """Around an agent: networks, their optimizers and statistics start anew when the alarm rings.

    What was learned about learning stays: metaparameters go on from where they are, but for those whose start the
    recipe gives. It shows as `restart` among the guards.
    """

    def around(recipe: Recipe, agent: Agent) -> Agent:
        starting = [name for name in recipe.start if name in tuned(agent.spec)]

        def begin(key: PRNGKey) -> AgentState:
            state = agent.init(key)
            so_far, unknown = jnp.zeros(agent.num_envs), jnp.zeros(agent.num_envs)
            return state._replace(experience=Watched(state.experience, alarm.init(), so_far, unknown))

        def learn(state: AgentState, batch: Transitions, key: PRNGKey) -> tuple[AgentState, TunerInfo]:
            watched: Watched = state.experience
            learned, info = agent.learn(_inner(state), batch, key)
            so_far, level = returns_so_far(watched.so_far, batch)
            unknown, share = unknown_so_far(watched.unknown, batch)
            level = jnp.where(share <= UNKNOWN, level / (1.0 - share), jnp.nan)
            heard, rung = alarm.hear(watched.alarm, level, share_of_memory(*batch.reward.shape))
            new_key, started = jax.random.fold_in(key, 1), placed(agent.spec, learned.meta.meta_params, recipe.start)
            fresh = jax.lax.cond(rung, lambda: _anew(agent.init(new_key), learned, started), lambda: learned)
            so_far, unknown = (jnp.where(rung, 0.0, each) for each in (so_far, unknown))
            after = fresh._replace(experience=Watched(fresh.experience, heard, so_far, unknown))
            begun = {name: jnp.where(rung, recipe.start[name], info.eta[name]) for name in starting}
            guards = info.guards | {"restart": jnp.where(rung, 1, 0)}
            return after, info._replace(eta={**info.eta, **begun}, guards=guards)

        def cut(state: AgentState) -> AgentState:
            inner = agent.cut(_inner(state))
            watched: Watched = state.experience
            nothing, all_of_it = jnp.zeros_like(watched.so_far), jnp.ones_like(watched.unknown)
            return inner._replace(experience=Watched(inner.experience, watched.alarm, nothing, all_of_it))

        return agent._replace(init=begin, learn=learn, actor=lambda state: agent.actor(_inner(state)), cut=cut)

    return around


def rescued(recipe: Recipe, agent: Agent) -> Agent:
    """A self-tuning agent that starts anew when all that it had learned is lost; one that tunes nothing as it is."""
    if not tuned(agent.spec):
        return agent
    alarm = all_is_lost(stretch=stretch_of_memory(agent.rollout_length, agent.num_envs))
    return restart_on(alarm)(recipe, agent)


def share_of_memory(length: int, count: int) -> float:
    """How much of an alarm's memory a rollout of `length` steps in `count` environments lasts."""
    return min(_share_by_steps(length, count), 1.0 / ROLLOUTS)


def stretch_of_memory(length: int, count: int) -> float:
    """How many times as long it is as it would be if it did not last so many rollouts."""
    return _share_by_steps(length, count) / share_of_memory(length, count)


def _share_by_steps(length: int, count: int) -> float:
    return min(length / MEMORY, length * count / ENOUGH)


def returns_so_far(so_far: Float[Array, " B"], batch: Transitions) -> tuple[Float[Array, " B"], Scalar]:
    """What a rollout [T, B] leaves of the discounted return so far, and its mean over the rollout."""
    so_far, reached = discounted_returns(so_far, batch.reward, batch.terminated | batch.truncated, DISCOUNT)
    return so_far, jnp.nanmean(reached)


def unknown_so_far(unknown: Float[Array, " B"], batch: Transitions) -> tuple[Float[Array, " B"], Scalar]:
    """What a rollout [T, B] leaves of the weight of what came before a cut, and its mean over the rollout."""
    nothing, ends = jnp.zeros_like(batch.reward), batch.terminated | batch.truncated
    unknown, reached = discounted_returns(unknown, nothing, ends, DISCOUNT)
    return unknown, reached.mean()


def _anew(fresh: AgentState, learned: AgentState, meta_params: MetaParams) -> AgentState:
    """A beginner with the metaparameters that another learned; what waited for its judge is gone."""
    meta = learned.meta._replace(meta_params=meta_params, estimator_state=fresh.meta.estimator_state)
    experience = fresh.experience
    if hasattr(experience, "senses"):  # an actor-critic's, which knows how far its lifetime is
        senses = experience.senses._replace(steps=learned.experience.senses.steps)
        experience = experience._replace(senses=senses)
    return fresh._replace(meta=meta, experience=experience)


def _inner(state: AgentState) -> AgentState:
    return state._replace(experience=state.experience.own)
