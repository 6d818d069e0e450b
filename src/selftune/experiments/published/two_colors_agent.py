"""The actor-critic of the two-colors experiments, whose entropy cost is learned through its policy's updates.

Actor and critic share nothing, and no metaparameter of the actor reaches the critic but through what is experienced,
which is never differentiated. So the tuner's learner is the policy alone: its batches carry the advantages that the
critic found when they were lived through. Rollout, update, rollout, update ... once for every update of a window; then
the differentiated part of the window is replayed under the gradient from the state it began in, and the acted state is
kept.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from selftune import estimators, learning, metaparams, optim, tuning
from selftune.experiments.published.two_colors_stream import ACTIONS, Place, Rollout, Stream, begin, rollout
from selftune.networks import Network, mlp
from selftune.objectives.distributions import categorical
from selftune.objectives.returns import generalized_advantage
from selftune.types import Array, Eta, Float, Frozen, Int, Loss, Params, PRNGKey, PyTree, Scalar

REWARD_SCALE, ERROR_SCALE = 0.2, 0.4
"""Of the features of a context, which pass through tanh: about what a good policy reaches."""
FEATURES = ("reward", "error", "surprise")
"""Means over a rollout: of the rewards, of the temporal-difference errors, of their sizes."""


class Sample(NamedTuple):
    """What one update of the policy learns from."""

    observation: Float[Array, "T 30"]
    action: Int[Array, " T"]
    advantage: Float[Array, " T"]
    context: Float[Array, " C"]
    """Features of the last rollouts, this one included, newest last."""


class Settings(NamedTuple):
    """What all rows of the table share (Luketina et al. 2022, table 3)."""

    stream: Stream = Stream()
    hidden: tuple[int, ...] = (256, 256)
    length: int = 16
    """Steps of a rollout."""
    discount: float = 0.99
    history: int = 10
    """Rollouts that a context looks back on."""


class Method(NamedTuple):
    """How a row of the table finds its entropy cost."""

    features: tuple[str, ...] = ("reward",)
    learned: Mapping[str, metaparams.MetaParam] = {}
    """Metaparameters in place of constants."""
    estimator: Any = None
    """How to differentiate; `None` leaves everything as it is."""
    judge_entropy: float = 0.0
    """Entropy cost of the outer loss, or of the target's last step."""
    meta_eps: float = 1e-4
    """Of Adam, the meta-optimizer."""
    window: int = 15
    """Updates between two meta-updates, where nothing is estimated."""


class Life(NamedTuple):
    """Where one run stands; everything the next window needs."""

    policy: learning.LearnerState
    critic: Params
    meta: tuning.Meta
    place: Place
    features: Float[Array, "H F"]
    """Of the last rollouts, all of `FEATURES`, newest last."""
    pending: Sample
    """Lived through, not yet learned from."""
    key: PRNGKey


class Told(NamedTuple):
    """What is kept of one window."""

    reward: Scalar
    """Mean over its steps."""
    entropy_cost: Scalar
    """Mean over its updates."""


class Agent(NamedTuple):
    """A method in a stream, as two pure functions."""

    init: Callable[[PRNGKey], Life]
    window: Callable[[Life], tuple[Life, Told]]
    """Live, learn, and improve the metaparameters."""
    live: Callable[[Life, PRNGKey], tuple[Life, learning.Acted, Told]]
    """The first part of it: as many rollouts and updates as a window has, and what they learned from, stacked."""
    updates: int
    """Of a window; each takes a rollout."""
    length: int
    """Steps of a rollout."""
    tuner: tuning.Tuner


def networks(settings: Settings) -> tuple[Network, Network]:
    """Policy and critic: two perceptrons of rectified linear units."""
    policy, critic = (mlp((30,), size, settings.hidden, jax.nn.relu) for size in (ACTIONS, 1))
    return policy, critic


def policy_loss(policy: Network) -> Loss:
    """Policy gradient and entropy, means over a rollout; reads `entropy_cost`."""

    def loss(params: Params, frozen: Frozen, eta: Eta, batch: Sample) -> tuple[Scalar, dict[str, Scalar]]:
        logits = policy.apply(params, batch.observation)
        chosen = categorical.log_probability(logits, batch.action)
        entropy = categorical.entropy(logits).mean()
        return -(chosen * batch.advantage).mean() - eta["entropy_cost"] * entropy, {"entropy": entropy}

    return loss


def descent(eta: Eta) -> optax.GradientTransformation:
    """The rule of policy and critic; reads `learning_rate` and `max_grad_norm`."""
    return optim.chain(optim.clip_by_global_norm(eta["max_grad_norm"]), optim.sgd(eta["learning_rate"]))


def agent(method: Method, settings: Settings, numbers: Mapping[str, float | Scalar]) -> Agent:
    """Wire a method into the stream.

    Args:
        method: The row.
        settings: What the rows share.
        numbers: `entropy_cost`; `learning_rate` and `max_grad_norm` of the policy, `critic_learning_rate` and
            `critic_max_grad_norm`; `meta_learning_rate`; and `trace_decay` of the advantages (0: one step, 1: to the
            end of the rollout). May be traced, so that one program serves a sweep.
    """
    policy, critic = networks(settings)
    loss = policy_loss(policy)
    columns = jnp.array([FEATURES.index(name) for name in method.features], int)
    spec = {name: numbers[name] for name in ("entropy_cost", "learning_rate", "max_grad_norm")} | dict(method.learned)

    def meta_loss(params: Params, frozen: Frozen, eta: Eta, batch: Sample) -> tuple[Scalar, dict[str, Scalar]]:
        return loss(params, frozen, {**eta, "entropy_cost": method.judge_entropy}, batch)

    learner = learning.learner(loss, descent)
    tuner = tuning.tuner(
        spec,
        learner,
        meta_loss,
        estimators.truncated() if method.estimator is None else method.estimator,
        optax.adam(numbers["meta_learning_rate"], eps=method.meta_eps),
        context=lambda batch: batch.context,
    )
    updates = method.window if method.estimator is None else method.estimator.window

    def experience(place: Place, policy_params: Params, critic_params: Params, features: PyTree, key: PRNGKey) -> tuple:
        """One rollout, what the policy will learn from it, and the critic's own update."""
        place, lived = rollout(settings.stream, lambda o: policy.apply(policy_params, o), place, key, settings.length)
        errors, advantage = _advantages(critic, critic_params, lived, settings.discount, numbers["trace_decay"])
        critic_params = _improve(critic, critic_params, lived, advantage, numbers)
        features = jnp.append(features[1:], _features(lived, errors)[None], axis=0)
        context = features[:, columns].reshape(-1)
        sample = Sample(lived.observation, lived.action, advantage, context)
        return place, critic_params, features, sample, lived.reward.mean()

    def init(key: PRNGKey) -> Life:
        keys = jax.random.split(key, 6)
        state = learner.init(policy.init(keys[0]), metaparams.values(spec))
        meta, place = tuner.init(state, key=keys[1]), begin(settings.stream, keys[2])
        features = jnp.zeros((settings.history, len(FEATURES)))
        place, critic_params, features, sample, _ = experience(
            place, state.params, critic.init(keys[3]), features, keys[4]
        )
        return Life(state, critic_params, meta, place, features, sample, keys[5])

    def step(life: Life, key: PRNGKey) -> tuple[Life, tuple[learning.Acted, Told]]:
        state, acted, _ = tuner.act(life.meta, life.policy, life.pending)
        eta = tuner.problem(state).eta(life.meta.meta_params, life.pending)
        place, critic_params, features, sample, reward = experience(
            life.place, state.params, life.critic, life.features, key
        )
        life = Life(state, critic_params, life.meta, place, features, sample, life.key)
        return life, (acted, Told(reward, eta["entropy_cost"]))

    def live(life: Life, key: PRNGKey) -> tuple[Life, learning.Acted, Told]:
        life, (acted, told) = jax.lax.scan(step, life, jax.random.split(key, updates))
        return life, acted, jax.tree.map(jnp.mean, told)

    def window(life: Life) -> tuple[Life, Told]:
        key, live_key, meta_key = jax.random.split(life.key, 3)
        start = life.policy
        life, acted, told = live(life, live_key)
        if method.estimator is not None:
            meta, _, _ = tuner.update(life.meta, start, acted, life.pending, meta_key)
            life = life._replace(meta=meta)
        return life._replace(key=key), told

    return Agent(init, window, live, updates, settings.length, tuner)


def _advantages(
    critic: Network, params: Params, lived: Rollout, discount: float, trace_decay: float | Scalar
) -> tuple[Float[Array, " T"], Float[Array, " T"]]:
    """Temporal-difference errors and advantages."""
    seen = jnp.append(lived.observation, lived.next_observation[-1:], axis=0)
    values = critic.apply(params, seen)[:, 0]
    discounts = jnp.full(lived.reward.shape, discount)
    errors = lived.reward + discounts * values[1:] - values[:-1]
    return errors, generalized_advantage(lived.reward, discounts, values[:-1], values[1:], trace_decay)


def _improve(
    critic: Network, params: Params, lived: Rollout, advantage: Array, numbers: Mapping[str, float | Scalar]
) -> Params:
    """Gradient descent on half the squared distance to the targets: values plus advantages."""

    def distance(moving: Params) -> Scalar:
        target = critic.apply(params, lived.observation)[:, 0] + advantage
        return 0.5 * jnp.square(target - critic.apply(moving, lived.observation)[:, 0]).mean()

    rule = descent({"learning_rate": numbers["critic_learning_rate"], "max_grad_norm": numbers["critic_max_grad_norm"]})
    step, _ = rule.update(jax.grad(distance)(params), rule.init(params))
    return optax.apply_updates(params, step)


def _features(lived: Rollout, errors: Float[Array, " T"]) -> Float[Array, " F"]:
    raw = jnp.stack([lived.reward.mean() / REWARD_SCALE, errors.mean() / ERROR_SCALE, jnp.abs(errors).mean()])
    return jnp.tanh(raw)
