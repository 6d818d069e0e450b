"""A2C: synchronous advantage actor-critic for discrete actions.

Every rollout first judges the update before it (it is fresh, on-policy, and was not trained on), then makes the next.
Mnih et al. 2016 (https://arxiv.org/abs/1602.01783); self-tuned as in Xu et al. 2018 and Zahavy et al. 2020, with the
outer critic of Bonnet et al. 2022.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import jax
import jax.numpy as jnp
import optax

from selftune.agents.agent import Agent, AgentState
from selftune.agents.recipe import Recipe
from selftune.agents.vocabulary import VOCABULARY, bounds, build_spec
from selftune.estimators import truncated
from selftune.learning import LearnerState, Memory, learner
from selftune.metaparams import values
from selftune.networks import mlp
from selftune.objectives import ActorCritic, Outer, actor_critic_loss, actor_critic_meta_loss, policy_divergence
from selftune.optim import adam, clip_by_global_norm
from selftune.tuning import TunerInfo, tuner
from selftune.types import Array, Eta, Params, PRNGKey, PyTree, Scalar, Transitions


@dataclass(frozen=True)
class A2CSettings:
    """What no gradient can move."""

    num_envs: int = 16
    """Parallel environments."""
    rollout_length: int = 32
    """Steps of each environment between two updates."""
    hidden: tuple[int, ...] = (64, 64)
    """Widths of the hidden layers of policy and critics."""
    outer_discount: float = 0.99
    """Discount of the judge: how far ahead the user cares."""
    outer_trace_decay: float = 0.95
    """Trace decay of the judge."""
    outer_entropy_cost: float = 0.0
    """How much the judge values exploration for its own sake."""
    outer_value_cost: float = 0.5
    """Weight of the outer critic's error in the judgement."""
    outer_divergence_cost: float = 0.0
    """How much the judge minds that an update moves the policy (the KL term of Zahavy et al. 2020)."""


DEFAULTS = A2CSettings()
RECIPE = Recipe()

NAMES = tuple(VOCABULARY)
"""The metaparameters of A2C: all of the vocabulary."""


def a2c(
    observation_shape: Sequence[int],
    num_actions: int,
    *,
    tune: Sequence[str] | None = None,
    init: Mapping[str, Any] | None = None,
    settings: A2CSettings = DEFAULTS,
    recipe: Recipe = RECIPE,
) -> Agent:
    """A self-tuning A2C agent.

    Args:
        observation_shape: Shape of one observation.
        num_actions: Number of actions, `A`.
        tune: Metaparameters to learn; the recipe's when omitted, none when empty.
        init: Initial values by name. A `critic_learning_rate` that is not given starts at the `learning_rate`.
        settings: What no gradient can move.
        recipe: How it is tuned.

    Raises:
        MetaParamError: A name or a value that makes no sense; the message says what can be tuned.
    """
    init = dict(init or {})
    if "learning_rate" in init:
        init.setdefault("critic_learning_rate", init["learning_rate"])
    spec = build_spec(NAMES, recipe.tune if tune is None else tune, init, [field.name for field in fields(settings)])

    policy = mlp(observation_shape, num_actions, settings.hidden, out_scale=0.01)
    critic = mlp(observation_shape, 1, settings.hidden, out_scale=0.01)
    outer = Outer(
        settings.outer_discount,
        settings.outer_trace_decay,
        settings.outer_entropy_cost,
        settings.outer_value_cost,
        settings.outer_divergence_cost,
    )
    model = ActorCritic(policy.apply, lambda params, observation: critic.apply(params, observation)[..., 0])

    def rule(eta: Eta) -> optax.GradientTransformation:
        def descend(rate: Scalar | float) -> optax.GradientTransformation:
            clip = clip_by_global_norm(eta["max_grad_norm"])
            return optax.chain(clip, adam(rate, eta["adam_b1"], eta["adam_b2"], eta["adam_eps"]))

        rules: dict[Hashable, optax.GradientTransformation] = {
            "policy": descend(eta["learning_rate"]),
            "critic": descend(eta["critic_learning_rate"]),
            "outer_critic": descend(eta["critic_learning_rate"]),
        }
        return optax.partition(rules, {name: name for name in rules})

    distance = policy_divergence(model)
    learning = learner(actor_critic_loss(model, outer), rule, freeze=_with_previous_policy, memory=LAST_TWO_POLICIES)
    tuning = tuner(
        spec,
        learning,
        actor_critic_meta_loss(model, outer),
        truncated(1),
        recipe.optimizer(),
        recipe.guards(spec, distance, _policy_only, bounds(spec)),
    )

    def begin(key: PRNGKey) -> AgentState:
        keys = jax.random.split(key, 4)
        params = {"policy": policy.init(keys[0]), "critic": critic.init(keys[1]), "outer_critic": critic.init(keys[2])}
        state = learning.init(params, values(spec))
        return AgentState(state, tuning.init(state, example, keys[3]))

    def act(params: Params, observation: PyTree, key: PRNGKey) -> Array:
        return jax.random.categorical(key, model.policy(params["policy"], observation))

    def learn(state: AgentState, batch: Transitions, key: PRNGKey) -> tuple[AgentState, TunerInfo]:
        batches = jax.tree.map(lambda leaf: leaf[None], batch)
        meta, learned, info = tuning.update(state.meta, state.learner, batches, None, key)
        return AgentState(learned, meta), info

    example = _empty_batch(observation_shape, settings)
    return Agent("a2c", spec, begin, act, learn, settings.num_envs, settings.rollout_length)


LAST_TWO_POLICIES = Memory(
    init=lambda params, eta: {"now": params["policy"], "before": params["policy"]},
    update=lambda eta, memory, params, batch: {"now": params["policy"], "before": memory["now"]},
)


def _with_previous_policy(state: LearnerState) -> PyTree:
    """The current parameters held still, and the policy before the last update, for the judge's divergence term."""
    return {**state.params, "previous_policy": state.memory["before"]}


def _policy_only(factor: Scalar) -> PyTree:
    """The trust region's factor on the policy's update; the critics' are left as they are."""
    return {"policy": factor, "critic": jnp.ones(()), "outer_critic": jnp.ones(())}


def _empty_batch(observation_shape: Sequence[int], settings: A2CSettings) -> Transitions:
    """One batch of zeros, [1, T, B]: an example of the shapes."""
    shape = (1, settings.rollout_length, settings.num_envs)
    observation, flag = jnp.zeros((*shape, *observation_shape)), jnp.zeros(shape, bool)
    return Transitions(observation, jnp.zeros(shape, jnp.int32), jnp.zeros(shape), flag, flag, observation)
