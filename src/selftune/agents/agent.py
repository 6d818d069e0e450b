"""What an agent is to a runner: functions to begin, to act and to learn, and the spec of what it tunes."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from selftune.learning import LearnerState
from selftune.metaparams import Spec
from selftune.tuning import Meta, Tuner, TunerInfo
from selftune.types import Array, Bool, Eta, Params, PRNGKey, PyTree, Transitions


class AgentState(NamedTuple):
    """Everything that an agent has learned, and everything it needs to go on as if it had never stopped."""

    learner: LearnerState
    meta: Meta
    experience: PyTree = ()
    """What it remembers beside its parameters: a replay, running statistics, updates that wait for their judge."""


def current(tuning: Tuner, state: AgentState) -> Eta:
    """The metaparameters of the moment, of an agent without a context."""
    return tuning.problem(state.learner).eta(state.meta.meta_params, ())


class Choice(NamedTuple):
    """What an agent decided in `B` environments."""

    action: Array
    """[B] whole numbers, or [B, A] in [-1, 1]."""
    carry: PyTree = ()
    """[B, ...] what a recurrent policy takes along to the next step."""
    notes: PyTree = ()
    """[B, ...] what learning will want to know of this moment: it becomes `Transitions.notes`."""


class Agent(NamedTuple):
    """A self-tuning agent; pure functions, to be compiled or traced by whoever drives it."""

    name: str
    spec: Spec
    init: Callable[[PRNGKey], AgentState]
    start: Callable[[Params], LearnerState]
    """`start(params)`: the networks before their first update; what `init` does with those that it draws."""
    actor: Callable[[AgentState], PyTree]
    """`actor(state)`: the part of the state that acting needs."""
    rest: Callable[[int], PyTree]
    """`rest(B) -> carry`: what a recurrent policy begins with; `()` without one."""
    act: Callable[[PyTree, PyTree, PyTree, Bool[Array, " B"], PRNGKey], Choice]
    """`act(actor, carry, observation [B, ...], first [B], key)`: a draw. `first` marks an episode's first observation,
    where a carry starts anew."""
    decide: Callable[[PyTree, PyTree, PyTree, Bool[Array, " B"]], Choice]
    """`decide(actor, carry, observation, first)`: the same without chance, for evaluation."""
    learn: Callable[[AgentState, Transitions, PRNGKey], tuple[AgentState, TunerInfo]]
    """`learn(state, batch [T, B], key) -> (state, info)`: the inner updates of one rollout, and one of the
    metaparameters."""
    num_envs: int
    """Parallel environments it wants, `B`."""
    rollout_length: int
    """Steps of each between two calls of `learn`, `T`."""
    lag: int = 0
    """How many calls of `learn` the acting parameters may be behind: 0, or 1 for agents that correct for it."""
    home: Mapping[str, float] = {}
    """Where those metaparameters return to that start elsewhere, as befits a beginner."""
    cut: Callable[[AgentState], AgentState] = lambda state: state
    """`cut(state)`: what comes next does not follow on what was learned from last. Matters to replays, and to what an
    episode has earned so far."""
