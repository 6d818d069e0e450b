"""Bootstrapped targets: their limit, the target itself, and what they refuse."""

import inspect
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from selftune.errors import EstimatorError, SettingError
from selftune.estimators import bootstrapped, matching, truncated
from selftune.learning import BareStep, Memory, learner
from selftune.metaparams import MetaParam, values
from selftune.optim import adam, sgd
from selftune.tuning import tuner

from .setting import RATE, make, meta_loss

pytestmark = pytest.mark.usefixtures("float64")


@pytest.mark.parametrize("unroll", [1, 2])
def test_one_target_step_of_plain_descent_is_the_rate_times_the_truncated_gradient(unroll):
    # The target is theta - a grad(outer), so the gradient of |target - theta|^2 / 2 is a grad(outer).
    this = make()
    bootstrap, plain = this.estimate(bootstrapped(unroll, 1))[0], this.estimate(truncated(unroll))[0]
    for name, gradient in plain.items():
        assert abs(gradient) > 1e-6
        np.testing.assert_allclose(bootstrap[name], RATE * gradient, rtol=1e-10)


def test_the_target_goes_on_with_the_inner_rule_and_is_held_still():
    this = make(lambda eta: adam(eta["learning_rate"], eps=0.1))
    learner, eta = this.problem.learner, this.problem.resolve(this.meta_params, None)
    state = this.state
    states = []
    for k in range(3):
        state, _ = learner.step(eta, state, jax.tree.map(lambda leaf, k=k: leaf[k], this.batches))
        states.append(state)
    slope = jax.grad(lambda params: meta_loss(params, None, None, this.validation)[0])(state.params)
    target = learner.apply(eta, state, slope, this.validation)[0].params["w"]

    def distance(meta_params):
        first = jax.tree.map(lambda leaf: leaf[0], this.batches)
        after, _ = learner.step(this.problem.resolve(meta_params, None), this.state, first)
        return 0.5 * jnp.sum((target - after.params["w"]) ** 2)

    meta_grad, last, _, info = this.estimate(bootstrapped(1, 3))
    for name, gradient in jax.grad(distance)(this.meta_params).items():
        np.testing.assert_allclose(meta_grad[name], gradient, rtol=1e-9, atol=1e-12)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), last, states[2])
    assert info.steps.loss.shape == (3,)


def test_the_divergence_of_policies():
    # Target (1/2, 1/2), policy (1/4, 3/4): 1/2 log 2 + 1/2 log(2/3).
    divergence = matching.policy_divergence(lambda params, batch: params[None])
    value = divergence(jnp.zeros(2), jnp.log(jnp.array([0.25, 0.75])), None)
    np.testing.assert_allclose(value, 0.5 * np.log(2.0) + 0.5 * np.log(2.0 / 3.0), rtol=1e-12)
    slope = jax.grad(divergence, argnums=1)(jnp.zeros(2), jnp.log(jnp.array([0.25, 0.75])), None)
    np.testing.assert_allclose(slope, [-0.25, 0.25], rtol=1e-12)  # policy - target


def test_what_cannot_be_done_does_not_tell_policies_apart():
    divergence = matching.policy_divergence(lambda params, batch: jnp.append(params, -jnp.inf)[None])
    value, slope = jax.value_and_grad(divergence, argnums=1)(jnp.zeros(2), jnp.log(jnp.array([0.25, 0.75])), None)
    np.testing.assert_allclose(value, 0.5 * np.log(2.0) + 0.5 * np.log(2.0 / 3.0), rtol=1e-12)
    np.testing.assert_allclose(slope, [-0.25, 0.25], rtol=1e-12)


def test_another_matching_function_is_another_gradient():
    this = make()

    def last_entry_only(target, params, batch):
        return 0.5 * (target["w"][2] - params["w"][2]) ** 2

    whole, part = (this.estimate(bootstrapped(1, 2, m))[0] for m in (matching.squared_distance, last_entry_only))
    assert abs(whole["discount"] - part["discount"]) > 1e-6


@pytest.mark.parametrize("arguments", [(0, 1), (1, 0), (1.5, 1), (1, 2.5)])
def test_settings_out_of_range_are_refused(arguments):
    with pytest.raises(EstimatorError, match="expected whole numbers >= 1"):
        inspect.unwrap(bootstrapped)(*arguments)


def test_it_needs_a_learner_and_a_validation_batch():
    this = make()
    with pytest.raises(EstimatorError, match="validation=None"):
        this._replace(validation=None).estimate(bootstrapped(1, 1))
    bare = this.problem._replace(learner=BareStep(lambda eta, state, batch: (state, None)))
    with pytest.raises(EstimatorError, match="got a bare step function"):
        this._replace(problem=bare).estimate(bootstrapped(1, 1))


def test_what_it_asks_of_the_outer_loss_is_said_of_the_outer_loss():
    this = make(lambda eta: optax.with_extra_args_support(sgd(eta["learning_rate"])), extras=("error",))
    with pytest.raises(EstimatorError, match="meta_loss's aux has it not"):
        this.estimate(bootstrapped(1, 1))

    class Aux(NamedTuple):
        error: Any

    def told(*given):
        return meta_loss(*given)[0], Aux(jnp.zeros(()))

    this._replace(problem=this.problem._replace(meta_loss=told)).estimate(bootstrapped(1, 1))
    number = this._replace(problem=this.problem._replace(meta_loss=lambda *given: meta_loss(*given)[0]))
    with pytest.raises(SettingError, match=r"expected a pair"):
        number.estimate(bootstrapped(1, 1))


def test_the_target_remembers_nothing_of_the_validation_batch():
    """Which may have another structure than those that a memory is made of."""

    def loss(params, frozen, eta, batch):
        return 0.5 * jnp.square(params - batch["x"]).mean(), None

    memory = Memory(lambda params, eta: params, lambda eta, old, new, batch: old + 0.1 * batch["x"])
    inner = learner(loss, lambda eta: sgd(eta["rate"]), memory=memory)

    def judge(params, frozen, eta, batch):
        return 0.5 * jnp.square(params - batch["y"]).mean(), None

    tuning = tuner({"rate": MetaParam(0.1)}, inner, judge, bootstrapped(1, 2))
    state = inner.init(jnp.zeros(2), values(tuning.spec))
    _, after, info = tuning.update(
        tuning.init(state), state, {"x": jnp.ones((2, 2))}, {"y": jnp.ones(2)}, jax.random.key(0)
    )
    assert float(info.meta_grad["rate"]) != 0.0
    assert after.memory.tolist() == pytest.approx([0.2, 0.2])
