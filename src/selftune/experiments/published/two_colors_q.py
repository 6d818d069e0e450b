"""The Q(lambda) agent of the two-colors experiments, whose exploration is learned without backpropagation (K = 0).

One update a step, Peng's Q(lambda) with a trace of gradients. After a window of L steps the network of its end, acting
greedily, is the target; the policy that the window began with, epsilon-greedy, is matched to it at the states of
the window, and only epsilon is differentiated (Flennerhag et al. 2022, arXiv:2109.04504; Luketina et al. 2022,
appendix A.1 and table 4).
"""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from selftune import metaparams, optim
from selftune.experiments.published.two_colors_runs import Outcome, first_values, recorded
from selftune.experiments.published.two_colors_stream import ACTIONS, ENV, Place, Stream, begin
from selftune.experiments.records import Records, Row
from selftune.experiments.side_by_side import side_by_side
from selftune.experiments.statistics import bootstrap, mean
from selftune.metaparams import bind
from selftune.networks import mlp
from selftune.objectives.action_values import softened
from selftune.types import Array, Float, Params, PRNGKey, PyTree, Scalar

EXPERIMENT = "two_colors_q"
COMMAND = "selftune bench published --only two_colors_q"
FULL, REDUCED = 10_000_000, 300_000
SEEDS = range(3)


class QSettings(NamedTuple):
    """What all rows share (Luketina et al. 2022, table 4)."""

    stream: Stream = Stream(respawn_all=True)
    """In the convention of the actor-critic's table."""
    hidden: tuple[int, ...] = (256, 256)
    discount: float = 0.99
    trace_decay: float = 0.9
    target_steps: int = 32
    """Updates from the policy that is matched to the target, L."""
    history: int = 100
    """Rewards that a context looks back on."""
    softness: float = 1e-3
    """As good as epsilon-greedy. At .1, values that differ by .08, the cost of two steps, count nearly as ties, and a
    greedy choice that changes says hardly anything: epsilon fell to its floor before a reward was found, at meta rates
    of 1e-3 and more (1e-5 with context; `results/two_colors_tuning.json`)."""
    floor: float = 1e-6
    """The least epsilon, so that every divergence is finite."""


Q_DEFAULTS = QSettings()
NUMBERS = {"epsilon": 0.1, "learning_rate": 3e-5, "meta_learning_rate": 1e-3}
SLOW = {**NUMBERS, "meta_learning_rate": 1e-4}
"""A step of all the weights of a network goes further than one of a number. Both rates from single looks of a million
steps on one tuning seed (`docs/results.md`)."""


class QLine(NamedTuple):
    """One row of the table."""

    name: str
    epsilon: metaparams.MetaParam | None
    """Learned, or `None` for the constant among the numbers."""
    numbers: Mapping[str, float]
    published: tuple[float, float]


class QLife(NamedTuple):
    """Where one run stands."""

    q: Params
    opt_state: PyTree
    trace: Params
    meta_params: PyTree
    meta_opt_state: PyTree
    place: Place
    rewards: Float[Array, " H"]
    """The last ones, newest last."""
    key: PRNGKey


class QTold(NamedTuple):
    """What is kept of one window: means over its steps."""

    reward: Scalar
    epsilon: Scalar


class QAgent(NamedTuple):
    """An agent in the stream, as pure functions."""

    init: Callable[[PRNGKey], QLife]
    window: Callable[[QLife], tuple[QLife, QTold]]
    divergence: Callable[[PyTree, Params, Params, Array, Array], Scalar]
    """`divergence(meta_params, before, after, observations, contexts)`: what the exploration should make small."""
    updates: int
    length: int = 1
    """Steps between two updates."""


def q_agent(epsilon: metaparams.MetaParam | None, settings: QSettings, numbers: Mapping[str, float | Scalar]) -> QAgent:
    """Wire the agent.

    Args:
        epsilon: The learned exploration, which never reaches 0; `None` for a constant.
        settings: What the rows share.
        numbers: `epsilon`, `learning_rate` and `meta_learning_rate`; may be traced.
    """
    net = mlp((30,), ACTIONS, settings.hidden, jax.nn.relu)
    rule = optim.adam(numbers["learning_rate"], eps=1e-4)
    meta_rule = optax.adam(numbers["meta_learning_rate"], eps=1e-4)
    space = bind({"epsilon": numbers["epsilon"] if epsilon is None else epsilon}, ())

    def explore(meta_params: PyTree, context: Float[Array, " H"]) -> Scalar:
        return space.resolve(meta_params, context)["epsilon"]

    def init(key: PRNGKey) -> QLife:
        keys = jax.random.split(key, 4)
        q, meta_params = net.init(keys[0]), space.init(keys[1])
        nothing = jax.tree.map(jnp.zeros_like, q)
        place, rewards = begin(settings.stream, keys[2]), jnp.zeros(settings.history)
        return QLife(q, rule.init(q), nothing, meta_params, meta_rule.init(meta_params), place, rewards, keys[3])

    def step(life: QLife, key: PRNGKey) -> tuple[QLife, tuple]:
        keys, place = jax.random.split(key, 3), life.place
        chance = explore(life.meta_params, life.rewards)
        values, slopes = jax.vjp(lambda q: net.apply(q, place.observation), life.q)
        random = jax.random.randint(keys[1], (), 0, ACTIONS)
        action = jnp.where(jax.random.uniform(keys[0]) < chance, random, jnp.argmax(values))
        physics = settings.stream.physics(place.world.time)
        observation, world, reward, *_ = ENV.step(keys[2], place.world, action, physics)
        (slope,) = slopes(jax.nn.one_hot(action, ACTIONS))
        ahead = reward + settings.discount * net.apply(life.q, observation).max()
        descent, trace = peng_step(
            slope, life.trace, ahead - values[action], ahead - values.max(), settings.discount * settings.trace_decay
        )
        change, opt_state = rule.update(descent, life.opt_state, life.q)
        seen = (place.observation, life.rewards, reward, chance)
        rewards = jnp.append(life.rewards[1:], jnp.tanh(reward))
        q = optax.apply_updates(life.q, change)
        return QLife(q, opt_state, trace, *life[3:5], Place(world, observation), rewards, life.key), seen

    def divergence(meta_params: PyTree, before: Params, after: Params, observations: Array, contexts: Array) -> Scalar:
        greedy = jnp.argmax(net.apply(after, observations), axis=-1)
        chances = jax.vmap(lambda context: explore(meta_params, context))(contexts)
        log_policy = jax.vmap(softened, in_axes=(0, 0, None))(
            net.apply(before, observations), chances, settings.softness
        )
        return -jnp.take_along_axis(log_policy, greedy[:, None], axis=-1).mean()

    def window(life: QLife) -> tuple[QLife, QTold]:
        key, live_key = jax.random.split(life.key)
        before = life.q
        steps = jax.random.split(live_key, settings.target_steps)
        life, (observations, contexts, rewards, chances) = jax.lax.scan(step, life, steps)
        if epsilon is not None:
            slope = jax.grad(divergence)(life.meta_params, before, life.q, observations, contexts)
            change, opt_state = meta_rule.update(slope, life.meta_opt_state, life.meta_params)
            life = life._replace(meta_params=optax.apply_updates(life.meta_params, change), meta_opt_state=opt_state)
        return life._replace(key=key), QTold(rewards.mean(), chances.mean())

    return QAgent(init, window, divergence, settings.target_steps)


def peng_step(slope: Params, trace: Params, error: Scalar, greedy_error: Scalar, decay: float) -> tuple[Params, Params]:
    """Peng's Q(lambda), online: the descent direction of one step, and the new trace.

    The action just taken learns from the error of its own value, what came before from the error of the best one's
    (Peng and Williams 1996, section 4).

    Args:
        slope: Of the value of the action taken.
        trace: Decayed sum of the slopes before.
        error: `r + discount * max q(s') - q(s, a)`.
        greedy_error: `r + discount * max q(s') - max q(s)`.
        decay: Discount times trace decay.
    """
    faded = jax.tree.map(lambda leaf: decay * leaf, trace)
    descent = jax.tree.map(lambda new, old: -(error * new + greedy_error * old), slope, faded)
    return descent, jax.tree.map(jnp.add, faded, slope)


def q_lines(settings: QSettings = Q_DEFAULTS) -> list[QLine]:
    """The table."""
    bounds, context = metaparams.interval(settings.floor, 1.0), metaparams.contextual(settings.history, (128, 128))
    return [
        QLine("Q", None, NUMBERS, (0.58, 0.07)),
        QLine("Q-BMG", metaparams.MetaParam(0.5, bounds), NUMBERS, (1.78, 0.03)),
        QLine("Q-BMG-context", metaparams.MetaParam(0.5, bounds, context), SLOW, (1.93, 0.03)),
    ]


def q_lambda_rows(
    reduced: bool,
    records: Records[Row],
    say: Callable[[str], None],
    settings: QSettings = Q_DEFAULTS,
    steps: int | None = None,
    seeds: Sequence[int] = SEEDS,
) -> Iterator[Row]:
    """The rows of the table, each kept in `records` as soon as it is there; those that are there are not run again."""
    steps = (REDUCED if reduced else FULL) if steps is None else steps
    command = COMMAND if reduced else f"{COMMAND} --full"
    jobs = [functools.partial(_measured, line, settings, steps, seeds, command, records) for line in q_lines(settings)]
    return side_by_side(jobs, say)


def _measured(
    line: QLine,
    settings: QSettings,
    steps: int,
    seeds: Sequence[int],
    command: str,
    records: Records[Row],
    say: Callable[[str], None],
) -> Row:
    build = functools.partial(_built, line.epsilon, settings)
    tell = functools.partial(_row, line, settings, steps, seeds, command)
    return recorded(EXPERIMENT, line, _told(line, settings), settings, steps, seeds, build, tell, records, say)


def _told(line: QLine, settings: QSettings) -> dict[str, Any]:
    """What makes a line what it is."""
    stream = settings.stream
    return {
        "numbers": dict(line.numbers),
        "begins": first_values({} if line.epsilon is None else {"epsilon": line.epsilon}),
        "stream": dict(zip(stream._fields, stream, strict=True)),
        "shared": {name: value for name, value in settings._asdict().items() if name != "stream"},
    }


def _built(epsilon: metaparams.MetaParam | None, settings: QSettings, numbers: Mapping[str, Any]) -> QAgent:
    return q_agent(epsilon, settings, numbers)


def _row(line: QLine, settings: QSettings, steps: int, seeds: Sequence[int], command: str, outcome: Outcome) -> Row:
    returns, stream = 10.0 * outcome.returns, settings.stream
    details = {
        "unit": "reward a step times ten: millions for 10M steps",
        "returns": [round(float(value), 4) for value in returns],
        "seeds": list(seeds),
        "reward_curve": outcome.curve(),
        "epsilon_around_flips": outcome.around_flips(outcome.told, stream.flip_every),
    }
    center, deviation = line.published
    published = f"{center:.2f} ({deviation:.2f}), Luketina et al. 2022, table 1, 10M steps"
    return Row(EXPERIMENT, line.name, steps, len(seeds), *bootstrap([returns], mean), command, published, details)
