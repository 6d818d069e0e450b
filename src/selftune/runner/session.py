"""Where an experiment stands, and how it goes on: one interface to worlds inside the compiled program and outside it.

A chunk is a number of updates after which the host may log, save and draw. Every random key comes from the experiment's
key and the number of the update, so that an experiment that was stopped between two chunks goes on as if it had not.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np

from selftune.agents import AgentState
from selftune.tuning import TunerInfo
from selftune.types import Array, Float, Int, PRNGKey, PyTree


class Session(NamedTuple):
    """Everything that the next update needs."""

    agent: AgentState
    actor: PyTree
    """What acts: of the agent's state after the last update, or the one before where the agent allows a lag."""
    carry: PyTree
    """What a recurrent policy carries, [B, ...]."""
    worlds: PyTree
    """Where the environments stand; `()` where they live outside and cannot be stored."""
    key: PRNGKey
    update: Int[Array, ""]


class Telemetry(NamedTuple):
    """What a chunk of updates leaves for people to see; on the device until somebody looks."""

    returns: Float[np.ndarray, " E"]
    """Of the episodes that ended."""
    lengths: Int[np.ndarray, " E"]
    reward: Float[np.ndarray, " U"]
    """Mean of a step, update by update."""
    info: TunerInfo
    """Of the last update."""
    fired: dict[str, Int[Array, ""]]
    """How often each guard fired."""


Beat: TypeAlias = Callable[[], None]
"""Says that a run goes on."""


def nothing() -> None:
    """The beat where nobody listens."""


class Experiment(NamedTuple):
    """An agent in its worlds."""

    begin: Callable[[int], Session]
    """`begin(seed)`."""
    example: Callable[[], Session]
    """The shapes of a session, to restore one into."""
    advance: Callable[..., tuple[Session, Telemetry]]
    """`advance(session, updates, beat)`: one chunk; `beat()` is called at every step of environments on the host. The
    session that went in is used up, unless this raises."""
    resume: Callable[[Session], Session]
    """What a restored session needs before it can go on: new episodes, where worlds could not be stored."""
    num_envs: int
    """Copies of the world, which take each step together, on one clock."""
    steps_per_update: int
    native: bool
    """Whether a chunk of many updates is one program, and a resumed experiment bitwise the one that was stopped; else
    updates come one by one."""
    close: Callable[[], None] = lambda: None
