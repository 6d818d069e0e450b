"""Objectives: pure functions of trajectories, differentiable in everything they are given."""

from selftune.objectives.actor_critic import (
    ActorCritic,
    Outer,
    actor_critic_loss,
    actor_critic_meta_loss,
    policy_divergence,
)
from selftune.objectives.returns import (
    VTrace,
    cut_at_boundaries,
    generalized_advantage,
    lambda_returns,
    n_step_returns,
    vtrace,
)

__all__ = [
    "ActorCritic",
    "Outer",
    "VTrace",
    "actor_critic_loss",
    "actor_critic_meta_loss",
    "cut_at_boundaries",
    "generalized_advantage",
    "lambda_returns",
    "n_step_returns",
    "policy_divergence",
    "vtrace",
]
