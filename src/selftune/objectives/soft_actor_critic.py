"""Soft actor-critic: the loss an agent descends, and the loss its metaparameters are judged by.

Haarnoja et al. 2018 (https://arxiv.org/abs/1801.01290 and https://arxiv.org/abs/1812.05905). Parameters are `policy`,
`critics` (two, stacked) and `log_temperature`; held still are the same three, and `target_critics`. Each of the loss's
three terms moves its own part and sees the others held still. A batch is a `SoftBatch`: rows of a replay, and the noise
of the policy's draws.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp

from selftune.objectives.distributions import Gaussian, gaussian
from selftune.objectives.extremes import smallest
from selftune.objectives.squashing import squashed_gaussian, squashed_mode
from selftune.types import Array, Eta, Float, Frozen, Loss, Params, PyTree, Scalar, Transitions


class SoftActorCritic(NamedTuple):
    """The functions that soft actor-critic objectives are made of."""

    policy: Callable[[Params, PyTree], Gaussian]
    """`policy(params, observation)`: the distribution of actions before they are squashed."""
    critics: Callable[[Params, PyTree, Float[Array, "S A"]], Float[Array, "2 S"]]
    """`critics(params, observation, action)`: two opinions of what the action is worth."""


class SoftBatch(NamedTuple):
    """The data of one update, its randomness included."""

    rows: Transitions
    """[S, ...]"""
    noise: Float[Array, "2 S A"]
    """Standard normal: of the actions drawn where the rows begin, and of those drawn where they lead."""


def soft_actor_critic_loss(model: SoftActorCritic) -> Loss:
    """The inner loss of soft actor-critic: critics, policy and temperature in one sum.

    Metaparameters it reads: `discount`, `reward_scale`, `temperature`, `target_entropy`. The coefficient of the entropy
    is `temperature * exp(log_temperature)`, where `log_temperature` is learned by dual descent so that the policy's
    entropy comes to be `target_entropy`. The dual's loss is linear in the logarithm: one unit of entropy too little is
    one unit of slope, however high the temperature already is.
    """

    def loss(params: Params, frozen: Frozen, eta: Eta, batch: SoftBatch) -> tuple[Scalar, dict[str, Scalar]]:
        rows, (noise, _) = batch
        coefficient = _coefficient(frozen, eta)
        td_loss = _td_loss(model, params["critics"], frozen, eta["discount"], eta, batch)

        action, log_probability = squashed_gaussian(model.policy(params["policy"], rows.observation), noise)
        worth = smallest(model.critics(frozen["critics"], rows.observation, action), 0)
        policy_loss = (coefficient * log_probability - worth).mean()

        _, held_log_probability = squashed_gaussian(model.policy(frozen["policy"], rows.observation), noise)
        entropy = -held_log_probability.mean()
        temperature_loss = params["log_temperature"] * (entropy - eta["target_entropy"])

        total = td_loss + policy_loss + temperature_loss
        aux = {"td_loss": td_loss, "policy_loss": policy_loss, "entropy": entropy, "entropy_coefficient": coefficient}
        return total, aux

    return loss


def soft_actor_critic_meta_loss(model: SoftActorCritic, outer_discount: float) -> Loss:
    """The outer loss: what the policy's actions are worth without any bonus, and how wrong the critics are.

    The policy is judged by the critics held still, at its likeliest action and without entropy, as in Meta-SAC (Wang
    and Ni 2020, https://arxiv.org/abs/2007.01932): an entropy bonus would let the temperature praise itself. The
    critics are judged by their TD error at `outer_discount`, against targets held still: a discount cannot make its
    judge's task easier, it is only drawn to where it predicts best what the user cares about.
    """

    def meta_loss(params: Params, frozen: Frozen, eta: Eta, batch: SoftBatch) -> tuple[Scalar, dict[str, Scalar]]:
        observation = batch.rows.observation
        action = squashed_mode(model.policy(params["policy"], observation))
        worth = smallest(model.critics(frozen["critics"], observation, action), 0).mean()
        td_loss = _td_loss(model, params["critics"], frozen, outer_discount, eta, batch)
        return td_loss - worth, {"outer_worth": worth, "outer_td_loss": td_loss}

    return meta_loss


def soft_policy_divergence(model: SoftActorCritic) -> Callable[[Params, Params, SoftBatch], Scalar]:
    """`distance(old, new, batch)`: mean Kullback-Leibler divergence from the old policy to the new.

    That of the Gaussians before the squashing: a map that is one to one leaves the divergence as it is.
    """

    def distance(old: Params, new: Params, batch: SoftBatch) -> Scalar:
        before, after = (model.policy(params["policy"], batch.rows.observation) for params in (old, new))
        return gaussian.divergence(before, after).mean()

    return distance


def _td_loss(
    model: SoftActorCritic, critics: Params, frozen: Frozen, discount: Scalar | float, eta: Eta, batch: SoftBatch
) -> Scalar:
    """Half the squared distance of both critics to the soft value that is held still, summed over the two."""
    rows, (_, noise) = batch
    action, log_probability = squashed_gaussian(model.policy(frozen["policy"], rows.next_observation), noise)
    worth = smallest(model.critics(frozen["target_critics"], rows.next_observation, action), 0)
    soft_value = worth - _coefficient(frozen, eta) * log_probability
    target = eta["reward_scale"] * rows.reward + jnp.where(rows.terminated, 0.0, discount) * soft_value
    error = target[None] - model.critics(critics, rows.observation, rows.action)
    return 0.5 * jnp.square(error).mean(axis=1).sum()


def _coefficient(frozen: Frozen, eta: Eta) -> Scalar:
    """Worth of one nat of entropy."""
    return eta["temperature"] * jnp.exp(frozen["log_temperature"])
