"""The same as `fleet` for environments on the host: one run after another, chunk by chunk, with programs they share.

Copies of a population's member take its agent along, not its environments, whose states cannot be stored.
"""

from collections import Counter
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from selftune import _tree
from selftune.agents import AgentState
from selftune.envs.host import HostEnv
from selftune.experiments.fleet import Fleet, Make, Settings, Told, eta_means
from selftune.runner.compiled import compiled
from selftune.runner.host_experiment import begun, updating
from selftune.runner.rollouts import Rollout
from selftune.runner.session import Session, nothing
from selftune.tuning import TunerInfo
from selftune.types import PRNGKey, PyTree, Transitions


def host_fleet(make: Make, open_envs: Callable[[], HostEnv]) -> Fleet:
    """An agent in environments on the host, for many runs.

    Args:
        make: The agent.
        open_envs: The environments of one run; where they drift, `physics` is the environment step in the middle of
            the chunk, and they go on from half a chunk before it.
    """
    agent = make({})
    act, per_update = compiled(agent).act, agent.num_envs * agent.rollout_length
    open_now: list[tuple[HostEnv, Rollout]] = []

    @jax.jit
    def start(settings: Settings, key: PRNGKey) -> Session:
        return begun(make(settings), key)

    @jax.jit
    def actor(settings: Settings, state: AgentState) -> PyTree:
        return jax.tree.map(jnp.copy, make(settings).actor(state))  # not shared with what learning uses up

    @partial(jax.jit, donate_argnums=0)
    def learn_from(
        experience: PyTree, settings: Settings, state: AgentState, batch: Transitions, key: PRNGKey
    ) -> tuple[AgentState, TunerInfo]:
        """Uses up the experience, so that a replay is never copied."""
        return make(settings).learn(state._replace(experience=experience), batch, key)

    def learn(settings: Settings, state: AgentState, batch: Transitions, key: PRNGKey) -> tuple[AgentState, TunerInfo]:
        return learn_from(state.experience, settings, state._replace(experience=()), batch, key)

    def close() -> None:
        while open_now:
            open_now.pop()[0].close()

    def begin(settings: Settings, keys: Key[Array, " N"]) -> Session:
        close()
        begun = []
        for number in range(len(keys)):
            env = open_envs()
            open_now.append((env, Rollout(env, act, agent.rollout_length)))
            begun.append(start(_tree.entry(settings, number), keys[number]))
            words = np.ravel(jax.random.key_data(keys[number])).tolist()
            open_now[-1][1].begin(int(np.random.SeedSequence(words).generate_state(1)[0]))
        return _tree.stacked(begun)

    def one(settings: Settings, session: Session, rollout: Rollout, updates: int) -> tuple[Session, Told]:
        update = updating(rollout, partial(learn, settings), partial(actor, settings), agent.lag)
        fired, info = Counter[str](), None
        for _ in range(updates):
            session, info = update(session, nothing)
            fired.update({name: int(count) for name, count in info.guards.items()})
        assert info is not None, "a chunk has at least one update"
        returns, _, rewards = rollout.take()
        ended, earned, paid = (
            jnp.float32(value) for value in (len(returns), returns.sum(), rewards.sum() * per_update)
        )
        guards = {name: jnp.int32(fired[name]) for name in info.guards}
        return session, Told(ended, earned, paid, eta_means(info.eta), guards, _tree.finite(session.agent.learner))

    def advance(settings: Settings, sessions: Session, physics: PyTree, updates: int) -> tuple[Session, Told]:
        moved = []
        for number, (env, rollout) in enumerate(open_now):
            env.go_to(max(0, round(physics - updates * per_update / 2)))
            moved.append(one(_tree.entry(settings, number), _tree.entry(sessions, number), rollout, updates))
        after, told = zip(*moved, strict=True)
        return _tree.stacked(after), _tree.stacked(told)

    return Fleet(begin, advance, per_update, close)
