"""Proximal policy optimization: several updates from one rollout, none of which leaves the policy that acted behind.

Schulman et al. 2017 (https://arxiv.org/abs/1707.06347), with two changes that make its constants learnable. Advantages
are computed inside the loss, from the critic as it stands at each minibatch, so that every update knows how it depends
on the discount and the trace decay. And the clip is smooth: under the hard one the range only decides which samples
count, so that the derivative of an update with respect to it is zero wherever there is one.
"""

import jax.numpy as jnp

from selftune.objectives.actor_critic import (
    ActorCritic,
    Outer,
    advantages,
    critic_loss,
    outer_critic_loss,
    policy_terms,
)
from selftune.types import Array, Eta, Float, Frozen, Loss, Params, Scalar, Transitions


def proximal_loss(model: ActorCritic, outer: Outer) -> Loss:
    """The inner loss of PPO on transitions [T, B] whose notes hold the acting policy's `log_probability`.

    Metaparameters it reads: `discount`, `trace_decay`, `clip_range`, `kl_cost`, `entropy_cost`, `value_cost`,
    `reward_scale`. The divergence from the acting policy is estimated from its own actions by `r - 1 - log r`, `r` the
    ratio of new to old probability, which is never negative.
    """

    def loss(params: Params, frozen: Frozen, eta: Eta, batch: Transitions) -> tuple[Scalar, dict[str, Scalar]]:
        batch = batch._replace(reward=eta["reward_scale"] * batch.reward)
        advantage = advantages(model, frozen["critic"], batch, eta["discount"], eta["trace_decay"])
        chosen, entropy = policy_terms(model, params["policy"], batch)
        log_ratio = chosen - batch.notes["log_probability"]
        ratio = jnp.exp(log_ratio)
        clipped = softly_clipped(ratio, eta["clip_range"])
        policy_loss = -jnp.minimum(ratio * advantage, clipped * advantage).mean()
        divergence = (ratio - 1.0 - log_ratio).mean()
        value_loss = critic_loss(model, params["critic"], frozen["critic"], batch, advantage)
        total = policy_loss + eta["kl_cost"] * divergence
        total += eta["value_cost"] * value_loss - eta["entropy_cost"] * entropy
        total += outer_critic_loss(model, outer, params, frozen, batch)
        aux = {"policy_loss": policy_loss, "value_loss": value_loss, "entropy": entropy, "divergence": divergence}
        return total, aux | {"clipped": (jnp.abs(ratio - 1.0) > eta["clip_range"]).mean()}

    return loss


def softly_clipped(ratio: Float[Array, "T B"], clip_range: Scalar | float) -> Float[Array, "T B"]:
    """`1 + clip_range * tanh((ratio - 1) / clip_range)`: the ratio where it is near 1, at most `clip_range` from it."""
    return 1.0 + clip_range * jnp.tanh((ratio - 1.0) / clip_range)
