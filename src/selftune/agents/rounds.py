"""A round: all updates that an agent makes from one rollout, seen by its tuner as one.

What moves settings without differentiating them looks at what a whole round did: how far it took the policy, and what
it was worth.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp

from selftune.learning import Learner, LearnerState, StepInfo
from selftune.types import Array, Eta, Int, PRNGKey, PyTree, Transitions


class Round(NamedTuple):
    """A rollout, and which of its environments each update sees."""

    rollout: Transitions
    order: Int[Array, "U S"]


Step: TypeAlias = Callable[[Eta, LearnerState, Round | Transitions], tuple[LearnerState, StepInfo]]


def rollout_of(batch: PyTree) -> Transitions:
    """The rollout of a round, or the batch itself."""
    return batch.rollout if isinstance(batch, Round) else batch


def epochs_of_minibatches(key: PRNGKey, num_envs: int, epochs: int, minibatches: int) -> Int[Array, "U S"]:
    """Every epoch goes through all environments once, in an order of its own."""
    rounds = [jax.random.permutation(k, num_envs) for k in jax.random.split(key, epochs)]
    return jnp.concatenate(rounds).reshape(-1, num_envs // minibatches)


def some(batch: Transitions, chosen: Int[Array, " S"]) -> Transitions:
    """The whole trajectories of some environments; the context is one for all."""
    notes = dict(batch.notes)
    context = notes.pop("context")
    picked = jax.tree.map(lambda leaf: leaf[:, chosen], batch._replace(notes=notes))
    return picked._replace(notes=picked.notes | {"context": context})


def whole_round(learning: Learner) -> Step:
    """All updates of a `Round` as one step, which tells of the last of them; any other batch makes one update."""

    def step(eta: Eta, state: LearnerState, batch: Round | Transitions) -> tuple[LearnerState, StepInfo]:
        if not isinstance(batch, Round):
            return learning.step(eta, state, batch)

        def update(state: LearnerState, chosen: Int[Array, " S"]) -> tuple[LearnerState, StepInfo]:
            return learning.step(eta, state, some(batch.rollout, chosen))

        state, infos = jax.lax.scan(update, state, batch.order)
        return state, jax.tree.map(lambda leaf: leaf[-1], infos)

    return step
