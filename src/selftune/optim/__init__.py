"""Update rules: differentiable in every constant, or adapting their own step sizes."""

from selftune.optim import parameter_free
from selftune.optim.autostepping import AutostepState, autostep
from selftune.optim.eligibility import EligibilityState, TrueOnlineState, eligibility_traces, true_online_td
from selftune.optim.hypergradients import (
    HypergradientState,
    hypergradient_descent,
    multiplicative_hypergradient_descent,
)
from selftune.optim.incremental_delta_bar_delta import IDBDState, idbd
from selftune.optim.meta_descent import StochasticMetaDescentState, stochastic_meta_descent
from selftune.optim.rules import (
    adam,
    adamw,
    add_decayed_weights,
    chain,
    clip_by_global_norm,
    lion,
    momentum,
    rmsprop,
    scale_by_learning_rate,
    sgd,
)
from selftune.optim.swift import SwiftTDState, swift_td
from selftune.optim.temporal_difference import AutostepTIDBDState, TIDBDState, autostep_tidbd, tidbd

__all__ = [
    "AutostepState",
    "AutostepTIDBDState",
    "EligibilityState",
    "HypergradientState",
    "IDBDState",
    "StochasticMetaDescentState",
    "SwiftTDState",
    "TIDBDState",
    "TrueOnlineState",
    "adam",
    "adamw",
    "add_decayed_weights",
    "autostep",
    "autostep_tidbd",
    "chain",
    "clip_by_global_norm",
    "eligibility_traces",
    "hypergradient_descent",
    "idbd",
    "lion",
    "momentum",
    "multiplicative_hypergradient_descent",
    "parameter_free",
    "rmsprop",
    "scale_by_learning_rate",
    "sgd",
    "stochastic_meta_descent",
    "swift_td",
    "tidbd",
    "true_online_td",
]
