"""An agent in worlds written in JAX: the whole experiment is a function of a key, compiled as one program a chunk.

begin   = jit(vmap(native.begin))(keys)       seeds, or initial settings, side by side
advance = jit(vmap(native.advance))(sessions, physics)
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from selftune import _tree
from selftune.agents import Agent
from selftune.envs import native
from selftune.envs.native import Environment, NativeStep, Worlds
from selftune.runner.session import Beat, Experiment, Session, Telemetry, nothing
from selftune.tuning import TunerInfo
from selftune.types import Array, Bool, Float, Int, PRNGKey, PyTree, Transitions


class Chunk(NamedTuple):
    """What a chunk of `U` updates tells, on the device; a leading axis more for each `vmap`."""

    finished: Bool[Array, "U T B"]
    returns: Float[Array, "U T B"]
    """Of the episodes that ended, where `finished`."""
    lengths: Int[Array, "U T B"]
    reward: Float[Array, " U"]
    """Mean of a step."""
    info: TunerInfo
    """Of the last update."""
    fired: dict[str, Int[Array, ""]]


class Native(NamedTuple):
    """Pure functions, to be compiled, or mapped over keys first."""

    begin: Callable[[PRNGKey], Session]
    advance: Callable[[Session, PyTree, int], tuple[Session, Chunk]]
    """`advance(session, physics, updates)`; `updates` is static."""
    rollout: Callable[[Session, PyTree, PRNGKey], tuple[Session, Transitions, NativeStep]]
    """What every update of `advance` begins with: `T` steps of each environment, and nothing is learned."""


def native_functions(agent: Agent, env: Environment) -> Native:
    """The experiment of an agent in `B` copies of a world, as pure functions."""

    def begin(key: PRNGKey) -> Session:
        root, agent_key, world_key = jax.random.split(key, 3)
        state = agent.init(agent_key)
        worlds = native.begin(env, env.physics(env.params, jnp.int32(0)), world_key, agent.num_envs)
        session = Session(state, agent.actor(state), agent.rest(agent.num_envs), worlds, root, jnp.zeros((), jnp.int32))
        return _tree.strong(session)

    def rollout(session: Session, physics: PyTree, key: PRNGKey) -> tuple[Session, Transitions, NativeStep]:
        def step(standing: tuple[PyTree, Worlds], now: tuple[PRNGKey, Int[Array, ""]]) -> tuple[tuple, tuple]:
            (carry, worlds), (key, count) = standing, now
            act_key, world_key = jax.random.split(key)
            choice = agent.act(session.actor, carry, worlds.observation, worlds.first, act_key)
            moved, told = native.advance(env, env.physics(physics, count), worlds, choice.action, world_key)
            ends = told.reward, told.terminated, told.truncated
            seen = Transitions(worlds.observation, choice.action, *ends, told.next_observation, choice.notes)
            return (choice.carry, moved), (seen, told)

        keys = jax.random.split(key, agent.rollout_length)
        counts = agent.num_envs * (session.update * agent.rollout_length + jnp.arange(agent.rollout_length))
        (carry, worlds), (batch, told) = jax.lax.scan(step, (session.carry, session.worlds), (keys, counts))
        return session._replace(carry=carry, worlds=worlds), batch, told

    def update(physics: PyTree, session: Session, _: None) -> tuple[Session, tuple[NativeStep, TunerInfo]]:
        act_key, learn_key = jax.random.split(jax.random.fold_in(session.key, session.update))
        session, batch, told = rollout(session, physics, act_key)
        learned, info = agent.learn(session.agent, batch, learn_key)
        actor = agent.actor(session.agent if agent.lag else learned)
        return session._replace(agent=learned, actor=actor, update=session.update + 1), (told, info)

    def advance(session: Session, physics: PyTree, updates: int) -> tuple[Session, Chunk]:
        session, (told, infos) = jax.lax.scan(partial(update, physics), session, None, length=updates)
        fired = {name: counts.sum() for name, counts in infos.guards.items()}
        last = jax.tree.map(lambda leaf: leaf[-1], infos)
        return session, Chunk(told.finished, told.returns, told.lengths, told.reward.mean((1, 2)), last, fired)

    return Native(begin, advance, rollout)


def native_experiment(agent: Agent, env: Environment) -> Experiment:
    """One experiment in a world written in JAX."""
    pure = native_functions(agent, env)
    begin_compiled = jax.jit(pure.begin)
    advance_compiled = jax.jit(pure.advance, static_argnums=2, donate_argnums=0)
    physics = jax.tree.map(jnp.asarray, env.params)

    def begin(seed: int) -> Session:
        return _owned(begin_compiled(jax.random.key(seed)))

    def example() -> Session:
        return jax.eval_shape(pure.begin, jax.random.key(0))

    def advance(session: Session, updates: int, beat: Beat = nothing) -> tuple[Session, Telemetry]:
        session, chunk = advance_compiled(session, physics, updates)
        return session, _telemetry(chunk)

    return Experiment(begin, example, advance, _owned, agent.num_envs, agent.num_envs * agent.rollout_length, True)


def _telemetry(chunk: Chunk) -> Telemetry:
    told: Any = jax.device_get(chunk)
    ended = np.asarray(told.finished)
    return Telemetry(told.returns[ended], told.lengths[ended], told.reward, told.info, told.fired)


def _owned(session: Session) -> Session:
    """The same arrays, none of them shared, so that a compiled chunk may write its results in their place."""
    return jax.tree.map(jnp.copy, session)
