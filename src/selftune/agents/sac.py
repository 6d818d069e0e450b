"""SAC: soft actor-critic for continuous actions, from a replay of everything it has seen.

Each rollout goes into the replay; then come updates on rows drawn from it, the last of which are differentiated and
judged on rows drawn apart. Haarnoja et al. 2018 (https://arxiv.org/abs/1812.05905); judged as in Meta-SAC (Wang and
Ni 2020, https://arxiv.org/abs/2007.01932).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import jax
import jax.numpy as jnp

from selftune import _tree
from selftune.agents import replay
from selftune.agents.agent import Agent, AgentState, Choice
from selftune.agents.protection import protected
from selftune.agents.recipe import Case, Recipe
from selftune.agents.replay import Replay
from selftune.agents.replay_learning import learn_from_replay
from selftune.agents.soft_learner import policy_only, soft_learner, soft_networks
from selftune.agents.vocabulary import bounds, build_spec, homes, priors, rates_together
from selftune.errors import SettingError, UnsupportedSpaceError
from selftune.estimators import truncated
from selftune.learning import LearnerState
from selftune.metaparams import values
from selftune.networks.normalisation import readable
from selftune.objectives.soft_actor_critic import SoftBatch, soft_actor_critic_meta_loss, soft_policy_divergence
from selftune.objectives.squashing import squashed_gaussian, squashed_mode
from selftune.spaces import Box, Space
from selftune.tuning import tuner
from selftune.types import Array, Bool, Params, PRNGKey, PyTree, Transitions


@dataclass(frozen=True)
class SACSettings:
    """What no gradient can move."""

    num_envs: int = 4
    """Parallel environments."""
    rollout_length: int = 4
    """Steps of each environment between two calls of `learn`."""
    replay_ratio: float = 1.0
    """Inner updates per environment step, those that are differentiated included."""
    unroll: int = 2
    """Updates that are differentiated together, the last of each call; `target_entropy` and `target_mix` show their
    effect from the second on."""
    hidden: tuple[int, ...] = (256, 256)
    """Widths of the hidden layers of policy and critics."""
    batch_size: int = 256
    """Rows in one update, `S`."""
    replay_capacity: int = 1_000_000
    """Steps that are remembered, over all environments."""
    warm_up: int = 1_000
    """Steps, over all environments, before anything is learned; a beginner takes them at random."""
    outer_discount: float = 0.99
    """Discount of the judge: how far ahead the user cares."""

    @property
    def updates(self) -> int:
        """Inner updates in one call of `learn`."""
        return round(self.replay_ratio * self.num_envs * self.rollout_length)


DEFAULTS = SACSettings()
RECIPE = Recipe(
    tune=("learning_rate", "critic_learning_rate", "discount", "target_mix", "temperature"),
    homing=("target_mix", "temperature"),
    leak=0.003,
    reach=0.5,
    start={"learning_rate": 2e-3, "critic_learning_rate": 2e-3},
)
"""No gradient moves the entropy's terms: judged by worth alone, entropy is only a cost, and `temperature` and
`target_entropy` sink for as long as the agent learns. Nor `target_mix`: with its gradient that was not tried. The leak
is slow, since a call of `learn` sees 16 steps by default."""

NAMES = (
    "learning_rate",
    "critic_learning_rate",
    "temperature",
    "target_entropy",
    "target_mix",
    "discount",
    "reward_scale",
    "adam_b1",
    "adam_b2",
    "adam_eps",
)
"""The metaparameters of SAC. `learning_rate` steps the policy and its temperature."""


def sac(
    observation_space: Space,
    action_space: Space,
    *,
    tune: Sequence[str] | None = None,
    init: Mapping[str, Any] | None = None,
    settings: SACSettings = DEFAULTS,
    recipe: Recipe = RECIPE,
) -> Agent:
    """A self-tuning SAC agent.

    Args:
        observation_space: Of one observation.
        action_space: `A` real numbers.
        tune: Metaparameters to learn; the recipe's when omitted, none when empty.
        init: Initial values by name. A `critic_learning_rate` that is not given starts at the `learning_rate`, a
            `target_entropy` at -A. What the recipe tunes is led back to its own home, soon if it begins beyond its
            reach; `tune` without it leaves it where it is.
        settings: What no gradient can move.
        recipe: How it is tuned.

    Raises:
        UnsupportedSpaceError: The actions are not a `Box` of one axis.
        SettingError: The replay is too small for the warm-up, or there are too few updates.
        MetaParamError: A name or a value that makes no sense; the message says what can be tuned.
    """
    num_actions = _num_actions(action_space)
    given, recipe = rates_together(init), recipe.for_agent(action_space, tune)
    own = {
        "learning_rate": 3e-4,
        "critic_learning_rate": 3e-4,
        "adam_eps": 1e-8,
        "target_entropy": -float(num_actions),
    }
    names = [field.name for field in fields(settings)]
    spec = build_spec(NAMES, recipe.chosen(tune), given, names, recipe.starting(own, tune))

    capacity = _time_steps(settings)
    networks = soft_networks(observation_space.encoded_shape, num_actions, settings.hidden)
    model, learning = networks.model, soft_learner(networks.model)
    far = soft_policy_divergence(model)
    case = Case(spec, bounds(spec), priors(spec, recipe.returning(own)), settings.unroll, far, policy_only)
    tuning = tuner(
        spec,
        learning,
        soft_actor_critic_meta_loss(model, settings.outer_discount),
        recipe.estimator(case) if recipe.estimator else truncated(settings.unroll, "mixed"),
        recipe.optimizer(recipe, case),
        recipe.guards(recipe, case),
    )

    def start(params: Params) -> LearnerState:
        return learning.init(params, values(spec))

    def begin(key: PRNGKey) -> AgentState:
        net_key, meta_key = jax.random.split(key)
        state = start(networks.init(net_key))
        example = _empty_step(observation_space, num_actions, settings.num_envs)
        experience = replay.empty(example, capacity)
        return AgentState(state, tuning.init(state, key=meta_key), experience)

    def ready(experience: Replay) -> Bool[Array, ""]:
        return experience.size >= min(capacity, -(-settings.warm_up // settings.num_envs))

    def actor(state: AgentState) -> PyTree:
        knows = state.learner.memory.ever | ready(state.experience)
        return {"policy": state.learner.params["policy"], "knows": knows}

    def act(actor: PyTree, carry: PyTree, observation: PyTree, first: Bool[Array, " B"], key: PRNGKey) -> Choice:
        noise_key, random_key = jax.random.split(key)
        parameters = model.policy(actor["policy"], readable(observation))
        drawn, _ = squashed_gaussian(parameters, jax.random.normal(noise_key, parameters.mean.shape))
        random = jax.random.uniform(random_key, drawn.shape, minval=-1.0, maxval=1.0)
        return Choice(jnp.where(actor["knows"], drawn, random))

    def decide(actor: PyTree, carry: PyTree, observation: PyTree, first: Bool[Array, " B"]) -> Choice:
        return Choice(squashed_mode(model.policy(actor["policy"], readable(observation))))

    def draw(experience: Replay, key: PRNGKey) -> SoftBatch:
        row_key, noise_key = jax.random.split(key)
        noise = jax.random.normal(noise_key, (2, settings.batch_size, num_actions))
        return SoftBatch(_tree.entry(replay.sample(experience, row_key, settings.batch_size), 0), noise)

    def unseen(experience: Replay, rollout: Transitions, key: PRNGKey) -> SoftBatch:
        return draw(experience, key)

    learn = learn_from_replay(tuning, settings.updates, settings.unroll, ready, draw, unseen)

    counts = settings.num_envs, settings.rollout_length
    home = homes(spec, given, recipe.start, recipe.returning(own))
    agent = Agent("sac", spec, begin, start, actor, lambda num_envs: (), act, decide, learn, *counts, home=home)
    return recipe.around(recipe, protected(agent, tuning))


def _num_actions(space: Space) -> int:
    if isinstance(space, Box) and len(space.shape) == 1:
        if space.low is None or space.high is None:
            raise UnsupportedSpaceError(
                f"sac got the action space {space}, which has no bounds; expected some, since its actions lie within "
                "them. Give the environment some (gymnasium.wrappers.TransformAction(env, lambda a: a, Box(...))), or "
                "choose the agent 'ppo' or 'a2c'."
            )
        return space.shape[0]
    raise UnsupportedSpaceError(
        f"sac got the action space {space}, expected a Box of one axis: its actions are real numbers. For discrete "
        "actions choose the agent 'dqn', 'ppo' or 'a2c'."
    )


def _time_steps(settings: SACSettings) -> int:
    """What the replay holds of each environment."""
    if not 1 <= settings.unroll <= settings.updates:
        raise SettingError(
            f"sac(replay_ratio={settings.replay_ratio:g}, unroll={settings.unroll}): {settings.num_envs} environments "
            f"of {settings.rollout_length} steps give {settings.updates} updates a call; expected unroll or more, "
            "and unroll at least 1: raise replay_ratio or rollout_length, or lower unroll."
        )
    if settings.replay_capacity < settings.warm_up:
        raise SettingError(
            f"sac(replay_capacity={settings.replay_capacity}): expected room for the warm-up ({settings.warm_up})."
        )
    rows = settings.replay_capacity // settings.num_envs
    if rows < settings.rollout_length:
        raise SettingError(
            f"sac(replay_capacity={settings.replay_capacity}): expected room for a rollout of "
            f"{settings.rollout_length} steps in each of {settings.num_envs} environments."
        )
    return rows


def _empty_step(space: Space, num_actions: int, num_envs: int) -> Transitions:
    """One step of zeros, [B, ...]: an example of what the replay holds."""
    observation = jnp.zeros((num_envs, *space.encoded_shape), space.dtype if isinstance(space, Box) else jnp.float32)
    flag = jnp.zeros(num_envs, bool)
    return Transitions(observation, jnp.zeros((num_envs, num_actions)), jnp.zeros(num_envs), flag, flag, observation)
