"""What the actor-critic agents share in learning: their spec, their update rule, their tuner, their meters."""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import fields
from typing import Any

import jax
import jax.numpy as jnp
import optax

from selftune.agents.agent import AgentState
from selftune.agents.body import Actor, Body
from selftune.agents.recipe import Case, Descent, Recipe
from selftune.agents.rounds import rollout_of, whole_round
from selftune.agents.senses import CONTEXT, context
from selftune.agents.settings import ActorCriticSettings
from selftune.agents.vocabulary import bounds, build_spec, priors
from selftune.errors import SettingError
from selftune.estimators import truncated
from selftune.learning import Learner, LearnerState, Memory, learner
from selftune.metaparams import MetaParam, Spec, contextual, values
from selftune.objectives import policy_divergence
from selftune.objectives.actor_critic import surrogate_value
from selftune.tuning import Tuner, tuner
from selftune.types import Eta, Loss, PyTree, Rule, Scalar, Transitions

COMMON = (
    "learning_rate",
    "critic_learning_rate",
    "discount",
    "trace_decay",
    "entropy_cost",
    "value_cost",
    "max_grad_norm",
    "reward_scale",
    "adam_b1",
    "adam_b2",
    "adam_eps",
    "gradient_floor",
)
"""Metaparameters that every actor-critic agent has."""


def actor_critic_spec(
    names: Sequence[str],
    tune: Sequence[str] | None,
    init: Mapping[str, Any],
    settings: ActorCriticSettings,
    recipe: Recipe,
    own: Mapping[str, float],
) -> dict[str, MetaParam | Any]:
    """The spec of an actor-critic agent."""
    scopes = dict.fromkeys(settings.contextual, contextual(CONTEXT))
    fixed = [field.name for field in fields(settings)]
    if recipe.estimator is not None and scopes and recipe.chosen(tune):
        raise SettingError(f"contextual = {settings.contextual}: only gradients can learn a function; leave it out.")
    return build_spec(names, recipe.chosen(tune), init, fixed, recipe.starting(own, tune), scopes)


def actor_critic_tuner(
    spec: Spec,
    body: Body,
    loss: Loss,
    meta_loss: Loss,
    recipe: Recipe,
    settings: ActorCriticSettings,
    own: Mapping[str, float],
) -> tuple[Learner, Tuner]:
    """The learner of an actor-critic, and the tuner around it.

    Where the recipe has an estimator of its own, the tuner is given `Round`s: all updates from a rollout are one.
    """
    far, worth = policy_divergence(body.model), surrogate_value(body.model, settings.outer)
    policy = jax.eval_shape(body.init, jax.random.key(0))["policy"]
    rule = actor_critic_rule(recipe.descend, sum(leaf.size for leaf in jax.tree.leaves(policy)))
    learning = learner(loss, rule, freeze=_with_previous_policy, memory=LAST_TWO_POLICIES)
    case = Case(
        spec,
        bounds(spec),
        priors(spec, recipe.returning(own)),
        distance=lambda old, new, batch: far(old, new, rollout_of(batch)),
        part=_policy_only,
        value=lambda before, after, batch: worth(before.params, after.params, _as_learned(rollout_of(batch), spec)),
        updates=-(-settings.lifetime // (settings.num_envs * settings.length)),
    )
    tuning = tuner(
        spec,
        whole_round(learning) if recipe.estimator else learning,
        meta_loss,
        recipe.estimator(case) if recipe.estimator else truncated(1),
        recipe.optimizer(recipe, case),
        recipe.guards(recipe, case),
        context=lambda batch: rollout_of(batch).notes["context"],
    )
    return learning, tuning


def _as_learned(rollout: Transitions, spec: Spec) -> Transitions:
    """With rewards on the scale that the critics know."""
    return rollout._replace(reward=values(spec)["reward_scale"] * rollout.reward)


def actor_critic_rule(descend: Descent, size: int) -> Rule:
    """One rule for the policy at its rate, and for both critics at theirs; each sees its own gradient alone.

    Adam makes steps of one length from gradients of any length: a policy that has nothing left to learn is moved by
    noise as far as a beginner by what it learns. A policy gradient shorter than `gradient_floor` makes shorter ones,
    whatever the network's width: the floor is a norm, and Adam's ε, which is added to each entry's root mean square,
    is that norm spread over all `size` entries.

    Args:
        descend: What moves each network.
        size: Number of the policy's parameters.
    """

    def rule(eta: Eta) -> optax.GradientTransformation:
        floor = eta["gradient_floor"] / math.sqrt(size)
        rules: dict[Hashable, optax.GradientTransformation] = {
            "policy": descend(eta["learning_rate"], {**eta, "adam_eps": eta["adam_eps"] + floor}),
            "critic": descend(eta["critic_learning_rate"], eta),
            "outer_critic": descend(eta["critic_learning_rate"], eta),
        }
        return optax.partition(rules, {name: name for name in rules})

    return rule


def current_actor(tuning: Tuner, body: Body, settings: ActorCriticSettings, state: AgentState) -> Actor:
    """What acting needs, with the metaparameters as they stand."""
    known, reward = state.experience.senses, jnp.zeros((1, 1))
    moment = body.example._replace(notes={"context": context(known, reward, settings.lifetime)})
    eta = tuning.problem(state.learner).eta(state.meta.meta_params, moment)
    return body.actor(state.learner.params, known, eta)


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


def with_axis(batch: PyTree) -> PyTree:
    """A batch as a window of one update."""
    return jax.tree.map(lambda leaf: leaf[None], batch)
