"""Estimators of the meta-gradient: one interface, chosen by an argument."""

from selftune.estimators import matching
from selftune.estimators.bootstrapping import bootstrapped
from selftune.estimators.fixed_point import implicit
from selftune.estimators.mixing import mixture
from selftune.estimators.perturbation import evolution
from selftune.estimators.plain_steps import undifferentiated
from selftune.estimators.problem import EstimateInfo, Estimator, Problem
from selftune.estimators.recurrence import forward
from selftune.estimators.searching import hoof
from selftune.estimators.truncation import truncated

__all__ = [
    "EstimateInfo",
    "Estimator",
    "Problem",
    "bootstrapped",
    "evolution",
    "forward",
    "hoof",
    "implicit",
    "matching",
    "mixture",
    "truncated",
    "undifferentiated",
]
