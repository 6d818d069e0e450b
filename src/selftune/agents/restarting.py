"""Start anew when the world has changed: what an agent can do about drift, if it notices.

What is watched is the discounted return so far, as it flows backwards from every step: `z <- discount * z + reward`,
0 at an episode's end. It needs no episode to end and no critic, and falls when rewards or episodes become smaller.
Page's test (Page 1954, https://doi.org/10.1093/biomet/41.1-2.100) sums how far it lies below its own recent past.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from selftune.agents.agent import Agent, AgentState
from selftune.tuning import TunerInfo
from selftune.types import Array, Float, Int, PRNGKey, PyTree, Scalar, Transitions

DISCOUNT = 0.99
"""Of the return so far."""


class Detector(NamedTuple):
    """What Page's test remembers."""

    mean: Scalar
    variance: Scalar
    total: Scalar
    """The sum of the falls, never below 0."""
    seen: Int[Array, ""]
    """Numbers so far."""


class Detection(NamedTuple):
    """Constants of the test."""

    rate: float = 0.05
    """Of the running mean and variance."""
    tolerance: float = 0.5
    """Standard deviations that a number may lie below the mean without counting."""
    threshold: float = 15.0
    """Sum of standard deviations that is a change."""
    warm_up: int = 30
    """Numbers before anything counts."""


USUAL = Detection()


class Watched(NamedTuple):
    """What the agent remembers, and what watches it."""

    own: PyTree
    detector: Detector
    so_far: Float[Array, " B"]
    """Discounted return so far, in each environment."""


def restart_on_change(detection: Detection = USUAL) -> Callable[[Agent], Agent]:
    """Around an agent: networks, their optimizers and statistics start anew on a detected change.

    What was learned about learning stays: metaparameters go on from where they are. It shows as `restart` among the
    guards.
    """

    def around(agent: Agent) -> Agent:
        def begin(key: PRNGKey) -> AgentState:
            state = agent.init(key)
            return state._replace(experience=Watched(state.experience, unsuspecting(), jnp.zeros(agent.num_envs)))

        def learn(state: AgentState, batch: Transitions, key: PRNGKey) -> tuple[AgentState, TunerInfo]:
            watched: Watched = state.experience
            learned, info = agent.learn(_inner(state), batch, key)
            so_far, level = returns_so_far(watched.so_far, batch)
            detector, changed = suspect(detection, watched.detector, level)
            new_key = jax.random.fold_in(key, 1)
            fresh = jax.lax.cond(changed, lambda: _anew(agent.init(new_key), learned), lambda: learned)
            after = fresh._replace(experience=Watched(fresh.experience, detector, so_far))
            return after, info._replace(guards=info.guards | {"restart": jnp.where(changed, 1, 0)})

        return agent._replace(init=begin, learn=learn, actor=lambda state: agent.actor(_inner(state)))

    return around


def _anew(fresh: AgentState, learned: AgentState) -> AgentState:
    """A beginner with the metaparameters that another learned; what waited for its judge is gone."""
    return fresh._replace(meta=learned.meta._replace(estimator_state=fresh.meta.estimator_state))


def unsuspecting() -> Detector:
    """Before anything was seen."""
    return Detector(jnp.zeros(()), jnp.zeros(()), jnp.zeros(()), jnp.zeros((), jnp.int32))


def suspect(detection: Detection, detector: Detector, level: Scalar) -> tuple[Detector, Array]:
    """One more number, and whether it completes a change; after one the test starts anew.

    `total <- max(0, total + (mean - level) / deviation - tolerance)`, with the mean and deviation of what came before.
    What is not finite is passed over.
    """
    deviation = jnp.sqrt(detector.variance) + 1e-6 * (1.0 + jnp.abs(detector.mean))
    fall = (detector.mean - level) / deviation - detection.tolerance
    total = jnp.where(detector.seen >= detection.warm_up, jnp.maximum(detector.total + fall, 0.0), 0.0)
    rate = jnp.maximum(detection.rate, 1.0 / (detector.seen + 1))
    off = level - detector.mean
    mean, variance = detector.mean + rate * off, (1.0 - rate) * (detector.variance + rate * off**2)
    then = Detector(mean, variance, total, detector.seen + 1)
    changed = total > detection.threshold
    fine = jnp.isfinite(level)
    after: Any = jax.tree.map(
        lambda a, b, c: jnp.where(fine, jnp.where(changed, a, b), c), unsuspecting(), then, detector
    )
    return after, changed & fine


def returns_so_far(so_far: Float[Array, " B"], batch: Transitions) -> tuple[Float[Array, " B"], Scalar]:
    """What a rollout [T, B] leaves of the discounted return so far, and its mean over the rollout."""

    def step(so_far: Array, seen: tuple[Array, Array]) -> tuple[Array, Array]:
        reward, ended = seen
        reached = DISCOUNT * so_far + jnp.where(jnp.isfinite(reward), reward, 0.0)
        return jnp.where(ended, 0.0, reached), reached

    so_far, reached = jax.lax.scan(step, so_far, (batch.reward, batch.terminated | batch.truncated))
    return so_far, reached.mean()


def _inner(state: AgentState) -> AgentState:
    return state._replace(experience=state.experience.own)
