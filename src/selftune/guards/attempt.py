"""What a guard sees: where learner and tuner stood, where they are about to stand, and what led there.

A guard may equip the learner before anything runs, and may change where the pair goes after each update. What fired is
a dictionary of numbers: 1 where it fired, 0 where not.
"""

from collections.abc import Callable
from typing import NamedTuple

from selftune.estimators import EstimateInfo
from selftune.learning import BareStep, Learner
from selftune.metaparams import Spec
from selftune.types import Array, Int, MetaParams, PyTree


class Position(NamedTuple):
    """Everything that an update moves."""

    meta_params: MetaParams
    opt_state: PyTree
    """Of the meta-optimizer."""
    estimator_state: PyTree
    state: PyTree
    """Of the learner: its parameters, its optimizer, its memory."""


class Attempt(NamedTuple):
    """One update of learner and tuner, not yet accepted."""

    before: Position
    after: Position
    meta_grad: MetaParams
    info: EstimateInfo
    forgotten: PyTree = ()
    """The estimator's state without what it carried into this update."""


Fired = dict[str, Int[Array, ""]]


class Guard(NamedTuple):
    """A condition that every update must meet."""

    name: str
    check: Callable[[Spec, Attempt], tuple[Position, Fired]]
    """`check(spec, attempt) -> (position, fired)`: where to go instead, and what fired."""
    equip: Callable[[Learner | BareStep], Learner | BareStep] = lambda learner: learner
    """Give the learner what the guard needs of it."""
