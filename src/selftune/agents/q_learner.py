"""What agents of action values share: their metaparameters, their update, a target network, and how they are tuned."""

from collections.abc import Iterable, Mapping
from typing import Any

import jax.numpy as jnp
import optax

from selftune.agents.recipe import Case, Recipe
from selftune.agents.vocabulary import bounds, build_spec, priors
from selftune.errors import UnsupportedSpaceError
from selftune.estimators import Estimator
from selftune.learning import Learner, LearnerState, Memory, learner
from selftune.metaparams import Spec
from selftune.networks import Network
from selftune.networks.choosing import suited
from selftune.networks.dueling import dueling
from selftune.optim import adam, clip_by_global_norm
from selftune.spaces import Box, Discrete, Space
from selftune.tuning import Tuner, tuner
from selftune.types import Eta, Loss, Params, PyTree, Transitions

NAMES = (
    "learning_rate",
    "epsilon",
    "target_mix",
    "discount",
    "trace_decay",
    "reward_scale",
    "max_grad_norm",
    "adam_b1",
    "adam_b2",
    "adam_eps",
)
"""The metaparameters of agents of action values."""


def q_spec(
    tune: Iterable[str], init: Mapping[str, Any] | None, settings: Iterable[str], start: Mapping[str, float]
) -> Spec:
    """Their spec; the arguments are those of `build_spec`."""
    return build_spec(NAMES, tune, init or {}, settings, start)


def q_network(shape: tuple[int, ...], num_actions: int, hidden: tuple[int, ...], in_two_streams: bool) -> Network:
    """From observations to action values [..., A]."""
    return (dueling if in_two_streams else suited)(shape, num_actions, hidden)


def q_learner(loss: Loss) -> Learner:
    """Adam under a clipped gradient, and a target network."""
    return learner(loss, _rule, freeze=_freeze, memory=TARGET)


def q_tuner(
    spec: Spec, home: Mapping[str, float], learning: Learner, meta_loss: Loss, estimator: Estimator, recipe: Recipe
) -> Tuner:
    """Guarded against bounds and non-finite numbers; a policy that jumps with its values has no trust region.

    The judge is differentiated in `eta` too: the losses of `selftune.objectives.q_learning` read only `epsilon` there.
    """
    case = Case(spec, bounds(spec), priors(spec, home), estimator.window)
    estimator = recipe.estimator(case) if recipe.estimator else estimator
    moved, held = recipe.optimizer(recipe, case), recipe.guards(recipe, case)
    return tuner(spec, learning, meta_loss, estimator, moved, held, through={"eta"})


def count_actions(space: Space, agent: str) -> int:
    """The number of actions, `A`.

    Raises:
        UnsupportedSpaceError: The actions are not `Discrete`.
    """
    if isinstance(space, Discrete):
        return space.n
    raise UnsupportedSpaceError(
        f"{agent} got the action space {space}, expected Discrete: it compares the values of a finite number of "
        "actions. For continuous actions choose the agent 'sac', 'ppo' or 'a2c'."
    )


def nothing_seen(space: Space, leading: tuple[int, ...]) -> Transitions:
    """Transitions of zeros, [*leading, ...]: an example of shapes and types."""
    observation = jnp.zeros((*leading, *space.encoded_shape), space.dtype if isinstance(space, Box) else jnp.float32)
    flag, number = jnp.zeros(leading, bool), jnp.zeros(leading)
    return Transitions(observation, jnp.zeros(leading, jnp.int32), number, flag, flag, observation)


def _follow(eta: Eta, memory: PyTree, params: Params, batch: PyTree) -> PyTree:
    mix = eta["target_mix"]
    return {
        "target": optax.incremental_update(params, memory["target"], mix),
        "reward_scale": jnp.asarray(eta["reward_scale"], jnp.float32),
    }


TARGET = Memory(
    init=lambda params, eta: {"target": params, "reward_scale": jnp.asarray(eta["reward_scale"], jnp.float32)},
    update=_follow,
)
"""A Polyak average of the parameters, and the scale of rewards that the judge is to use."""


def _freeze(state: LearnerState) -> PyTree:
    return {"online": state.params, **state.memory}


def _rule(eta: Eta) -> optax.GradientTransformation:
    clip = clip_by_global_norm(eta["max_grad_norm"])
    return optax.chain(clip, adam(eta["learning_rate"], eta["adam_b1"], eta["adam_b2"], eta["adam_eps"]))
