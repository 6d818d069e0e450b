"""What learns in SAC: its networks, the rule they move by, and the targets that follow them."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from selftune.learning import Learner, LearnerState, Memory, learner
from selftune.networks import mlp
from selftune.networks.network import flat
from selftune.objectives.distributions import Gaussian
from selftune.objectives.soft_actor_critic import SoftActorCritic, soft_actor_critic_loss
from selftune.objectives.squashing import bounded_gaussian
from selftune.optim import adam
from selftune.types import Array, Bool, Eta, Float, Params, PRNGKey, PyTree, Scalar


class SoftNetworks(NamedTuple):
    """The networks of SAC."""

    init: Callable[[PRNGKey], Params]
    """Parameters `policy`, `critics` (two, stacked along a leading axis) and `log_temperature`."""
    model: SoftActorCritic


class Taught(NamedTuple):
    """What SAC's updates leave behind beside its networks."""

    target_critics: Params
    """Polyak averages of the critics."""
    ever: Bool[Array, ""]
    """Whether there was any update. Who was never taught acts at random, whatever the replay holds; who begins with
    what another has learned does not."""


def soft_networks(observation_shape: Sequence[int], num_actions: int, hidden: Sequence[int]) -> SoftNetworks:
    """Perceptrons with rectified units: one for the policy, two for the critics.

    Args:
        observation_shape: Of one observation; the critics see it flattened, beside the action.
        num_actions: `A`.
        hidden: Widths of the hidden layers of each.
    """
    inputs = math.prod(observation_shape) + num_actions
    policy = mlp(observation_shape, 2 * num_actions, hidden, jax.nn.relu, out_scale=0.01)
    critic = mlp((inputs,), 1, hidden, jax.nn.relu)

    def init(key: PRNGKey) -> Params:
        policy_key, critic_key = jax.random.split(key)
        critics = jax.vmap(critic.init)(jax.random.split(critic_key, 2))
        return {"policy": policy.init(policy_key), "critics": critics, "log_temperature": jnp.zeros(())}

    def gaussian(params: Params, observation: PyTree) -> Gaussian:
        return bounded_gaussian(policy.apply(params, observation))

    def critics(params: Params, observation: Array, action: Float[Array, "S A"]) -> Float[Array, "2 S"]:
        """Both at once: one batched matrix product a layer."""
        seen = jnp.concatenate([flat(observation, observation_shape, action.dtype), action], axis=-1)
        return jax.vmap(critic.apply, in_axes=(0, None))(params, seen)[..., 0]

    return SoftNetworks(init, SoftActorCritic(gaussian, critics))


def soft_learner(model: SoftActorCritic) -> Learner:
    """SAC's inner update: one Adam with a rate for the critics and another for policy and temperature."""
    return learner(soft_actor_critic_loss(model), _rule, freeze=_freeze, memory=Memory(_begin, _follow))


def policy_only(factor: Scalar) -> PyTree:
    """The trust region's factor on the policy's update; the critics' and the temperature's are left as they are."""
    return {"policy": factor, "critics": jnp.ones(()), "log_temperature": jnp.ones(())}


def _rule(eta: Eta) -> optax.GradientTransformation:
    rate = eta["learning_rate"]
    rates = {"policy": rate, "critics": eta["critic_learning_rate"], "log_temperature": rate}
    return adam(rates, eta["adam_b1"], eta["adam_b2"], eta["adam_eps"])


def _begin(params: Params, eta: Eta) -> Taught:
    return Taught(params["critics"], jnp.zeros((), bool))


def _follow(eta: Eta, memory: Taught, params: Params, batch: PyTree) -> Taught:
    targets = optax.incremental_update(params["critics"], memory.target_critics, eta["target_mix"])
    return Taught(targets, jnp.ones((), bool))


def _freeze(state: LearnerState) -> PyTree:
    return {**state.params, "target_critics": state.memory.target_critics}
