"""An agent in environments on the host: they step in Python or C++, the agent acts and learns in compiled programs.

Learning is handed to the device and not waited for. Where an agent may act one update behind (`lag`), the environments
step on while it learns.
"""

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from selftune.agents import Agent, AgentState
from selftune.envs import HostEnv
from selftune.runner.compiled import compiled
from selftune.runner.rollouts import Rollout
from selftune.runner.session import Beat, Experiment, Session, Telemetry, nothing
from selftune.tuning import TunerInfo
from selftune.types import PRNGKey, PyTree, Transitions

Update: TypeAlias = Callable[[Session, Beat], tuple[Session, TunerInfo]]


def host_experiment(agent: Agent, env: HostEnv) -> Experiment:
    """One experiment in environments on the host.

    Their own states cannot be stored: a resumed experiment begins new episodes.
    """
    functions = compiled(agent)
    act, learn, actor, cut = functions.act, functions.learn, functions.actor, functions.cut
    rollout = Rollout(env, act, agent.rollout_length)
    update, start = updating(rollout, learn, actor, agent.lag), partial(begun, agent)

    def begin(seed: int) -> Session:
        session = jax.jit(start)(jax.random.key(seed))
        rollout.begin(seed)
        return session._replace(actor=actor(session.agent))

    def example() -> Session:
        return jax.eval_shape(start, jax.random.key(0))

    def resume(session: Session) -> Session:
        env.go_to(int(session.update) * agent.num_envs * agent.rollout_length)
        session = session._replace(agent=cut(session.agent))
        words = [*np.ravel(jax.random.key_data(session.key)).tolist(), int(session.update)]
        rollout.begin(int(np.random.SeedSequence(words).generate_state(1)[0]))
        return session

    def advance(session: Session, updates: int, beat: Beat = nothing) -> tuple[Session, Telemetry]:
        info, fired = None, []
        for _ in range(updates):
            session, info = update(session, beat)
            fired.append(info.guards)
        assert info is not None, "a chunk has at least one update"
        counts = jax.tree.map(lambda *told: sum(told), *fired)
        return session, Telemetry(*rollout.take(), info, counts)

    return Experiment(
        begin, example, advance, resume, agent.num_envs, agent.num_envs * agent.rollout_length, False, env.close
    )


def begun(agent: Agent, key: PRNGKey) -> Session:
    """Where an experiment begins; a pure function."""
    root, agent_key = jax.random.split(key)
    state = agent.init(agent_key)
    return Session(state, agent.actor(state), agent.rest(agent.num_envs), (), root, jnp.zeros((), jnp.int32))


def updating(
    rollout: Rollout,
    learn: Callable[[AgentState, Transitions, PRNGKey], tuple[AgentState, TunerInfo]],
    actor: Callable[[AgentState], PyTree],
    lag: int,
) -> Update:
    """A rollout with what acts, and learning from it.

    Args:
        rollout: Where the environments stand.
        learn: Compiled; may use up the state's experience.
        actor: Compiled: what acting needs of a state, in arrays of its own.
        lag: How many updates what acts may be behind, 0 or 1: the environments step on while it learns.
    """

    def update(session: Session, beat: Beat) -> tuple[Session, TunerInfo]:
        act_key, learn_key = jax.random.split(jax.random.fold_in(session.key, session.update))
        batch, carry = rollout.collect(session.actor, session.carry, act_key, beat)
        behind = actor(session.agent) if lag else None
        learned, info = learn(session.agent, batch, learn_key)
        acting = behind if lag else actor(learned)
        return Session(learned, acting, carry, (), session.key, session.update + 1), info

    return update
