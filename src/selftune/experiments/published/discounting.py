"""The discounting chain: who judges a discount by a critic of that same discount, learns to be myopic.

Bonnet et al. 2022 (https://arxiv.org/abs/2211.10550) and their code (instadeepai/outer-value-function-meta-rl): a
linear softmax policy, the true value functions in place of learned critics, one-step temporal differences, a discount
learned by the meta-gradient of one update. Judged by the value under the learned discount, the discount falls to its
bound and the policy takes what pays at once; judged by the value under the discount 1, it rises to 1, and the chain
that pays a tenth more after 30 steps wins.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from selftune.envs.worlds.discounting import HORIZONS, LENGTH, Params as Physics, observe, pays
from selftune.estimators import truncated
from selftune.experiments.published.measuring import Found, row_of_runs
from selftune.experiments.records import Row
from selftune.learning import LearnerState, Memory, learner
from selftune.metaparams import MetaParam, interval, values
from selftune.objectives import actor_critic, feedforward
from selftune.runner.progress import progress
from selftune.tuning import tuner
from selftune.types import Array, Eta, Float, Frozen, Int, Params, PRNGKey, Scalar, Transitions

EPISODES = 128
"""In a batch, each whole."""
LEARNING_RATE, META_LEARNING_RATE, ENTROPY_COST = 0.5, 0.1, 0.005
DISCOUNT = MetaParam(0.95, interval(0.9, 1.0), doc="of the inner loss")
SPEC = {"discount": DISCOUNT}
OUTER_DISCOUNT = 1.0
PHYSICS = Physics(best_chain=3)
SOURCE = "Bonnet et al. 2022, read off a plot"
PUBLISHED = {
    ("inner critic", "return"): f"1.00 ({SOURCE})",
    ("inner critic", "discount"): f".90 ({SOURCE})",
    ("outer critic", "return"): f"1.035 after 10k updates, 1.078 after 50k ({SOURCE})",
    ("outer critic", "discount"): f"1.00 ({SOURCE})",
}
CHUNK = 250
"""Updates between two points of a curve."""


class Counts(NamedTuple):
    """The steps of a batch of episodes, equal ones counted."""

    actions: Float[Array, "T 5 5"]
    """[time, chain, action] how often it was taken there; at time 0, on the chain that it led to."""


def every_chain() -> Transitions:
    """One episode on each chain, [100, 5]; its actions after the first do not matter."""
    chains, times = jnp.arange(len(HORIZONS)), jnp.arange(LENGTH + 1)[:, None]
    shape = (LENGTH, len(HORIZONS))
    seen = observe(jnp.where(times == 0, -1, chains[None]), jnp.broadcast_to(times, (LENGTH + 1, len(HORIZONS))))
    return Transitions(
        observation=seen[:-1],
        action=jnp.broadcast_to(chains[None], shape),
        reward=jnp.where(times[1:] == jnp.asarray(HORIZONS)[None], pays(PHYSICS, chains)[None], 0.0),
        terminated=jnp.broadcast_to(times[1:] == LENGTH, shape),
        truncated=jnp.zeros(shape, bool),
        next_observation=seen[1:],
    )


def logits(params: Params, observation: Float[Array, "*batch 2"]) -> Float[Array, "*batch 5"]:
    """A linear policy."""
    preferences = observation @ params["weights"]
    return preferences + jnp.broadcast_to(params["bias"], preferences.shape)


def value(critic: Params, observation: Float[Array, "*batch 2"]) -> Float[Array, "*batch"]:
    """The true value under the discount and, where the chain is still to be chosen, the policy that `critic` names.

    On a chain at time t, its reward at horizon h is worth discount^(h - t - 1), and nothing once it was paid.
    """
    chains = jnp.arange(len(HORIZONS))
    ahead = jnp.asarray(HORIZONS)[:, None] - jnp.arange(LENGTH + 1)[None] - 1
    powers = jnp.where(ahead >= 0, critic["discount"] ** jnp.maximum(ahead, 0), 0.0) * pays(PHYSICS, chains)[:, None]
    first = critic["preference"] @ powers[:, 0]
    time = jnp.round(observation[..., 1] * LENGTH).astype(jnp.int32)
    chain = jnp.maximum(observation[..., 0], 0.0).astype(jnp.int32)
    return powers.at[:, 0].set(first)[chain, time]


MODEL = feedforward(logits, value)


def loss(params: Params, frozen: Frozen, eta: Eta, batch: Counts) -> tuple[Scalar, None]:
    """The actor's loss under the learned discount; the critic is exact, so that there is nothing to fit."""
    return _actor_loss(params, batch, frozen["critic"], eta["discount"]), None


def outer_loss(critic: str):
    """The outer loss under the discount 1, its advantages by the critic of that name."""

    def meta_loss(params: Params, frozen: Frozen, eta: Eta, batch: Counts) -> tuple[Scalar, None]:
        return _actor_loss(params, batch, frozen[critic], OUTER_DISCOUNT), None

    return meta_loss


def _actor_loss(params: Params, batch: Counts, critic: Params, discount: Scalar | float) -> Scalar:
    """Policy gradient and entropy bonus, each a mean over all the steps of the batch."""
    every = every_chain()
    advantage = actor_critic.advantages(MODEL, critic, every, discount, 0.0)
    log_policy = jax.nn.log_softmax(MODEL.policy(params, every))
    chosen = (batch.actions * log_policy).sum(-1) * advantage
    entropy = -batch.actions.sum(-1) * (jnp.exp(log_policy) * log_policy).sum(-1)
    return -(chosen.sum() + ENTROPY_COST * entropy.sum()) / batch.actions.sum()


def critics(state: LearnerState) -> Frozen:
    """The two judges of the same policy: under the discount of the last update, and under the discount 1."""
    preference = jax.nn.softmax(logits(state.params, _start()))
    return {
        "critic": {"discount": state.memory, "preference": preference},
        "outer_critic": {"discount": jnp.asarray(OUTER_DISCOUNT), "preference": preference},
    }


LAST_DISCOUNT = Memory(
    init=lambda params, eta: eta["discount"], update=lambda eta, memory, params, batch: eta["discount"]
)
LEARNER = learner(loss, lambda eta: optax.sgd(LEARNING_RATE), freeze=critics, memory=LAST_DISCOUNT)


def episodes(params: Params, key: PRNGKey) -> Counts:
    """A batch of 128 whole episodes of `discounting_chain`.

    The first action decides which states follow, so that the steps need not be taken one after another, and equal steps
    are counted instead of listed.
    """
    first_key, later_key = jax.random.split(key)
    begin = jnp.cumsum(jax.nn.softmax(logits(params, _start())))[:-1]
    chosen = (jax.random.uniform(first_key, (EPISODES, 1)) > begin[None]).sum(-1)
    member = jax.nn.one_hot(chosen, len(HORIZONS), axis=0)
    policy = jax.nn.softmax(logits(params, every_chain().observation[1:]))
    cumulative = (policy @ jnp.triu(jnp.ones((5, 5))))[..., :-1]
    number = jax.random.uniform(later_key, (LENGTH - 1, 1, EPISODES))
    beyond = (number > jnp.einsum("tca,cb->tab", cumulative, member)).astype(jnp.float32)
    reaching = jnp.pad(jnp.einsum("tab,cb->tca", beyond, member), ((0, 0), (0, 0), (1, 1)))
    reaching = reaching.at[..., 0].set(member.sum(-1))
    return Counts(jnp.concatenate([jnp.diag(member.sum(-1))[None], reaching[..., :-1] - reaching[..., 1:]]))


def _start() -> Float[Array, " 2"]:
    return observe(jnp.asarray(-1), jnp.asarray(0))


class Curve(NamedTuple):
    """What `N` runs did, every 250 updates."""

    updates: Int[np.ndarray, " P"]
    returns: Float[np.ndarray, "P N"]
    """Mean over the episodes since the point before."""
    discount: Float[np.ndarray, "P N"]


def learn(critic: str, updates: int, seeds: int) -> Curve:
    """Runs from a uniform policy and the discount .95, each batch the judge of the update before it.

    Args:
        critic: `"critic"` or `"outer_critic"`: who judges.
        updates: Inner updates, each on 128 episodes.
        seeds: Runs.
    """
    tuning = tuner(SPEC, LEARNER, outer_loss(critic), truncated(1), optax.adam(META_LEARNING_RATE))

    def begin(key: PRNGKey) -> tuple[Any, Any]:
        state = LEARNER.init({"weights": jnp.zeros((2, 5)), "bias": jnp.zeros(5)}, values(SPEC))
        example = jax.tree.map(lambda leaf: leaf[None], episodes(state.params, key))
        return tuning.init(state, example), state

    def update(carry: tuple[Any, Any], key: PRNGKey) -> tuple[tuple[Any, Any], tuple[Scalar, Scalar]]:
        meta, state = carry
        batch = episodes(state.params, key)
        meta, state, info = tuning.update(meta, state, jax.tree.map(lambda leaf: leaf[None], batch), None, key)
        returns = batch.actions[0].sum(-1) @ every_chain().reward.sum(0) / EPISODES
        return (meta, state), (returns, info.eta["discount"])

    def chunk(carry: tuple[Any, Any], key: PRNGKey) -> tuple[tuple[Any, Any], tuple[Scalar, Scalar]]:
        carry, (returns, discount) = jax.lax.scan(update, carry, jax.random.split(key, CHUNK))
        return carry, (returns.mean(), discount[-1])

    keys = jax.random.split(jax.random.key(0), seeds)
    carry, points = jax.jit(jax.vmap(begin))(keys), []
    run = jax.jit(jax.vmap(chunk))
    count = -(-updates // CHUNK)
    for point in progress(range(count), f"discounting chain, {critic.replace('_', ' ')}"):
        carry, seen = run(carry, jax.vmap(jax.random.fold_in, (0, None))(keys, point + 1))
        points.append(jax.device_get(seen))
    returns, discount = (np.array(part) for part in zip(*points, strict=True))
    return Curve(CHUNK * np.arange(1, count + 1), returns, discount)


def reduced(found: Found) -> Iterator[Row]:
    """A fifth of the published length, two runs."""
    return _rows(found, 10_000, 2)


def full(found: Found) -> Iterator[Row]:
    """The published length, three of the ten runs: runs differ little."""
    return _rows(found, 50_000, 3)


def _rows(found: Found, updates: int, seeds: int) -> Iterator[Row]:
    steps = updates * EPISODES * LENGTH
    for critic in ("critic", "outer_critic"):
        name = "outer critic" if critic == "outer_critic" else "inner critic"
        if all(found(f"{name}, {what}", steps, seeds) for what in ("return", "discount")):
            continue
        curve = learn(critic, updates, seeds)
        last = max(1, len(curve.updates) // 20)
        thin = slice(None, None, max(1, len(curve.updates) // 100))
        for what, path in (("return", curve.returns), ("discount", curve.discount)):
            details = {"updates": curve.updates[thin], "curves": path[thin].T, "final": path[-last:].mean(0)}
            yield row_of_runs(
                "discounting_chain", f"{name}, {what}", steps, details["final"], PUBLISHED[name, what], details
            )
