"""Many runs of one agent in one world written in JAX, compiled once.

sessions       = fleet.begin(settings, keys)                      settings by name, [N] each; keys [N]
sessions, told = fleet.advance(settings, sessions, physics, U)    U updates; what they tell is summed up on the device

Where they are made of the same function: `mapped` is one program of all runs, for an accelerator; `apart` is a program
of one run, which every core calls for a run of its own.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp

from selftune import _tree
from selftune.agents import Agent
from selftune.envs.native import Environment
from selftune.experiments.side_by_side import cores
from selftune.runner.native_experiment import Chunk, native_functions
from selftune.runner.session import Session
from selftune.types import Array, Float, Int, PRNGKey, PyTree

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


Advance: TypeAlias = Callable[[Settings, Session, PyTree, int], tuple[Session, Told]]
"""`advance(settings, session, physics, updates)`, of one run or of many; the number of updates is static."""


class Fleet(NamedTuple):
    """How many runs begin, and how they go on."""

    begin: Callable[[Settings, PRNGKey], Session]
    advance: Advance
    """The sessions that went in are used up."""
    steps_per_update: int


def mapped(one: Advance) -> Advance:
    """Many runs as one program, which has an axis more than that of one run."""

    def advance(settings: Settings, sessions: Session, physics: PyTree, updates: int) -> tuple[Session, Told]:
        over_runs = jax.vmap(lambda own, session: one(own, session, physics, updates))
        return over_runs(settings, sessions)

    return jax.jit(advance, static_argnums=3, donate_argnums=1)


def apart(one: Advance) -> Advance:
    """Many runs as calls of a program of one run, as many at a time as there are cores.

    On a CPU that is faster than `mapped`, since what one run works on stays in a core's cache and no core waits for
    another: 1.4 times for 32 runs of A2C on two cores, 1.6 times for 16 of PPO.
    """

    @partial(jax.jit, static_argnums=4)
    def chosen(
        settings: Settings, sessions: Session, number: Int[Array, ""], physics: PyTree, updates: int
    ) -> tuple[Session, Told]:
        return one(_tree.entry(settings, number), _tree.entry(sessions, number), physics, updates)

    def advance(settings: Settings, sessions: Session, physics: PyTree, updates: int) -> tuple[Session, Told]:
        def now(number: int) -> tuple[Session, Told]:
            return jax.block_until_ready(chosen(settings, sessions, jnp.int32(number), physics, updates))

        with ThreadPoolExecutor(cores()) as pool:
            return _tree.stacked(list(pool.map(now, range(len(sessions.update)))))

    return advance


def fleet(make: Make, env: Environment, many: Callable[[Advance], Advance] | None = None) -> Fleet:
    """Compile an agent in a world for many runs; physics is an argument, so that worlds of one structure share it.

    Args:
        make: The agent.
        env: The world.
        many: `mapped` or `apart`; what suits the default backend when omitted.
    """

    def begin(settings: Settings, key: PRNGKey) -> Session:
        return native_functions(make(settings), env).begin(key)

    def advance(settings: Settings, session: Session, physics: PyTree, updates: int) -> tuple[Session, Told]:
        agent = make(settings)
        then, chunk = native_functions(agent, env).advance(session, physics, updates)
        return then, _told(agent, then, chunk)

    agent = make({})
    many = many or (apart if jax.default_backend() == "cpu" else mapped)
    return Fleet(jax.jit(jax.vmap(begin)), many(advance), agent.num_envs * agent.rollout_length)


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
