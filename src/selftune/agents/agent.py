"""What an agent is to a runner: functions to begin, to act and to learn, and the spec of what it tunes."""

from collections.abc import Callable
from typing import Any, NamedTuple

from selftune.learning import LearnerState
from selftune.metaparams import Spec
from selftune.tuning import Meta, TunerInfo
from selftune.types import Params, PRNGKey, PyTree, Transitions


class AgentState(NamedTuple):
    """Everything that an agent has learned."""

    learner: LearnerState
    meta: Meta


class Agent(NamedTuple):
    """A self-tuning agent; pure functions, to be compiled or traced by whoever drives it."""

    name: str
    spec: Spec
    init: Callable[[PRNGKey], AgentState]
    act: Callable[[Params, PyTree, PRNGKey], Any]
    """`act(params, observation [B, ...], key) -> action [B]`, drawn from the policy."""
    learn: Callable[[AgentState, Transitions, PRNGKey], tuple[AgentState, TunerInfo]]
    """`learn(state, batch [T, B], key) -> (state, info)`: one inner update, and one of the metaparameters."""
    num_envs: int
    """Parallel environments it wants, `B`."""
    rollout_length: int
    """Steps of each between two updates, `T`."""
