"""Rows of the gradient matrix that act: V-trace, PPO, continuous actions, a recurrent policy.

The acting policy is noted at some distance from the learning one, so that importance ratios lie on both sides of every
clip.
"""

import jax
import jax.numpy as jnp

from selftune.metaparams import MetaParam, interval, one_minus, unit
from selftune.networks.recurrent import gru
from selftune.objectives import (
    ActorCritic,
    Gaussian,
    Outer,
    actor_critic_loss,
    actor_critic_meta_loss,
    feedforward,
    gaussian,
    proximal_loss,
    vtrace_loss,
    vtrace_meta_loss,
)

from .parts import UPDATES, Objective, logits, params, transitions, value

OUTER = Outer(discount=0.95, trace_decay=0.9, entropy_cost=0.01)


def spec():
    """What every actor-critic loss reads."""
    return {
        "discount": MetaParam(0.9, one_minus()),
        "trace_decay": MetaParam(0.8, one_minus(1e-3, 1.0)),
        "entropy_cost": MetaParam(0.1),
        "value_cost": MetaParam(2.0),
        "reward_scale": MetaParam(5.0),
    }


def actor_critic() -> Objective:
    """The library's own: a policy, its critic and the judge's critic."""
    model = feedforward(logits, value)
    loss, meta_loss = actor_critic_loss(model, OUTER), actor_critic_meta_loss(model, OUTER)
    return Objective(spec(), _networks(), _batches(), loss, meta_loss)


def impala() -> Objective:
    """V-trace with leaky clips."""
    model = feedforward(logits, value)
    leaks = {"rho_mix": MetaParam(0.7, unit), "c_mix": MetaParam(0.6, unit)}
    batches = _noted(model, _batches())
    return Objective(spec() | leaks, _networks(), batches, vtrace_loss(model, OUTER), vtrace_meta_loss(model, OUTER))


def proximal() -> Objective:
    """PPO's clipped surrogate, with a divergence term."""
    model = feedforward(logits, value)
    own = {"clip_range": MetaParam(0.2, interval(0.01, 0.9)), "kl_cost": MetaParam(0.3)}
    batches = _noted(model, _batches())
    meta_loss = actor_critic_meta_loss(model, OUTER)
    return Objective(spec() | own, _networks(), batches, proximal_loss(model, OUTER), meta_loss)


def continuous() -> Objective:
    """Two continuous actions, with a learned spread."""

    def policy(params, observation):
        mean = logits(params["mean"], observation)
        return Gaussian(mean, jnp.broadcast_to(params["log_std"], mean.shape))

    model = feedforward(policy, value, gaussian)
    networks, batches = _networks(), _batches()
    networks["policy"] = {"mean": networks["policy"], "log_std": jnp.array([-0.5, 0.3])}
    action = jax.random.normal(jax.random.key(5), (*batches.action.shape, 2))
    batches = _noted(model, batches._replace(action=action), networks)
    own = {"clip_range": MetaParam(0.2, interval(0.01, 0.9)), "kl_cost": MetaParam(0.3)}
    meta_loss = actor_critic_meta_loss(model, OUTER)
    return Objective(spec() | own, networks, batches, proximal_loss(model, OUTER), meta_loss)


def recurrent() -> Objective:
    """A GRU that carries over steps and forgets at an episode's first; critics that are told what it carries."""
    network = gru((2,), 2, 3, (3,), 1.0)

    def policy(params, batch):
        start = batch.notes["carry"][0]
        return network.unroll(params, start, batch.observation, batch.notes["first"])[0]

    def values(params, batch):
        carries = batch.notes["carry"], batch.notes["carry_after"]
        moments = zip((batch.observation, batch.next_observation), carries, strict=True)
        v_tm1, v_t = (value(params, observation) + carry.sum(axis=-1) for observation, carry in moments)
        return v_tm1, v_t

    model, networks, batches = ActorCritic(policy, values), _networks(), _batches()
    networks["policy"] = network.init(jax.random.key(6))
    carry = jax.random.normal(jax.random.key(7), (*batches.reward.shape, 3))
    first = jnp.zeros(batches.reward.shape, bool).at[:, 2, 0].set(True)
    batches = batches._replace(notes={"carry": carry, "carry_after": 0.5 * carry, "first": first})
    loss, meta_loss = actor_critic_loss(model, OUTER), actor_critic_meta_loss(model, OUTER)
    return Objective(spec(), networks, batches, loss, meta_loss)


POLICIES = {row.__name__: row for row in (actor_critic, impala, proximal, continuous, recurrent)}


def _networks():
    return {name: params(seed) for seed, name in enumerate(("policy", "critic", "outer_critic"))}


def _batches():
    """[K + 1, T, 2]: two environments, one the other backwards."""
    return jax.tree.map(lambda leaf: jnp.stack([leaf, leaf[::-1]], axis=2), transitions())


def _noted(model, batches, networks=None):
    """Log probabilities of the actions under a policy nearby."""
    policy = jax.tree.map(lambda leaf: leaf + 0.1 * jnp.sin(7.0 * leaf), (networks or _networks())["policy"])

    def note(batch):
        return model.distribution.log_probability(model.policy(policy, batch), batch.action)

    noted = [note(jax.tree.map(lambda leaf, k=k: leaf[k], batches)) for k in range(UPDATES + 1)]
    return batches._replace(notes={"log_probability": jnp.stack(noted)})
