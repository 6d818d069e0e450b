"""Agents of one update a rollout. Every rollout first judges the update before it, then makes the next.

It is fresh, on-policy, and was not trained on; one forward pass serves both.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax

from selftune.agents.agent import Agent, AgentState
from selftune.agents.body import Actor, body
from selftune.agents.protection import mended
from selftune.agents.recipe import Recipe
from selftune.agents.restarting import rescued
from selftune.agents.senses import Senses, absorb, at_beginnings
from selftune.agents.settings import UPDATE, ActorCriticSettings
from selftune.agents.updating import (
    COMMON,
    actor_critic_spec,
    actor_critic_tuner,
    current_actor,
    with_axis,
)
from selftune.agents.vocabulary import homes, rates_together
from selftune.learning import LearnerState
from selftune.metaparams import values
from selftune.objectives import actor_critic_loss, actor_critic_meta_loss, vtrace_loss, vtrace_meta_loss
from selftune.spaces import Space
from selftune.tuning import TunerInfo
from selftune.types import Params, PRNGKey, Transitions

DEFAULTS = ActorCriticSettings()
RECIPE = Recipe(
    homing=("discount", "trace_decay"),
    home={"learning_rate": 3e-3, "critic_learning_rate": 3e-3},
    home_of_choices={"gradient_floor": 0.02},
    start={"learning_rate": 1.2e-2, "critic_learning_rate": 1.2e-2},
    leak=0.03,
    policy_bound=0.003,
    around=rescued,
)
"""Quick: rates four times the literature's, with tighter guards and, for choices, a floor under small gradients."""


MOST = 4.0
"""Updates that one is made to stand for, at most: with more no trust region would be left."""


def updates_in_one(settings: ActorCriticSettings) -> float:
    """How many usual updates one stands for, which sees more steps where environments are many or rollouts long."""
    return min(max(1.0, settings.num_envs * settings.length / UPDATE), MOST)


class Seen(NamedTuple):
    """What these agents remember beside their parameters."""

    senses: Senses


def a2c(
    observation_space: Space,
    action_space: Space,
    *,
    tune: Sequence[str] | None = None,
    init: Mapping[str, Any] | None = None,
    settings: ActorCriticSettings = DEFAULTS,
    recipe: Recipe = RECIPE,
) -> Agent:
    """A self-tuning A2C agent: synchronous advantage actor-critic.

    Mnih et al. 2016 (https://arxiv.org/abs/1602.01783); self-tuned as in Xu et al. 2018 and Zahavy et al. 2020, with
    the outer critic of Bonnet et al. 2022.

    Args:
        observation_space: What it sees.
        action_space: What it does, Discrete or a Box of one axis.
        tune: Metaparameters to learn; the recipe's when omitted, none when empty.
        init: Initial values by name. A `critic_learning_rate` that is not given starts at the `learning_rate`. Where
            all is lost and the agent starts anew, tuned rates begin at the recipe's `start`, the rest goes on from
            where it is.
        settings: What no gradient can move.
        recipe: How it is tuned.

    Raises:
        MetaParamError: A name or a value that makes no sense; the message says what can be tuned.
        UnsupportedSpaceError: Actions of another kind.
    """
    objectives = actor_critic_loss, actor_critic_meta_loss
    return _build("a2c", COMMON, objectives, 0, observation_space, action_space, tune, init, settings, recipe)


def impala(
    observation_space: Space,
    action_space: Space,
    *,
    tune: Sequence[str] | None = None,
    init: Mapping[str, Any] | None = None,
    settings: ActorCriticSettings = DEFAULTS,
    recipe: Recipe = RECIPE,
) -> Agent:
    """A self-tuning V-trace actor-critic (IMPALA): it acts one update behind, so that acting and learning overlap.

    Espeholt et al. 2018 (https://arxiv.org/abs/1802.01561); the leaky mixes `rho_mix` and `c_mix` are those of STACX
    (Zahavy et al. 2020, https://arxiv.org/abs/2002.12928). Arguments and errors are those of `a2c`.
    """
    names = (*COMMON, "rho_mix", "c_mix")
    objectives = vtrace_loss, vtrace_meta_loss
    return _build("impala", names, objectives, 1, observation_space, action_space, tune, init, settings, recipe)


def _build(
    name: str,
    names: Sequence[str],
    objectives: tuple,
    lag: int,
    observation_space: Space,
    action_space: Space,
    tune: Sequence[str] | None,
    init: Mapping[str, Any] | None,
    settings: ActorCriticSettings,
    recipe: Recipe,
) -> Agent:
    given, recipe = rates_together(init), recipe.for_agent(action_space, tune).scaled(updates_in_one(settings))
    spec = actor_critic_spec(names, tune, given, settings, recipe, {})
    parts = body(observation_space, action_space, settings)
    loss, meta_loss = (objective(parts.model, settings.outer) for objective in objectives)
    learning, tuning = actor_critic_tuner(spec, parts, loss, meta_loss, recipe, settings, {})

    def start(params: Params) -> LearnerState:
        return learning.init(params, values(spec))

    def begin(key: PRNGKey) -> AgentState:
        params_key, meta_key = jax.random.split(key)
        state = start(parts.init(params_key))
        return AgentState(state, tuning.init(state, with_axis(parts.example), meta_key), Seen(parts.senses()))

    def actor(state: AgentState) -> Actor:
        return current_actor(tuning, parts, settings, state)

    def learn(state: AgentState, batch: Transitions, key: PRNGKey) -> tuple[AgentState, TunerInfo]:
        known, seen = parts.prepare(state.experience.senses, actor(state), batch)
        meta, learned, info = tuning.update(state.meta, state.learner, with_axis(seen), None, key)
        known = absorb(known, batch, info.steps.aux["value_loss"][-1])
        return AgentState(learned, meta, Seen(known)), info

    def cut(state: AgentState) -> AgentState:
        seen = state.experience._replace(senses=at_beginnings(state.experience.senses))
        return state._replace(experience=seen)

    counts = settings.num_envs, settings.length
    home = homes(spec, given, recipe.start, recipe.returning({}))
    agent = Agent(name, spec, begin, start, actor, parts.rest, parts.act, parts.decide, learn, *counts, lag, home, cut)
    return mended(recipe.around(recipe, agent), ["reward"])
