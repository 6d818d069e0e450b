"""The inner loop: losses and update rules made into one differentiable step."""

from selftune.learning.inner_loop import (
    Acted,
    BareStep,
    Learner,
    LearnerState,
    Memory,
    Projection,
    StepInfo,
    learner,
)
from selftune.learning.judging import judged
from selftune.learning.probing import probe_rule

__all__ = [
    "Acted",
    "BareStep",
    "Learner",
    "LearnerState",
    "Memory",
    "Projection",
    "StepInfo",
    "judged",
    "learner",
    "probe_rule",
]
