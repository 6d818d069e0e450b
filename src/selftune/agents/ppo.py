"""PPO: several epochs of minibatch updates a rollout, of which the last is differentiated.

What the meta-gradient spans: with E epochs of M minibatches, the first E*M - 1 updates of a rollout are plain. The last
one, taken where the clipping and the divergence already bite, is taken again under differentiation when the next
rollout is there to judge it; the state that acted stays. So the metaparameters' effect on one update is seen, at the
end of a round, on fresh on-policy data; how the earlier minibatches of the round carry over into the last is left out,
as one-step meta-gradients leave out everything before their step. The cost is one replayed update and its adjoint a
rollout.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from selftune import _tree
from selftune.agents.agent import Agent, AgentState
from selftune.agents.body import Actor, body
from selftune.agents.protection import mended
from selftune.agents.recipe import Recipe
from selftune.agents.restarting import rescued
from selftune.agents.rounds import Round, epochs_of_minibatches, some
from selftune.agents.senses import Senses, absorb, at_beginnings
from selftune.agents.settings import PPOSettings
from selftune.agents.updating import COMMON, actor_critic_spec, actor_critic_tuner, current_actor, with_axis
from selftune.agents.vocabulary import homes, rates_together
from selftune.errors import SettingError
from selftune.guards.trust import counting_all
from selftune.learning import Acted, LearnerState, StepInfo
from selftune.metaparams import values
from selftune.objectives import actor_critic_meta_loss, proximal_loss
from selftune.spaces import Space
from selftune.tuning import Meta, Tuner, TunerInfo
from selftune.types import Array, Bool, Int, Params, PRNGKey, Transitions

DEFAULTS = PPOSettings()
START = {"learning_rate": 5e-4, "critic_learning_rate": 5e-4, "entropy_cost": 3e-3}
"""Found on LunarLander-v3, one seed each, 1M steps: 4 epochs at a rate of 1e-3 and an entropy cost of 0.01 end near 190
and fall back from better; 10 epochs at these end at 249 and rise throughout. Rewards are scaled and advantages are not
standardized, so that an entropy cost weighs more here than it does elsewhere."""
RECIPE = Recipe(
    tune=("learning_rate", "critic_learning_rate", "discount", "trace_decay", "entropy_cost", "clip_range"),
    start={"learning_rate": 3e-3, "critic_learning_rate": 3e-3},
    reach=1.0,
    around=rescued,
)

NAMES = (*COMMON, "clip_range", "kl_cost")


class Last(NamedTuple):
    """The last update of a rollout, until the next rollout judges it."""

    ready: Bool[Array, ""]
    start: LearnerState
    """Before it."""
    acted: Acted
    """Its minibatch, and the factors that were in force."""


class Experience(NamedTuple):
    """What PPO remembers beside its parameters."""

    senses: Senses
    last: Last | tuple[()]
    """Nothing where nothing is differentiated."""


def ppo(
    observation_space: Space,
    action_space: Space,
    *,
    tune: Sequence[str] | None = None,
    init: Mapping[str, Any] | None = None,
    settings: PPOSettings = DEFAULTS,
    recipe: Recipe = RECIPE,
) -> Agent:
    """A self-tuning PPO agent (Schulman et al. 2017, https://arxiv.org/abs/1707.06347).

    Args:
        observation_space: What it sees.
        action_space: What it does, Discrete or a Box of one axis.
        tune: Metaparameters to learn; the recipe's when omitted, none when empty.
        init: Initial values by name. A `critic_learning_rate` that is not given starts at the `learning_rate`. What the
            recipe tunes is back within its `reach` of home in about ten rounds; to keep it elsewhere leave it out of
            `tune`, or give the recipe another `home`. Where all is lost and the agent starts anew, tuned rates begin at
            the recipe's `start`, the rest goes on from where it is.
        settings: What no gradient can move.
        recipe: How it is tuned.

    Raises:
        MetaParamError: A name or a value that makes no sense; the message says what can be tuned.
        UnsupportedSpaceError: Actions of another kind.
        SettingError: Environments that cannot be divided into the minibatches.
    """
    if settings.minibatches < 1 or settings.epochs < 1 or settings.num_envs % settings.minibatches:
        raise SettingError(
            f"ppo got {settings.num_envs} environments, {settings.minibatches} minibatches, {settings.epochs} epochs; "
            "expected at least one of each, and a number of environments that the minibatches divide."
        )
    given, recipe = rates_together(init), recipe.for_agent(action_space, tune)
    spec = actor_critic_spec(NAMES, tune, given, settings, recipe, START)
    parts = body(observation_space, action_space, settings)
    loss, meta_loss = proximal_loss(parts.model, settings.outer), actor_critic_meta_loss(parts.model, settings.outer)
    learning, tuning = actor_critic_tuner(spec, parts, loss, meta_loss, recipe, settings, START)
    way = (_whole if recipe.estimator else _judged)(tuning, parts.example, settings)

    def start(params: Params) -> LearnerState:
        return learning.init(params, values(spec))

    def begin(key: PRNGKey) -> AgentState:
        params_key, meta_key = jax.random.split(key)
        state = start(parts.init(params_key))
        meta = tuning.init(state, None, meta_key)
        return AgentState(state, meta, Experience(parts.senses(), way.begin(meta, state)))

    def actor(state: AgentState) -> Actor:
        return current_actor(tuning, parts, settings, state)

    def learn(state: AgentState, batch: Transitions, key: PRNGKey) -> tuple[AgentState, TunerInfo]:
        known, seen = parts.prepare(state.experience.senses, actor(state), batch)
        learned, meta, last, info = way.improve(state, seen, key)
        known = absorb(known, batch, info.steps.aux["value_loss"][-1])
        return AgentState(learned, meta, Experience(known, last)), info

    def cut(state: AgentState) -> AgentState:
        seen = state.experience._replace(senses=at_beginnings(state.experience.senses))
        return state._replace(experience=seen)

    counts = settings.num_envs, settings.length
    home = homes(spec, given, recipe.start, recipe.returning(START))
    agent = Agent(
        "ppo", spec, begin, start, actor, parts.rest, parts.act, parts.decide, learn, *counts, home=home, cut=cut
    )
    return mended(recipe.around(recipe, agent), ["reward"])


class _Way(NamedTuple):
    """How a round is learned from and tuned."""

    begin: Callable[[Meta, LearnerState], Last | tuple[()]]
    improve: Callable[[AgentState, Transitions, PRNGKey], tuple[LearnerState, Meta, Last | tuple[()], TunerInfo]]


def _judged(tuning: Tuner, example: Transitions, settings: PPOSettings) -> _Way:
    """The last update of a round is differentiated when the next rollout judges it."""

    def begin(meta: Meta, state: LearnerState) -> Last:
        minibatch = some(example, jnp.arange(settings.num_envs // settings.minibatches))
        _, acted, _ = jax.eval_shape(tuning.act, meta, state, minibatch)
        scale = jax.tree.map(lambda leaf: jnp.ones(leaf.shape, leaf.dtype), acted.scale)
        return Last(jnp.asarray(False), state, Acted(minibatch, scale))

    def judge(state: AgentState, seen: Transitions, key: PRNGKey) -> tuple[Meta, TunerInfo]:
        last = state.experience.last
        meta, _, info = tuning.update(state.meta, last.start, with_axis(last.acted), seen, key)
        meta = _tree.where(last.ready, meta, state.meta)
        guards = {name: jnp.where(last.ready, fired, 0) for name, fired in info.guards.items()}
        return meta, info._replace(eta=tuning.problem(state.learner).eta(meta.meta_params, seen), guards=guards)

    def descend(meta: Meta, state: AgentState, seen: Transitions, key: PRNGKey) -> tuple[LearnerState, Last, StepInfo]:
        def update(carry: tuple, chosen: Int[Array, " S"]) -> tuple[tuple, StepInfo]:
            state, _, _ = carry
            moved, acted, info = tuning.act(meta, state, some(seen, chosen))
            return (moved, state, acted.scale), info

        order = epochs_of_minibatches(key, settings.num_envs, settings.epochs, settings.minibatches)
        begun = (state.learner, state.learner, state.experience.last.acted.scale)
        (moved, start, scale), infos = jax.lax.scan(update, begun, order)
        return moved, Last(jnp.asarray(True), start, Acted(some(seen, order[-1]), scale)), infos

    def improve(state: AgentState, seen: Transitions, key: PRNGKey) -> tuple[LearnerState, Meta, Last, TunerInfo]:
        judge_key, order_key = jax.random.split(key)
        meta, info = judge(state, seen, judge_key)
        learned, last, steps = descend(meta, state, seen, order_key)
        whole = _tree.finite((learned, steps.loss))
        judged = state.experience.last._replace(ready=jnp.asarray(False))
        learned, last = _tree.where(whole, (learned, last), (state.learner, judged))
        guards = counting_all(info.guards, steps.scale) | {"numeric/round": jnp.where(whole, 0, 1)}
        return learned, meta, last, info._replace(steps=steps, guards=guards)

    return _Way(begin, improve)


def _whole(tuning: Tuner, example: Transitions, settings: PPOSettings) -> _Way:
    """Nothing is differentiated: the tuner sees the whole round as one update."""

    def improve(state: AgentState, seen: Transitions, key: PRNGKey) -> tuple[LearnerState, Meta, tuple[()], TunerInfo]:
        tune_key, order_key = jax.random.split(key)
        order = epochs_of_minibatches(order_key, settings.num_envs, settings.epochs, settings.minibatches)
        meta, learned, info = tuning.update(state.meta, state.learner, with_axis(Round(seen, order)), None, tune_key)
        return learned, meta, (), info

    return _Way(lambda meta, state: (), improve)
