"""Q(lambda): action values from rollouts of the acting policy, without a replay; for discrete actions.

Every rollout first judges the update before it (it was not trained on), then makes the next. Peng and Williams 1996; as
in the experiments of Flennerhag et al. 2022 (https://arxiv.org/abs/2109.04504) and, in many environments at once, of
Gallici et al. 2024 (https://arxiv.org/abs/2407.04811).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import jax

from selftune import _tree
from selftune.agents.agent import Agent, AgentState, current
from selftune.agents.epsilon_greedy import Actor, epsilon_greedy
from selftune.agents.protection import mended
from selftune.agents.q_learner import count_actions, nothing_seen, q_learner, q_network, q_spec, q_tuner
from selftune.agents.recipe import Recipe
from selftune.agents.vocabulary import homes
from selftune.estimators import truncated
from selftune.learning import LearnerState
from selftune.metaparams import values
from selftune.objectives.q_learning import QJudge, q_lambda_loss, q_lambda_meta_loss
from selftune.spaces import Space
from selftune.tuning import TunerInfo
from selftune.types import Params, PRNGKey, Transitions


@dataclass(frozen=True)
class QLambdaSettings:
    """What no gradient can move."""

    num_envs: int = 16
    """Parallel environments."""
    rollout_length: int = 8
    """Steps of each environment between two updates."""
    hidden: tuple[int, ...] = (128, 128)
    """Widths of the dense hidden layers."""
    dueling: bool = False
    """Whether a state's value and the advantages of its actions have layers of their own."""
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


DEFAULTS = QLambdaSettings()
RECIPE = Recipe(
    tune=("learning_rate", "epsilon", "target_mix", "discount", "trace_decay"),
    homing=("target_mix", "discount", "trace_decay"),
    meta_learning_rate=5e-3,
    reach=1.0,
)
"""Its judge is a single rollout, and noisier than DQN's."""

START = {"learning_rate": 2e-3, "max_grad_norm": 10.0, "target_mix": 0.1, "trace_decay": 0.9}
"""Where Q(lambda) starts, other than the vocabulary."""


def q_lambda(
    observation_space: Space,
    action_space: Space,
    *,
    tune: Sequence[str] | None = None,
    init: Mapping[str, Any] | None = None,
    settings: QLambdaSettings = DEFAULTS,
    recipe: Recipe = RECIPE,
) -> Agent:
    """A self-tuning Q(lambda) agent.

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
        MetaParamError: A name or a value that makes no sense; the message says what can be tuned.
    """
    num_actions = count_actions(action_space, "q_lambda")
    recipe = recipe.for_agent(action_space, tune)
    names = [field.name for field in fields(settings)]
    spec = q_spec(recipe.chosen(tune), init, names, recipe.starting(START, tune))
    network = q_network(observation_space.encoded_shape, num_actions, settings.hidden, settings.dueling)
    learning, judge = q_learner(q_lambda_loss(network.apply)), q_lambda_meta_loss(network.apply, settings.judge)
    tuning = q_tuner(spec, recipe.returning(START), learning, judge, truncated(1), recipe)

    example = nothing_seen(observation_space, (1, settings.rollout_length, settings.num_envs))

    def start(params: Params) -> LearnerState:
        return learning.init(params, values(spec))

    def begin(key: PRNGKey) -> AgentState:
        net_key, meta_key = jax.random.split(key)
        state = start(network.init(net_key))
        return AgentState(state, tuning.init(state, example, meta_key))

    def learn(state: AgentState, batch: Transitions, key: PRNGKey) -> tuple[AgentState, TunerInfo]:
        batches = _tree.typed(jax.tree.map(lambda leaf: leaf[None], batch._replace(notes=())), example)
        meta, learned, info = tuning.update(state.meta, state.learner, batches, None, key)
        return AgentState(learned, meta), info

    def actor(state: AgentState) -> Actor:
        return Actor(state.learner.params, current(tuning, state)["epsilon"])

    act, decide = epsilon_greedy(network, num_actions)
    counts = settings.num_envs, settings.rollout_length
    home = homes(spec, init, recipe.start, recipe.returning(START))
    agent = Agent("q_lambda", spec, begin, start, actor, lambda num_envs: (), act, decide, learn, *counts, home=home)
    return mended(recipe.around(recipe, agent), Transitions._fields)
