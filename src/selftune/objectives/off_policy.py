"""V-trace actor-critic: the acting policy may be older than the learning one, and importance ratios make up for it.

Espeholt et al. 2018 (IMPALA, https://arxiv.org/abs/1802.01561), with the leaky clipping of STACX (Zahavy et al. 2020,
https://arxiv.org/abs/2002.12928), which makes the amount of clipping learnable.
"""

import jax
import jax.numpy as jnp

from selftune.objectives.actor_critic import ActorCritic, Outer, critic_loss, judgement, policy_terms
from selftune.objectives.returns import VTrace, cut_at_boundaries, vtrace
from selftune.types import Array, Eta, Float, Frozen, Loss, Params, Scalar, Transitions


def vtrace_loss(model: ActorCritic, outer: Outer) -> Loss:
    """The inner loss on transitions [T, B] whose notes hold the acting policy's `log_probability`.

    Metaparameters it reads: `discount`, `trace_decay`, `rho_mix`, `c_mix`, `entropy_cost`, `value_cost`,
    `reward_scale`.
    """

    def loss(params: Params, frozen: Frozen, eta: Eta, batch: Transitions) -> tuple[Scalar, dict[str, Scalar]]:
        batch = batch._replace(reward=eta["reward_scale"] * batch.reward)
        chosen, entropy = policy_terms(model, params["policy"], batch)
        ratio = _ratio(model, frozen, batch)
        corrected = _corrected(
            model, frozen["critic"], batch, ratio, eta["discount"], eta["trace_decay"], eta["rho_mix"], eta["c_mix"]
        )
        policy_loss = -(chosen * corrected.advantages).mean()
        value_loss = critic_loss(model, params["critic"], frozen["critic"], batch, corrected.errors)
        judged = _corrected(model, frozen["outer_critic"], batch, ratio, outer.discount, outer.trace_decay)
        outer_loss = critic_loss(model, params["outer_critic"], frozen["outer_critic"], batch, judged.errors)
        total = policy_loss + eta["value_cost"] * value_loss - eta["entropy_cost"] * entropy + outer_loss
        aux = {"policy_loss": policy_loss, "value_loss": value_loss, "entropy": entropy}
        return total, aux | {"importance_ratio": ratio.mean()}

    return loss


def vtrace_meta_loss(model: ActorCritic, outer: Outer) -> Loss:
    """The outer loss of `actor_critic_meta_loss`, corrected by importance ratios that are clipped wholly."""

    def meta_loss(params: Params, frozen: Frozen, eta: Eta, batch: Transitions) -> tuple[Scalar, dict[str, Scalar]]:
        batch = batch._replace(reward=eta["reward_scale"] * batch.reward)
        ratio = _ratio(model, frozen, batch)
        judged = _corrected(model, frozen["outer_critic"], batch, ratio, outer.discount, outer.trace_decay)
        return judgement(model, outer, params, frozen, batch, judged.advantages, judged.errors)

    return meta_loss


def _ratio(model: ActorCritic, frozen: Frozen, batch: Transitions) -> Float[Array, "T B"]:
    """Probability of each action under the current policy over that under the policy that acted."""
    chosen, _ = policy_terms(model, frozen["policy"], batch)
    return jnp.exp(chosen - batch.notes["log_probability"])


def _corrected(
    model: ActorCritic,
    critic: Params,
    batch: Transitions,
    ratio: Float[Array, "T B"],
    discount: Scalar | float,
    trace_decay: Scalar | float,
    rho_mix: Scalar | float = 1.0,
    c_mix: Scalar | float = 1.0,
) -> VTrace:
    discount_t, lambda_t = cut_at_boundaries(discount, trace_decay, batch.terminated, batch.truncated)
    v_tm1, v_t = model.values(critic, batch)

    def one(v_tm1: Array, v_t: Array, reward: Array, discount: Array, ratio: Array, lambda_: Array) -> VTrace:
        return vtrace(v_tm1, v_t, reward, discount, ratio, lambda_, rho_mix=rho_mix, c_mix=c_mix)

    return jax.vmap(one, in_axes=1, out_axes=1)(v_tm1, v_t, batch.reward, discount_t, ratio, lambda_t)
