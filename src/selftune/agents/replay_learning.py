"""Learning from a replay: a call makes some updates on what is drawn from it, the last of which are judged."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from selftune.agents import replay
from selftune.agents.agent import AgentState, current
from selftune.agents.replay import Replay
from selftune.guards.trust import counting_all
from selftune.learning import LearnerState
from selftune.tuning import Meta, Tuner, TunerInfo
from selftune.types import Array, Bool, PRNGKey, PyTree, Transitions

Learn = Callable[[AgentState, Transitions, PRNGKey], tuple[AgentState, TunerInfo]]


def cut_after_newest(experience: Replay) -> Replay:
    """The replay of `Transitions` after whose newest step no other follows: no stretch may go on into the next."""
    capacity = experience.data.truncated.shape[0]
    truncated = experience.data.truncated.at[(experience.position - 1) % capacity].set(True)
    return experience._replace(data=experience.data._replace(truncated=truncated))


def learn_from_replay(
    tuning: Tuner,
    updates: int,
    unroll: int,
    ready: Callable[[Replay], Bool[Array, ""]],
    draw: Callable[[Replay, PRNGKey], PyTree],
    unseen: Callable[[Replay, Transitions, PRNGKey], PyTree],
) -> Learn:
    """Build the `learn` of an agent whose experience is a replay.

    Args:
        tuning: Makes the updates.
        updates: In one call, those that are differentiated included.
        unroll: The last of them, which are differentiated together.
        ready: Whether a replay holds enough to learn from; until it does, nothing moves.
        draw: The batch of one update.
        unseen: What judges them, from the replay and the newest rollout.
    """

    def improve(
        state: LearnerState, meta: Meta, experience: Replay, rollout: Transitions, key: PRNGKey
    ) -> tuple[LearnerState, Meta, TunerInfo]:
        def update(state: LearnerState, key: PRNGKey) -> tuple[LearnerState, PyTree]:
            state, acted, _ = tuning.act(meta, state, draw(experience, key))
            return state, acted.scale

        act_key, last_key, judge_key, key = jax.random.split(key, 4)
        state, scale = jax.lax.scan(update, state, jax.random.split(act_key, updates - unroll))
        batches = jax.vmap(draw, in_axes=(None, 0))(experience, jax.random.split(last_key, unroll))
        meta, state, info = tuning.update(meta, state, batches, unseen(experience, rollout, judge_key), key)
        return state, meta, info._replace(guards=counting_all(info.guards, scale, info.steps.scale))

    def learn(state: AgentState, rollout: Transitions, key: PRNGKey) -> tuple[AgentState, TunerInfo]:
        rollout = rollout._replace(notes=())
        experience = replay.add(state.experience, rollout)
        given = (state.learner, state.meta, experience, rollout, key)
        shapes = jax.eval_shape(improve, *given)[2]

        def wait(*given: Any) -> tuple[LearnerState, Meta, TunerInfo]:
            nothing = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
            return state.learner, state.meta, nothing._replace(eta=current(tuning, state))

        learned, meta, info = jax.lax.cond(ready(experience), improve, wait, *given)
        return AgentState(learned, meta, experience), info

    return learn
