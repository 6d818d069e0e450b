"""Advantage actor-critic: the loss an agent descends, and the loss its metaparameters are judged by.

Both see transitions [T, B] and functions of them. Three networks: `policy`; `critic`, which values the return under the
metaparameters; `outer_critic`, which values the return under the judge's own discount. Judged by the first critic, a
discount would be its own judge and collapse (Bonnet et al. 2022, https://arxiv.org/abs/2211.10550).
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from selftune.objectives.distributions import Distribution, categorical
from selftune.objectives.returns import cut_at_boundaries, generalized_advantage
from selftune.types import Array, Eta, Float, Frozen, Loss, Params, PyTree, Scalar, Transitions


class ActorCritic(NamedTuple):
    """The functions that actor-critic objectives are made of; `feedforward` makes them of plain networks."""

    policy: Callable[[Params, Transitions], PyTree]
    """`policy(params["policy"], batch)`: the distribution's parameters at every step, [T, B, ...]."""
    values: Callable[[Params, Transitions], tuple[Float[Array, "T B"], Float[Array, "T B"]]]
    """`values(params["critic"], batch) -> (v_tm1, v_t)`: of every observation and of its true successor."""
    distribution: Distribution = categorical


class Outer(NamedTuple):
    """The judge's own constants: what the user wants, as opposed to what the agent may change."""

    discount: float = 0.99
    trace_decay: float = 0.95
    entropy_cost: float = 0.0
    value_cost: float = 0.5
    divergence_cost: float = 0.0
    """Weight of the policy's divergence from the one before the update, `frozen["previous_policy"]`; 0 needs none."""


def feedforward(
    policy: Callable[[Params, PyTree], PyTree],
    value: Callable[[Params, PyTree], Float[Array, "*batch"]],
    distribution: Distribution = categorical,
) -> ActorCritic:
    """An actor-critic of two functions `policy(params, observation)` and `value(params, observation)`."""

    def values(params: Params, batch: Transitions) -> tuple[Float[Array, "T B"], Float[Array, "T B"]]:
        return value(params, batch.observation), value(params, batch.next_observation)

    return ActorCritic(lambda params, batch: policy(params, batch.observation), values, distribution)


def actor_critic_loss(model: ActorCritic, outer: Outer) -> Loss:
    """The inner loss of advantage actor-critic (A2C; Mnih et al. 2016, https://arxiv.org/abs/1602.01783).

    Metaparameters it reads: `discount`, `trace_decay`, `entropy_cost`, `value_cost`, `reward_scale`. Advantages are not
    standardized: as the critic comes to explain the returns, updates must become smaller, not noisier (on CartPole,
    dividing by the standard deviation of the batch costs a third of the final return).
    """

    def loss(params: Params, frozen: Frozen, eta: Eta, batch: Transitions) -> tuple[Scalar, dict[str, Scalar]]:
        batch = batch._replace(reward=eta["reward_scale"] * batch.reward)
        advantage = advantages(model, frozen["critic"], batch, eta["discount"], eta["trace_decay"])
        chosen, entropy = policy_terms(model, params["policy"], batch)
        policy_loss = -(chosen * advantage).mean()
        value_loss = critic_loss(model, params["critic"], frozen["critic"], batch, advantage)
        total = policy_loss + eta["value_cost"] * value_loss - eta["entropy_cost"] * entropy
        total += outer_critic_loss(model, outer, params, frozen, batch)
        return total, {"policy_loss": policy_loss, "value_loss": value_loss, "entropy": entropy}

    return loss


def actor_critic_meta_loss(model: ActorCritic, outer: Outer) -> Loss:
    """The outer loss: a policy gradient on transitions that the update did not see, under the judge's own critic.

    The critic's term, `value_cost` times the error of the outer critic on the same transitions, is what the critics'
    learning rate is judged by. The outer critic's targets do not depend on the metaparameters' discount, so that this
    term moves no discount; it does not reach the policy either.
    """

    def meta_loss(params: Params, frozen: Frozen, eta: Eta, batch: Transitions) -> tuple[Scalar, dict[str, Scalar]]:
        batch = batch._replace(reward=eta["reward_scale"] * batch.reward)
        advantage = advantages(model, frozen["outer_critic"], batch, outer.discount, outer.trace_decay)
        return judgement(model, outer, params, frozen, batch, advantage, advantage)

    return meta_loss


def judgement(
    model: ActorCritic,
    outer: Outer,
    params: Params,
    frozen: Frozen,
    batch: Transitions,
    advantage: Float[Array, "T B"],
    error: Float[Array, "T B"],
) -> tuple[Scalar, dict[str, Scalar]]:
    """The terms of an outer loss: policy gradient with `advantage`, entropy, the outer critic's `error`, divergence."""
    chosen, entropy = policy_terms(model, params["policy"], batch)
    policy_loss = -(chosen * advantage).mean()
    value_loss = critic_loss(model, params["outer_critic"], frozen["outer_critic"], batch, error)
    total = policy_loss - outer.entropy_cost * entropy + outer.value_cost * value_loss
    if outer.divergence_cost:
        before = {"policy": frozen["previous_policy"]}
        total += outer.divergence_cost * policy_divergence(model)(before, params, batch)
    return total, {"outer_policy_loss": policy_loss, "outer_value_loss": value_loss}


def policy_divergence(model: ActorCritic) -> Callable[[Params, Params, Transitions], Scalar]:
    """`distance(old, new, batch)`: mean Kullback-Leibler divergence from the old policy to the new."""

    def distance(old: Params, new: Params, batch: Transitions) -> Scalar:
        before, after = (model.policy(params["policy"], batch) for params in (old, new))
        return model.distribution.divergence(before, after).mean()

    return distance


def surrogate_value(model: ActorCritic, outer: Outer) -> Callable[[Params, Params, Transitions], Scalar]:
    """`value(old, new, batch)`: what the new policy would earn, from the actions of the one that acted.

    The weighted importance-sampling estimate `sum(w A) / sum(w)`, `w` the ratio of new to acting probability of one
    step's action, `A` the advantage under the judge's constants and the old outer critic. Its ranking of policies has
    far less variance than its values. Paul et al. 2019 (https://arxiv.org/abs/1902.06583) weigh the returns of short
    trajectories by the products of their ratios; here credit beyond the rollout comes from the critic.
    """

    def value(old: Params, new: Params, batch: Transitions) -> Scalar:
        advantage = advantages(model, old["outer_critic"], batch, outer.discount, outer.trace_decay)
        chosen, _ = policy_terms(model, new["policy"], batch)
        weight = jax.nn.softmax((chosen - batch.notes["log_probability"]).ravel())
        return (weight * advantage.ravel()).sum()

    return value


def advantages(
    model: ActorCritic, critic: Params, batch: Transitions, discount: Scalar | float, trace_decay: Scalar | float
) -> Float[Array, "T B"]:
    """Generalized advantages [T, B] under one critic, one discount and one trace decay."""
    discount_t, lambda_t = cut_at_boundaries(discount, trace_decay, batch.terminated, batch.truncated)
    v_tm1, v_t = model.values(critic, batch)
    over_batch = jax.vmap(generalized_advantage, in_axes=1, out_axes=1)
    return over_batch(batch.reward, discount_t, v_tm1, v_t, lambda_t)


def policy_terms(model: ActorCritic, policy: Params, batch: Transitions) -> tuple[Float[Array, "T B"], Scalar]:
    """Log probability [T, B] of the actions taken, and mean entropy."""
    parameters = model.policy(policy, batch)
    chosen = model.distribution.log_probability(parameters, batch.action)
    return chosen, model.distribution.entropy(parameters).mean()


def critic_loss(
    model: ActorCritic, params: Params, frozen: Params, batch: Transitions, error: Float[Array, "T B"]
) -> Scalar:
    """Half the squared distance to the target, which is the frozen value plus its `error`."""
    target = model.values(frozen, batch)[0] + error
    return 0.5 * jnp.square(target - model.values(params, batch)[0]).mean()


def outer_critic_loss(model: ActorCritic, outer: Outer, params: Params, frozen: Frozen, batch: Transitions) -> Scalar:
    """What the judge's own critic learns: the return under the judge's constants."""
    error = advantages(model, frozen["outer_critic"], batch, outer.discount, outer.trace_decay)
    return critic_loss(model, params["outer_critic"], frozen["outer_critic"], batch, error)
