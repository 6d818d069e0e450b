"""DQN: action values from a replay, with a target network, double estimation and n-step returns; for discrete actions.

Each rollout goes into the replay; then come some updates on stretches drawn from it, the last of which are
differentiated and judged on stretches drawn apart and on the rollout itself. Mnih et al. 2015, van Hasselt et al. 2016
(https://arxiv.org/abs/1509.06461), Hessel et al. 2018 (https://arxiv.org/abs/1710.02298).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import jax

from selftune.agents import replay
from selftune.agents.agent import Agent, AgentState, current
from selftune.agents.epsilon_greedy import Actor, epsilon_greedy
from selftune.agents.protection import protected
from selftune.agents.q_learner import count_actions, nothing_seen, q_learner, q_network, q_spec, q_tuner
from selftune.agents.recipe import Recipe
from selftune.agents.replay import Replay
from selftune.agents.replay_learning import cut_after_newest, learn_from_replay
from selftune.agents.vocabulary import homes
from selftune.errors import SettingError
from selftune.estimators import truncated
from selftune.learning import LearnerState
from selftune.metaparams import values
from selftune.objectives.q_learning import QJudge, Unseen, dqn_loss, dqn_meta_loss
from selftune.spaces import Space
from selftune.types import Array, Bool, Params, PRNGKey, Transitions


@dataclass(frozen=True)
class DQNSettings:
    """What no gradient can move."""

    num_envs: int = 16
    """Parallel environments."""
    rollout_length: int = 8
    """Steps of each environment between two calls of `learn`."""
    updates: int = 16
    """Inner updates in one call of `learn`, those that are differentiated included."""
    unroll: int = 2
    """Updates that are differentiated together; `target_mix` shows its effect from the second on."""
    hidden: tuple[int, ...] = (128, 128)
    """Widths of the dense hidden layers."""
    dueling: bool = False
    """Whether a state's value and the advantages of its actions have layers of their own."""
    n_step: int = 3
    """Steps in a stretch: rewards that are counted before a value is."""
    batch_size: int = 128
    """Stretches in one update, `S`."""
    replay_capacity: int = 50_000
    """Steps that are remembered, over all environments."""
    warm_up: int = 1_000
    """Steps, over all environments, before anything is learned."""
    outer_discount: float = 0.99
    """Discount of the judge: how far ahead the user cares."""
    outer_trace_decay: float = 0.95
    """Trace decay of the judge."""
    softness: float = 0.1
    """Of the judged policy: differences of values that count as ties."""

    @property
    def judge(self) -> QJudge:
        """The judge's constants."""
        return QJudge(self.outer_discount, self.outer_trace_decay, self.softness)


DEFAULTS = DQNSettings()
RECIPE = Recipe(
    tune=("learning_rate", "epsilon", "target_mix", "discount"),
    homing=("discount",),
    reach=0.5,
    home={"epsilon": 0.05},
    start={"learning_rate": 2e-3, "epsilon": 0.1},
)
"""No gradient moves the discount: a critic is wrong whenever its discount moves (seen in A2C; `docs/study.md`)."""

START = {"learning_rate": 3e-4, "max_grad_norm": 10.0, "target_mix": 0.02}
"""Where DQN starts, other than the vocabulary."""


def dqn(
    observation_space: Space,
    action_space: Space,
    *,
    tune: Sequence[str] | None = None,
    init: Mapping[str, Any] | None = None,
    settings: DQNSettings = DEFAULTS,
    recipe: Recipe = RECIPE,
) -> Agent:
    """A self-tuning DQN agent.

    Args:
        observation_space: Of one observation; images go through convolutions.
        action_space: `Discrete`, of `A` actions.
        tune: Metaparameters to learn; the recipe's when omitted, none when empty.
        init: Initial values by name. What the recipe tunes is led back to its own home from there, soon if it begins
            beyond its reach; `tune` without it leaves it where it is.
        settings: What no gradient can move.
        recipe: How it is tuned; there is no policy to hold in a trust region.

    Raises:
        UnsupportedSpaceError: The actions are continuous.
        SettingError: The replay is too small for its stretches, or there are too few updates.
        MetaParamError: A name or a value that makes no sense; the message says what can be tuned.
    """
    num_actions = count_actions(action_space, "dqn")
    recipe = recipe.for_agent(action_space, tune)
    rows, enough = _time_steps(settings)
    names = [field.name for field in fields(settings)]
    spec = q_spec(recipe.chosen(tune), init, names, recipe.starting(START, tune))
    network = q_network(observation_space.encoded_shape, num_actions, settings.hidden, settings.dueling)
    learning, judge = q_learner(dqn_loss(network.apply)), dqn_meta_loss(network.apply, settings.judge)
    tuning = q_tuner(spec, recipe.returning(START), learning, judge, truncated(settings.unroll), recipe)

    def start(params: Params) -> LearnerState:
        return learning.init(params, values(spec))

    def begin(key: PRNGKey) -> AgentState:
        net_key, meta_key = jax.random.split(key)
        state = start(network.init(net_key))
        experience = replay.empty(nothing_seen(observation_space, (settings.num_envs,)), rows)
        return AgentState(state, tuning.init(state, key=meta_key), experience)

    def draw(experience: Replay, key: PRNGKey) -> Transitions:
        return replay.sample(experience, key, settings.batch_size, settings.n_step)

    def older(experience: Replay, key: PRNGKey) -> Transitions:
        return draw(replay.without_newest(experience, settings.rollout_length), key)

    def unseen(experience: Replay, rollout: Transitions, key: PRNGKey) -> Unseen:
        return Unseen(draw(experience, key), rollout)

    def ready(experience: Replay) -> Bool[Array, ""]:
        return experience.size >= enough

    def cut(state: AgentState) -> AgentState:
        return state._replace(experience=cut_after_newest(state.experience))

    learn = learn_from_replay(tuning, settings.updates, settings.unroll, ready, older, unseen)

    def actor(state: AgentState) -> Actor:
        return Actor(state.learner.params, current(tuning, state)["epsilon"])

    act, decide = epsilon_greedy(network, num_actions)
    counts = settings.num_envs, settings.rollout_length
    home = homes(spec, init, recipe.start, recipe.returning(START))
    agent = Agent(
        "dqn", spec, begin, start, actor, lambda num_envs: (), act, decide, learn, *counts, home=home, cut=cut
    )
    return recipe.around(recipe, protected(agent, tuning))


def _time_steps(settings: DQNSettings) -> tuple[int, int]:
    """What the replay holds, and what it must hold before anything is learned."""
    if not 1 <= settings.unroll <= settings.updates:
        raise SettingError(f"dqn(updates={settings.updates}): expected at least unroll={settings.unroll} >= 1.")
    rows = settings.replay_capacity // settings.num_envs
    enough = max(-(-settings.warm_up // settings.num_envs), settings.rollout_length + settings.n_step)
    if rows < enough:
        raise SettingError(
            f"dqn(replay_capacity={settings.replay_capacity}): expected room for the warm-up ({settings.warm_up}), and "
            f"for a rollout and a stretch of {settings.n_step} steps in each of {settings.num_envs} environments."
        )
    return rows, enough
