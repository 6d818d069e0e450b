"""Where the agent of a user's own loop learns: in the thread that asks for it, or in one of its own.

    learner.learn(batch)  # now; or handed over, and let go where the batch before is still being learned from
    learner.take_over()   # what has been learned is in force

Who acts meanwhile goes on with `learner.actor`, the policy as it was. Learning that fails costs the batch and no more.
"""

from collections import Counter
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp

from selftune.agents import Agent, AgentState
from selftune.metaparams import tuned
from selftune.runner.compiled import Compiled
from selftune.types import PRNGKey, PyTree, Transitions

Improved: TypeAlias = tuple[AgentState, PyTree, tuple[dict[str, float], dict[str, int]]]
"""The state, what acts now, and metaparameters and guards by name."""


class Learner:
    """An agent's state, and who may change it.

    Attributes:
        state: What was learned, as it is in force.
        actor: What acting needs of it.
        eta: The tuned metaparameters by name.
        fired: How often each guard has.
        updates: Batches learned from.
        dropped: Batches let go.
        gap: Whether the next batch does not follow on the one learned from last.
        events: What has happened, a kind and facts each, for the owner to tell and to take away.
    """

    def __init__(self, agent: Agent, functions: Compiled, state: AgentState, key: PRNGKey, background: bool):
        """Begin.

        Args:
            agent: Who learns.
            functions: Its own, compiled.
            state: Where it begins.
            key: Of the randomness of all updates.
            background: Whether a thread of its own learns.
        """
        self._agent, self.functions, self.key = agent, functions, key
        self.go_on_from(state)
        self.eta = {name: float(entry.value) for name, entry in tuned(agent.spec).items()}
        self.fired: Counter[str] = Counter()
        self.updates, self.dropped, self.gap = 0, 0, False
        self.events: list[tuple[str, Mapping[str, Any]]] = []
        self._pool = ThreadPoolExecutor(1, "selftune-learning") if background else None
        self._learning: Future | None = None

    def go_on_from(self, state: AgentState) -> None:
        """Let another state be in force."""
        self.state, self.actor = state, self.functions.actor(state)

    def warm_up(self, batch: Transitions) -> None:
        """Compile what learning needs on what comes to nothing, so that no one has to wait for a compiler."""
        state, *_ = self._improved(jax.tree.map(jnp.copy, self.state), batch, jax.random.fold_in(self.key, 0))
        self.functions.cut(state)

    def learn(self, batch: Transitions) -> None:
        """Learn from a batch, now or in the thread; or let it go where that has not come so far.

        Raises:
            Exception: Whatever learning raised.
        """
        gap, self.gap = self.gap, True
        if self._learning is not None:
            self.dropped += 1
            self.events.append(("dropped", {"dropped": self.dropped}))
            return
        key = jax.random.fold_in(self.key, self.updates)
        try:
            if gap:
                self.state = self.functions.cut(self.state)
            if self._pool is None:
                self._accept(self._improved(self.state, batch, key))
            else:
                self._learning = self._pool.submit(self._improved, self.state, batch, key)
        except BaseException:
            self._recover()
            raise
        self.gap = False

    def take_over(self, wait: bool = False) -> None:
        """Let what the thread has learned be in force, if it is done or is to be waited for.

        Raises:
            Exception: Whatever learning raised, once.
        """
        if self._learning is not None and (wait or self._learning.done()):
            failure = self._learning.exception()
            if failure is None:
                self._accept(self._learning.result())
            self._learning = None
            if failure is not None:
                self._recover()
                raise failure

    def close(self) -> None:
        """End the thread, once it is done; who goes on learns in the thread that asks for it."""
        self.take_over(wait=True)
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown()

    def _improved(self, state: AgentState, batch: Transitions, key: PRNGKey) -> Improved:
        state, actor, told = self.functions.improve(state, batch, key)
        return state, actor, told.fetch()

    def _accept(self, improved: Improved) -> None:
        self.state, self.actor, (self.eta, guards) = improved
        self.updates += 1
        fired = {name: count for name, count in guards.items() if count}
        self.fired.update(fired)
        if fired:
            self.events.append(("guard", fired))
        self.events.append(("learned", {"update": self.updates, "guards": fired, "eta": dict(self.eta)}))

    def _recover(self) -> None:
        """After learning has failed: what it had used up begins anew, and nothing goes on across the lost batch."""
        leaves = jax.tree.leaves(self.state.experience)
        if any(leaf.is_deleted() for leaf in leaves if isinstance(leaf, jax.Array)):
            fresh = jax.jit(self._agent.init)(self.key)
            self.state = self.state._replace(experience=fresh.experience)
        self.gap = True
