"""Implicit differentiation against closed forms: ridge regression, and a temporal-difference fixed point."""

import inspect
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from selftune.errors import EstimatorError
from selftune.estimators import implicit
from selftune.learning import learner
from selftune.metaparams import MetaParam, unit, values
from selftune.optim import sgd
from selftune.tuning import tuner

pytestmark = pytest.mark.usefixtures("float64")

X = np.array([[1.0, 0.2], [-0.3, 0.8], [0.5, -1.0], [0.1, 0.4]])
Y = np.array([1.0, -0.5, 0.7, 0.2])
X_NEW = np.array([[0.6, 0.1], [-0.2, 1.1]])
Y_NEW = np.array([0.3, -0.9])
PENALTY = 0.3


def ridge(estimator, batch=(X, Y)):
    """The meta-gradient at the optimum of |X w - y|^2 / 2 + penalty |w|^2 / 2, judged by |X' w - y'|^2 / 2."""
    spec = {"penalty": MetaParam(PENALTY), "learning_rate": MetaParam(0.1)}

    def loss(params, frozen, eta, batch):
        x, y = batch
        return 0.5 * jnp.sum((x @ params - y) ** 2) + 0.5 * eta["penalty"] * params @ params, None

    def meta_loss(params, frozen, eta, batch):
        return 0.5 * jnp.sum((batch[0] @ params - batch[1]) ** 2), None

    inner = learner(loss, lambda eta: sgd(eta["learning_rate"]))
    state = inner.init(jnp.asarray(np.linalg.solve(hessian(), X.T @ Y)), values(spec))
    tuning = tuner(spec, inner, meta_loss)
    problem, meta_params = tuning.problem(state), tuning.init(state).meta_params
    batches = jax.tree.map(lambda leaf: jnp.stack([leaf] * estimator.window), batch)
    validation = (jnp.asarray(X_NEW), jnp.asarray(Y_NEW))
    return estimator.estimate(problem, meta_params, state, (), batches, validation, jax.random.key(0))


def hessian(damping: float = 0.0):
    return X.T @ X + (PENALTY + damping) * np.eye(2)


def closed_form(damping: float = 0.0) -> float:
    """d w / d log(penalty) = -penalty (X'X + penalty)^-1 w."""
    w = np.linalg.solve(hessian(), X.T @ Y)
    slope = X_NEW.T @ (X_NEW @ w - Y_NEW)
    return float(-PENALTY * slope @ np.linalg.solve(hessian(damping), w))


@pytest.mark.parametrize(
    "estimator",
    [implicit("cg"), implicit("cg", unroll=3), implicit("neumann", iterations=400, step_size=0.5)],
    ids=["cg", "cg after three updates", "neumann"],
)
def test_ridge_regression(estimator):
    meta_grad, _, _, info = ridge(estimator)
    assert abs(closed_form()) > 0.005
    np.testing.assert_allclose(meta_grad["penalty"], closed_form(), rtol=1e-6)
    assert meta_grad["learning_rate"] == 0.0  # no constant of the rule moves an optimum
    assert info.steps.loss.shape == (estimator.window,)


@pytest.mark.parametrize("solver", ["cg", "neumann"])
def test_damping_is_added_to_the_hessian(solver):
    meta_grad = ridge(implicit(solver, iterations=400, step_size=0.4, damping=0.5))[0]
    assert abs(closed_form(0.5) - closed_form()) > 0.001
    np.testing.assert_allclose(meta_grad["penalty"], closed_form(0.5), rtol=1e-6)


def test_few_iterations_of_the_series_by_hand():
    # One product: step_size (v + (I - step_size H) v).
    w = np.linalg.solve(hessian(), X.T @ Y)
    slope = X_NEW.T @ (X_NEW @ w - Y_NEW)
    solution = 0.1 * (slope + slope - 0.1 * hessian() @ slope)
    np.testing.assert_allclose(
        ridge(implicit("neumann", iterations=1, step_size=0.1))[0]["penalty"], -PENALTY * w @ solution, rtol=1e-10
    )


@pytest.mark.parametrize(("solver", "factor"), [("neumann", 1.0), ("cg", 1.0 - 0.8)])
def test_a_temporal_difference_fixed_point(solver, factor):
    # loss = (w - 1 - discount w_frozen)^2 / 2: w* = 1 / (1 - discount) = 5 at 0.8, dw*/d discount = w*^2 = 25.
    # The series follows the frozen parameters; conjugate gradients hold them, and see a Hessian of 1 instead of 0.2.
    spec = {"discount": MetaParam(0.8, unit)}
    inner = learner(
        lambda params, frozen, eta, batch: (0.5 * (params - 1.0 - eta["discount"] * frozen) ** 2, None),
        lambda eta: sgd(0.1),
    )
    state = inner.init(jnp.array(5.0), values(spec))
    tuning = tuner(spec, inner, lambda params, frozen, eta, batch: (0.5 * (params - 3.0) ** 2, None))
    estimator = implicit(solver, iterations=300, step_size=0.5)
    meta_params, batches = tuning.init(state).meta_params, jnp.zeros((1, 1))
    problem, key = tuning.problem(state), jax.random.key(0)
    meta_grad = estimator.estimate(problem, meta_params, state, (), batches, jnp.zeros(1), key)[0]
    # (w* - 3) * 25 * d discount / d coordinate = 2 * 25 * 0.8 * 0.2 = 8
    np.testing.assert_allclose(meta_grad["discount"], 8.0 * factor, rtol=1e-6)


@pytest.mark.parametrize(
    "arguments",
    [
        {"solver": "newton"},
        {"unroll": 0},
        {"unroll": 1.5},
        {"iterations": 0},
        {"iterations": 2.5},
        {"step_size": 0.0},
        {"step_size": math.inf},
        {"damping": -1.0},
        {"damping": math.nan},
        {"damping": math.inf},
    ],
)
def test_settings_out_of_range_are_refused(arguments):
    with pytest.raises(EstimatorError, match="expected a solver in"):
        inspect.unwrap(implicit)(**arguments)


def test_it_needs_a_learner():
    spec = {"rate": MetaParam(0.1)}
    tuning = tuner(spec, lambda eta, state, batch: (state, None), lambda *arguments: (jnp.zeros(()), None))
    problem, meta_params = tuning.problem(jnp.zeros(())), tuning.init(jnp.zeros(())).meta_params
    with pytest.raises(EstimatorError, match="got a bare step function"):
        implicit().estimate(problem, meta_params, jnp.zeros(()), (), jnp.zeros(1), jnp.zeros(1), jax.random.key(0))
