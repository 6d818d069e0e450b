"""Many runs of one agent in one world written in JAX, side by side in one compiled program.

sessions       = fleet.begin(settings, keys)                      settings by name, [N] each; keys [N]
sessions, told = fleet.advance(settings, sessions, physics, U)    U updates; what they tell is summed up on the device
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp

from selftune import _tree
from selftune.agents import Agent
from selftune.envs.native import Environment
from selftune.runner.native_experiment import Chunk, native_functions
from selftune.runner.session import Session
from selftune.types import Array, Float, PRNGKey, PyTree

Settings: TypeAlias = Mapping[str, Float[Array, "..."]]
"""Initial values of metaparameters by name; a leading axis `N` where many runs begin."""

Make: TypeAlias = Callable[[Settings], Agent]
"""From initial values, which may be traced, to an agent of the world's spaces."""


class Told(NamedTuple):
    """What one chunk of updates of one run tells."""

    episodes: Float[Array, "..."]
    """How many ended."""
    returns: Float[Array, "..."]
    """Their sum."""
    reward: Float[Array, "..."]
    """All of it, of episodes that have not ended too."""
    eta: dict[str, Float[Array, "..."]]
    """After the last update; the mean where one is more than a number."""
    guards: dict[str, Array]
    """How often each fired."""
    finite: Array
    """Whether all parameters are numbers after the last update."""


def nothing() -> None:
    """What there is to close of a world in a compiled program."""


class Fleet(NamedTuple):
    """Two compiled programs."""

    begin: Callable[[Settings, PRNGKey], Session]
    advance: Callable[[Settings, Session, PyTree, int], tuple[Session, Told]]
    """The sessions that went in are used up; the number of updates is static."""
    steps_per_update: int
    close: Callable[[], None] = nothing
    """Lets go of the worlds; `begin` opens them again."""


def fleet(make: Make, env: Environment) -> Fleet:
    """Compile an agent in a world for many runs; physics is an argument, so that worlds of one structure share it."""

    def begin(settings: Settings, key: PRNGKey) -> Session:
        return native_functions(make(settings), env).begin(key)

    def advance(settings: Settings, session: Session, physics: PyTree, updates: int) -> tuple[Session, Told]:
        agent = make(settings)
        then, chunk = native_functions(agent, env).advance(session, physics, updates)
        return then, _told(agent, then, chunk)

    def many(settings: Settings, sessions: Session, physics: PyTree, updates: int) -> tuple[Session, Told]:
        over_runs = jax.vmap(lambda one, session: advance(one, session, physics, updates))
        return over_runs(settings, sessions)

    agent = make({})
    return Fleet(
        jax.jit(jax.vmap(begin)),
        jax.jit(many, static_argnums=3, donate_argnums=1),
        agent.num_envs * agent.rollout_length,
    )


def _told(agent: Agent, after: Session, chunk: Chunk) -> Told:
    ended = jnp.where(chunk.finished, chunk.returns, 0.0).sum()
    reward = chunk.reward.sum() * (agent.num_envs * agent.rollout_length)
    episodes, eta = chunk.finished.sum().astype(jnp.float32), eta_means(chunk.info.eta)
    return Told(episodes, ended, reward, eta, chunk.fired, _tree.finite(after.agent.learner))


def eta_means(eta: Mapping[str, PyTree]) -> dict[str, Float[Array, ""]]:
    """Each metaparameter as one number, whatever its scope: the mean of its entries."""
    return {
        name: jnp.concatenate([jnp.ravel(jnp.asarray(leaf)) for leaf in jax.tree.leaves(value)]).mean()
        for name, value in eta.items()
    }
