"""Q-learning: the losses that agents of action values descend, and the loss their metaparameters are judged by.

All see a function `q(params, observation) -> [..., A]`, and in `frozen` the current parameters `online`, those of the
target network, `target`, and the `reward_scale` of the last update. The scale lies there because the judge is
differentiated in `eta`: it reads nothing of it but `epsilon`, so that no other metaparameter can improve its own judge.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp

from selftune.objectives.action_values import chosen, double_q_values, peng_returns, softened
from selftune.objectives.extremes import largest
from selftune.objectives.returns import Number, cut_at_boundaries, generalized_advantage, lambda_returns
from selftune.types import Array, Eta, Float, Frozen, Loss, Params, PyTree, Scalar, Transitions

ActionValues: TypeAlias = Callable[[Params, PyTree], Float[Array, "*batch A"]]
"""`q(params, observation) -> [..., A]`."""


class QJudge(NamedTuple):
    """The judge's own constants: what the user wants, as opposed to what the agent may change."""

    discount: float = 0.99
    trace_decay: float = 0.95
    softness: float = 0.1
    """Of the softened policy."""


class Unseen(NamedTuple):
    """What a judge of action values looks at."""

    replayed: Transitions
    """[n, S] stretches of any age."""
    recent: Transitions
    """[T, B] the newest rollout of the policy that is judged."""


def dqn_loss(q: ActionValues) -> Loss:
    """Double DQN on stretches [n, S] of a replay; each teaches the value of its first action.

    The target is a double-Q lambda-return that looks n steps ahead: `n` rewards and then a value as `trace_decay` goes
    to 1. It is not corrected for the policy having changed since. Its error is the Huber loss. Mnih et al. 2015; van
    Hasselt et al. 2016 (arXiv:1509.06461); n steps as in Hessel et al. 2018 (arXiv:1710.02298).

    Metaparameters it reads: `discount`, `trace_decay`, `reward_scale`.
    """

    def loss(params: Params, frozen: Frozen, eta: Eta, batch: Transitions) -> tuple[Scalar, dict[str, Scalar]]:
        target = _first_targets(q, frozen, batch, eta["discount"], eta["trace_decay"], eta["reward_scale"])
        value = _first_values(q, params, batch)
        return huber(target - value).mean(), {"value": value.mean()}

    return loss


def dqn_meta_loss(q: ActionValues, judge: QJudge) -> Loss:
    """The outer loss of DQN: the same error at the judge's own discount on other stretches, and a policy gradient.

    `batch` is `Unseen`. The updated network answers; the target network asks, held still. The policy gradient is what
    `epsilon` is judged by, which it reads from `eta` (`tuner(..., through={"eta"})`): exploration that found better
    actions than the greedy ones raises it. It sees the updated network held still: a policy that jumps with its
    values gives their learning rate nothing but noise (on CartPole it ran to 0.1 and the agent died).
    """

    def meta_loss(params: Params, frozen: Frozen, eta: Eta, batch: Unseen) -> tuple[Scalar, dict[str, Scalar]]:
        scale = frozen["reward_scale"]
        target = _first_targets(q, frozen, batch.replayed, judge.discount, judge.trace_decay, scale)
        value_loss = huber(target - _first_values(q, params, batch.replayed)).mean()
        policy_loss = _policy_loss(q, judge, frozen, eta["epsilon"], batch.recent)
        return value_loss + policy_loss, {"outer_value_loss": value_loss, "outer_policy_loss": policy_loss}

    return meta_loss


def q_lambda_loss(q: ActionValues) -> Loss:
    """Peng's Q(lambda) on a rollout [T, B]; the Huber loss of every action taken.

    Metaparameters it reads: `discount`, `trace_decay`, `reward_scale`.
    """

    def loss(params: Params, frozen: Frozen, eta: Eta, batch: Transitions) -> tuple[Scalar, dict[str, Scalar]]:
        target = _rollout_targets(q, frozen, batch, eta["discount"], eta["trace_decay"], eta["reward_scale"])
        value = chosen(q(params, batch.observation), batch.action)
        return huber(target - value).mean(), {"value": value.mean()}

    return loss


def q_lambda_meta_loss(q: ActionValues, judge: QJudge) -> Loss:
    """The outer loss of Q(lambda): that of `dqn_meta_loss`, both terms on one rollout [T, B] that came afterwards."""

    def meta_loss(params: Params, frozen: Frozen, eta: Eta, batch: Transitions) -> tuple[Scalar, dict[str, Scalar]]:
        scale = frozen["reward_scale"]
        target = _rollout_targets(q, frozen, batch, judge.discount, judge.trace_decay, scale)
        value_loss = huber(target - chosen(q(params, batch.observation), batch.action)).mean()
        policy_loss = _policy_loss(q, judge, frozen, eta["epsilon"], batch)
        return value_loss + policy_loss, {"outer_value_loss": value_loss, "outer_policy_loss": policy_loss}

    return meta_loss


def huber(error: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
    """Half the square of errors up to 1, and linear beyond: one surprise does not outweigh a batch."""
    size = jnp.abs(error)
    return jnp.where(size <= 1.0, 0.5 * jnp.square(error), size - 0.5)


def _policy_loss(q: ActionValues, judge: QJudge, frozen: Frozen, epsilon: Number, recent: Transitions) -> Scalar:
    """The policy gradient of the softened policy on the newest rollout, of which only `epsilon` is differentiated.

    Advantages are those over the greedy value of the target network, and hold no `epsilon`.
    """
    log_probability = softened(q(frozen["online"], recent.observation), epsilon, judge.softness)
    v_tm1, v_t = (largest(q(frozen["target"], seen), -1) for seen in (recent.observation, recent.next_observation))
    discount_t, lambda_t = cut_at_boundaries(judge.discount, judge.trace_decay, recent.terminated, recent.truncated)
    reward = frozen["reward_scale"] * recent.reward
    advantage = _over_batch(generalized_advantage)(reward, discount_t, v_tm1, v_t, lambda_t)
    return -(chosen(log_probability, recent.action) * advantage).mean()


def _first_values(q: ActionValues, params: Params, batch: Transitions) -> Float[Array, " S"]:
    return chosen(q(params, jax.tree.map(lambda leaf: leaf[0], batch.observation)), batch.action[0])


def _first_targets(
    q: ActionValues, frozen: Frozen, batch: Transitions, discount: Number, trace_decay: Number, scale: Number
) -> Float[Array, " S"]:
    """Double-Q lambda-returns of stretches [n, S], as seen from their first step."""
    discount_t, lambda_t = cut_at_boundaries(discount, trace_decay, batch.terminated, batch.truncated)
    v_t = double_q_values(q(frozen["online"], batch.next_observation), q(frozen["target"], batch.next_observation))
    return _over_batch(lambda_returns)(scale * batch.reward, discount_t, v_t, lambda_t)[0]


def _rollout_targets(
    q: ActionValues, frozen: Frozen, batch: Transitions, discount: Number, trace_decay: Number, scale: Number
) -> Float[Array, "T B"]:
    """Peng's Q(lambda) returns of a rollout [T, B], bootstrapped from the target network."""
    discount_t, lambda_t = cut_at_boundaries(discount, trace_decay, batch.terminated, batch.truncated)
    q_t = q(frozen["target"], batch.next_observation)
    return _over_batch(peng_returns)(scale * batch.reward, discount_t, q_t, lambda_t)


def _over_batch(returns: Callable[..., Float[Array, " T"]]) -> Callable[..., Float[Array, "T B"]]:
    return jax.vmap(returns, in_axes=1, out_axes=1)
