"""Every constant of every objective and every rule has its meta-gradient, and it is the right one.

Objectives x rules x exact estimators, each cell against central differences of what the estimator claims to
differentiate, in double precision. A cell runs all metaparameters of its objective and its rule at once. `make test`
runs cells that hold every pair; `make matrix` runs the rest.
"""

import itertools
from typing import NamedTuple

import jax.numpy as jnp
import pytest

from .cells import ESTIMATORS, central_differences, meta_gradient, pairwise
from .objectives import OBJECTIVES
from .rules import RULES

TOLERANCE = 1e-4
"""Relative, in the norm of one metaparameter's coordinates."""
SMALLEST = 1e-9
"""A meta-gradient that is not zero is larger."""
NARROW = {"lion": 2e-4}
"""Steps of the differences where an update jumps: a sign must not flip between two of them."""
ROUNDING = 1e-12
"""One that is zero is smaller."""


class Zero(NamedTuple):
    """Meta-gradients that must be zero, and why."""

    names: set[str]
    rules: set[str]
    objectives: set[str]
    steps: set[int]
    reason: str


ANY_RULE, ANY_OBJECTIVE, ANY_STEPS = set(RULES), set(OBJECTIVES), {1, 2, 3}
SEEN_BY_THE_JUDGE = {"target_network"}
ACTOR_CRITIC = {"discount", "trace_decay", "entropy_cost", "value_cost", "reward_scale"}
LOSS = {
    "regression": {"task_weights", "penalty"},
    "td_lambda": {"discount", "trace_decay"},
    "normaliser": {"normaliser_rate", "target_scale"},
    "actor_critic": ACTOR_CRITIC,
    "impala": ACTOR_CRITIC | {"rho_mix", "c_mix"},
    "proximal": ACTOR_CRITIC | {"clip_range", "kl_cost"},
    "continuous": ACTOR_CRITIC | {"clip_range", "kl_cost"},
    "recurrent": ACTOR_CRITIC,
    "deep_q": {"discount", "trace_decay", "reward_scale", "target_mix"},
    "traced_q": {"discount", "trace_decay", "reward_scale", "target_mix"},
    "soft": {"discount", "reward_scale", "temperature", "target_entropy", "target_mix"},
}

MUST_BE_ZERO = [
    Zero({"momentum"}, {"momentum"}, ANY_OBJECTIVE, {1}, "the first trace is the gradient itself"),
    Zero({"adam_b1", "adam_b2"}, {"adam", "adamw"}, ANY_OBJECTIVE, {1}, "bias correction makes first moments plain"),
    Zero({"normaliser_rate"}, ANY_RULE, {"normaliser"}, {1}, "the first update still sees the initial mean"),
    Zero({"target_mix"}, ANY_RULE, {"deep_q", "traced_q", "soft"}, {1}, "the judge holds slow networks still"),
    Zero({"lion_b1", "lion_b2"}, {"lion"}, ANY_OBJECTIVE, ANY_STEPS, "a sign does not change with its argument"),
    Zero({"max_grad_norm"}, {"lion"}, ANY_OBJECTIVE, ANY_STEPS, "a sign does not change with its argument's size"),
    *(
        Zero(names, {"lion"}, {objective}, ANY_STEPS, "a sign hides the gradient from the loss's constants")
        for objective, names in LOSS.items()
    ),
]


def must_be_zero(name: str, objective: str, rule: str, steps: int) -> bool:
    return any(
        name in zero.names and rule in zero.rules and objective in zero.objectives and steps in zero.steps
        for zero in MUST_BE_ZERO
    )


IN_EVERY_TEST_RUN = pairwise(list(OBJECTIVES), list(RULES), list(ESTIMATORS))
CELLS = [
    pytest.param(*cell, id="-".join(cell), marks=[] if cell in IN_EVERY_TEST_RUN else pytest.mark.whole)
    for cell in itertools.product(OBJECTIVES, RULES, ESTIMATORS)
]


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(("objective", "rule", "estimator"), CELLS)
def test_meta_gradient(objective, rule, estimator):
    steps = ESTIMATORS[estimator].steps
    expected = central_differences(objective, rule, NARROW.get(rule, 2e-3))[steps - 1]
    got = meta_gradient(objective, rule, estimator)
    assert set(got) == set(expected)
    wrong = {}
    for name, gradient in got.items():
        size, reference, error = map(jnp.linalg.norm, (gradient, expected[name], gradient - expected[name]))
        if must_be_zero(name, objective, rule, steps):
            right = (size < ROUNDING) & (reference < SMALLEST)
        else:
            right = (size > SMALLEST) & (error < TOLERANCE * reference)
        if not right:  # a NaN is neither below nor above
            wrong[name] = (gradient, expected[name])
    assert not wrong, wrong


def test_pairwise_cells_hold_every_pair():
    axes = list(OBJECTIVES), list(RULES), list(ESTIMATORS)
    for i, j in itertools.combinations(range(3), 2):
        assert {(cell[i], cell[j]) for cell in IN_EVERY_TEST_RUN} == set(itertools.product(axes[i], axes[j]))
    fewest = max(len(one) * len(other) for one, other in itertools.combinations(axes, 2))
    assert len(IN_EVERY_TEST_RUN) <= 1.2 * fewest
