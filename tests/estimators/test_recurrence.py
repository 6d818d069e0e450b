"""Forward mode: its recursion by hand, its approximation, its forgetting, and what it refuses."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from selftune.errors import EstimatorError
from selftune.estimators import forward, truncated
from selftune.learning import BareStep, learner
from selftune.metaparams import MetaParam, per_parameter, positive, values
from selftune.optim import sgd
from selftune.tuning import tuner

from .setting import assemble, loss, make, meta_loss

pytestmark = pytest.mark.usefixtures("float64")


def one_dimension(estimator, updates: int):
    """Loss c w^2 / 2 from w = 3, outer loss (w - 1)^2 / 2, so that everything can be done by hand.

    With rate a = 0.5 and cost c = 0.2 an update is w <- w - a c w = 0.9 w.
    """
    spec = {"rate": MetaParam(0.5), "cost": MetaParam(0.2)}
    inner = learner(
        lambda params, frozen, eta, batch: (0.5 * eta["cost"] * params**2, None), lambda eta: sgd(eta["rate"])
    )
    state = inner.init(jnp.array(3.0), values(spec))
    tuning = tuner(spec, inner, lambda params, frozen, eta, batch: (0.5 * (params - 1.0) ** 2, None))
    problem, meta_params = tuning.problem(state), tuning.init(state).meta_params
    carried = estimator.init(problem, meta_params, state, None)
    for _ in range(updates):
        batches = jnp.zeros(estimator.window)
        meta_grad, state, carried, _ = estimator.estimate(
            problem, meta_params, state, carried, batches, jnp.zeros(()), jax.random.key(0)
        )
    return meta_grad


def test_two_updates_by_hand():
    # w: 3, 2.7, 2.43. S = dw/d log(rate) = dw/d log(cost): S' = (1 - a c) S - a c w.
    # S1 = -0.1 * 3 = -0.3;  S2 = 0.9 * -0.3 - 0.1 * 2.7 = -0.54;  (w - 1) S2 = 1.43 * -0.54 = -0.7722.
    np.testing.assert_allclose(one_dimension(forward(), 2)["rate"], -0.7722, rtol=1e-12)
    np.testing.assert_allclose(one_dimension(forward(), 2)["cost"], -0.7722, rtol=1e-12)


def test_without_the_hessian_by_hand():
    # The gradient does not feel w: S' = S - a c w.  S2 = -0.3 - 0.27 = -0.57;  1.43 * -0.57 = -0.8151.
    np.testing.assert_allclose(one_dimension(forward(hessian=False), 2)["rate"], -0.8151, rtol=1e-12)
    np.testing.assert_allclose(one_dimension(forward(hessian=False), 2)["cost"], -0.8151, rtol=1e-12)


def test_forgetting_by_hand():
    # S' = (1 - a c) d S - a c w with d = 0.5.  S2 = 0.9 * -0.15 - 0.27 = -0.405;  1.43 * -0.405 = -0.57915.
    np.testing.assert_allclose(one_dimension(forward(decay=0.5), 2)["rate"], -0.57915, rtol=1e-12)


def test_windows_of_any_length_carry_on():
    np.testing.assert_allclose(
        one_dimension(forward(unroll=3), 2)["rate"], one_dimension(forward(unroll=1), 6)["rate"], rtol=1e-12
    )


def test_without_the_hessian_one_update_is_exact():
    this = make()
    exact, approximate = this.estimate(truncated(1))[0], this.estimate(forward(hessian=False))[0]
    for name, gradient in exact.items():
        np.testing.assert_allclose(approximate[name], gradient, rtol=1e-10)


def test_a_bare_step_suffices_except_without_the_hessian():
    this = make()
    bare = BareStep(lambda eta, state, batch: this.problem.learner.step(eta, state, batch))
    problem = this.problem._replace(learner=bare, meta_loss=lambda state, *rest: meta_loss(state.params, *rest))
    got, expected = this._replace(problem=problem).estimate(forward())[0], this.estimate(truncated(1))[0]
    np.testing.assert_allclose(got["discount"], expected["discount"], rtol=1e-10)
    with pytest.raises(EstimatorError, match="got a bare step function"):
        this._replace(problem=problem).estimate(forward(hessian=False))


@pytest.mark.parametrize("arguments", [{"decay": 0.0}, {"decay": 1.1}, {"unroll": 0}, {"unroll": 1.5}])
def test_settings_out_of_range_are_refused(arguments):
    with pytest.raises(EstimatorError, match="expected 0 < decay <= 1 and a whole unroll >= 1"):
        inspect.unwrap(forward)(**arguments)


def test_too_many_scalars_are_refused_with_advice():
    spec = {"learning_rate": MetaParam(0.1, positive, per_parameter), "discount": 0.9, "penalty": 0.1}
    inner = learner(loss, lambda eta: sgd(eta["learning_rate"]))
    this = assemble(spec, inner)
    this.estimate(forward())  # three parameters: three tangents
    state = inner.init({"w": jnp.zeros(129)}, values(spec))
    tuning = tuner(spec, inner, meta_loss, forward())
    with pytest.raises(EstimatorError, match=r"here there are 129, expected 1 to 128.*mode='mixed'"):
        tuning.init(state)


def test_it_needs_a_validation_batch():
    with pytest.raises(EstimatorError, match="validation=None"):
        make()._replace(validation=None).estimate(forward())
