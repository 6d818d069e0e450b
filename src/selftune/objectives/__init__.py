"""Objectives: pure functions of trajectories, differentiable in everything they are given."""

from selftune.objectives.action_values import peng_returns, retrace_returns, watkins_returns
from selftune.objectives.actor_critic import (
    ActorCritic,
    Outer,
    actor_critic_loss,
    actor_critic_meta_loss,
    feedforward,
    policy_divergence,
)
from selftune.objectives.distributions import Distribution, Gaussian, categorical, gaussian
from selftune.objectives.off_policy import vtrace_loss, vtrace_meta_loss
from selftune.objectives.prediction import Moment, TemporalDifference, td_error, td_loss
from selftune.objectives.proximal import proximal_loss
from selftune.objectives.q_learning import dqn_loss, dqn_meta_loss, q_lambda_loss, q_lambda_meta_loss
from selftune.objectives.returns import (
    VTrace,
    cut_at_boundaries,
    generalized_advantage,
    lambda_returns,
    n_step_returns,
    vtrace,
)
from selftune.objectives.soft_actor_critic import SoftBatch, soft_actor_critic_loss, soft_actor_critic_meta_loss

__all__ = [
    "ActorCritic",
    "Distribution",
    "Gaussian",
    "Moment",
    "Outer",
    "SoftBatch",
    "TemporalDifference",
    "VTrace",
    "actor_critic_loss",
    "actor_critic_meta_loss",
    "categorical",
    "cut_at_boundaries",
    "dqn_loss",
    "dqn_meta_loss",
    "feedforward",
    "gaussian",
    "generalized_advantage",
    "lambda_returns",
    "n_step_returns",
    "peng_returns",
    "policy_divergence",
    "proximal_loss",
    "q_lambda_loss",
    "q_lambda_meta_loss",
    "retrace_returns",
    "soft_actor_critic_loss",
    "soft_actor_critic_meta_loss",
    "td_error",
    "td_loss",
    "vtrace",
    "vtrace_loss",
    "vtrace_meta_loss",
    "watkins_returns",
]
