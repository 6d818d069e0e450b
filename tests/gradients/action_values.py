"""Rows of the gradient matrix that value actions: DQN and Q(lambda), whose exploration the judge sees, and SAC."""

import jax
import jax.numpy as jnp
import optax

from selftune.learning import Memory
from selftune.metaparams import MetaParam, free, one_minus, unit
from selftune.objectives import Gaussian
from selftune.objectives.q_learning import (
    QJudge,
    Unseen,
    dqn_loss,
    dqn_meta_loss,
    q_lambda_loss,
    q_lambda_meta_loss,
)
from selftune.objectives.soft_actor_critic import (
    SoftActorCritic,
    SoftBatch,
    soft_actor_critic_loss,
    soft_actor_critic_meta_loss,
)

from .parts import Objective, logits, params, transitions, value

JUDGE = QJudge(discount=0.95, trace_decay=0.9, softness=0.5)


def deep_q() -> Objective:
    """Double DQN on stretches, judged on others and on the newest rollout."""
    inner = dqn_loss(logits)
    batches = _stretches()
    return Objective(
        _spec(),
        params(),
        Unseen(batches, jax.tree.map(lambda leaf: leaf[:, ::-1], batches)),
        lambda params, frozen, eta, batch: inner(params, frozen, eta, batch.replayed),
        dqn_meta_loss(logits, JUDGE),
        freeze=_freeze,
        memory=_TARGET,
        through=("eta",),
    )


def traced_q() -> Objective:
    """Peng's Q(lambda) on rollouts."""
    loss, meta_loss = q_lambda_loss(logits), q_lambda_meta_loss(logits, JUDGE)
    return Objective(_spec(), params(), _stretches(), loss, meta_loss, freeze=_freeze, memory=_TARGET, through=("eta",))


def soft() -> Objective:
    """SAC with one action, a learned temperature, and slow critics."""

    def policy(params, observation):
        out = logits(params, observation)
        return Gaussian(out[..., :1], 0.3 * out[..., 1:])

    def critics(params, observation, action):
        return jax.vmap(value, in_axes=(0, None))(params, observation + action)

    model = SoftActorCritic(policy, critics)
    rows = transitions()
    rows = rows._replace(action=jnp.tanh(jax.random.normal(jax.random.key(5), (*rows.reward.shape, 1))))
    noise = jax.random.normal(jax.random.key(6), (len(rows.reward), 2, *rows.reward.shape[1:], 1))
    networks = {
        "policy": params(0),
        "critics": jax.tree.map(lambda *leaves: jnp.stack(leaves), params(1), params(2)),
        "log_temperature": jnp.asarray(0.1),
    }
    spec = {
        "discount": MetaParam(0.9, one_minus()),
        "reward_scale": MetaParam(2.0),
        "temperature": MetaParam(0.5),
        "target_entropy": MetaParam(-1.0, free),
        "target_mix": MetaParam(0.3, unit),
    }
    memory = Memory(
        init=lambda params, eta: params["critics"],
        update=lambda eta, slow, params, batch: optax.incremental_update(params["critics"], slow, eta["target_mix"]),
    )
    return Objective(
        spec,
        networks,
        SoftBatch(rows, noise),
        soft_actor_critic_loss(model),
        soft_actor_critic_meta_loss(model, 0.95),
        freeze=lambda state: {**state.params, "target_critics": state.memory},
        memory=memory,
    )


ACTION_VALUES = {row.__name__: row for row in (deep_q, traced_q, soft)}


def _spec():
    return {
        "discount": MetaParam(0.9, one_minus()),
        "trace_decay": MetaParam(0.8, one_minus(1e-3, 1.0)),
        "reward_scale": MetaParam(2.0),
        "epsilon": MetaParam(0.3, unit),
        "target_mix": MetaParam(0.3, unit),
    }


def _stretches():
    """[K + 1, T, 2]"""
    return jax.tree.map(lambda leaf: jnp.stack([leaf, leaf[::-1]], axis=2), transitions())


def _freeze(state):
    return {"online": state.params, **state.memory}


_TARGET = Memory(
    init=lambda params, eta: {
        "target": jax.tree.map(lambda leaf: 0.9 * leaf, params),
        "reward_scale": jnp.asarray(2.0),
    },
    update=lambda eta, memory, params, batch: {
        "target": optax.incremental_update(params, memory["target"], eta["target_mix"]),
        "reward_scale": eta["reward_scale"],
    },
)
