"""The inner update: a semi-gradient without a cut, memory, extras, projections, replays, and refusals."""

import dataclasses
import inspect
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from selftune import optim
from selftune.errors import RuleError, SettingError
from selftune.learning import BareStep, Memory, Projection, learner

ETA = {"discount": jnp.array(0.9), "rate": jnp.array(0.1), "mix": jnp.array(0.25)}
PARAMS = {"w": jnp.array([1.0, -2.0])}
BATCH = (jnp.array([[0.5, 1.0]]), jnp.array([[1.0, -1.0]]), jnp.array([0.3]))


def td(params, frozen, eta, batch):
    x, x_next, reward = batch
    error = reward + eta["discount"] * x_next @ frozen["w"] - x @ params["w"]
    return 0.5 * jnp.square(error).mean(), {"error": error}


def sgd(eta):
    return optim.sgd(eta["rate"])


class TestGradient:
    # error = 0.3 + 0.9 * (1 + 2) - (0.5 - 2) = 4.5; semi-gradient = -error x = (-2.25, -4.5).
    SEMI = (-2.25, -4.5)

    def test_it_is_the_semi_gradient(self):
        inner = learner(td, sgd)
        gradient, (loss, aux) = inner.gradient(ETA, inner.init(PARAMS, ETA), BATCH)
        np.testing.assert_allclose(gradient["w"], self.SEMI, rtol=1e-6)
        np.testing.assert_allclose(loss, 4.5**2 / 2, rtol=1e-6)
        np.testing.assert_allclose(aux["error"], [4.5], rtol=1e-6)

    def test_nothing_is_cut_so_the_discount_has_its_derivative(self):
        # d/d discount of -error x = -(x_next w) x = -3 x.
        inner = learner(td, sgd)
        state = inner.init(PARAMS, ETA)
        slope = jax.jacobian(lambda g: inner.gradient(ETA | {"discount": g}, state, BATCH)[0]["w"])(ETA["discount"])
        np.testing.assert_allclose(slope, [-1.5, -3.0], rtol=1e-6)

    def test_derivatives_flow_through_the_frozen_parameters_across_updates(self):
        # d(semi-gradient)/dw = -(discount x_next - x) x, the full Jacobian; held still it would be x x.
        inner = learner(td, sgd)
        state = inner.init(PARAMS, ETA)
        jacobian = jax.jacobian(lambda w: inner.gradient(ETA, state._replace(params={"w": w}), BATCH)[0]["w"])
        x, x_next = (np.asarray(leaf[0]) for leaf in BATCH[:2])
        np.testing.assert_allclose(jacobian(PARAMS["w"]), -np.outer(x, 0.9 * x_next - x), rtol=1e-6)

    def test_freeze_decides_what_is_held_still(self):
        inner = learner(td, sgd, freeze=lambda state: {"w": jnp.zeros(2)})
        gradient, _ = inner.gradient(ETA, inner.init(PARAMS, ETA), BATCH)
        np.testing.assert_allclose(gradient["w"], [-0.9, -1.8], rtol=1e-6)  # error = 0.3 + 1.5


def test_a_step_is_apply_after_gradient():
    inner = learner(td, lambda eta: optim.momentum(eta["rate"]))
    state, info = inner.step(ETA, inner.init(PARAMS, ETA), BATCH)
    np.testing.assert_allclose(state.params["w"], [1.0 + 0.225, -2.0 + 0.45], rtol=1e-6)
    np.testing.assert_allclose(info.loss, 10.125, rtol=1e-6)
    np.testing.assert_allclose(info.gradient_norm, np.hypot(2.25, 4.5), rtol=1e-6)
    assert info.scale is None
    assert info.distance == 0.0
    trace = jax.tree.leaves(state.opt_state)
    assert any(np.allclose(leaf, (-2.25, -4.5)) for leaf in trace)


def test_memory_moves_after_each_update_and_is_differentiable():
    def mix(eta, memory, params, batch):
        slow = memory["slow"] + eta["mix"] * (params["w"] - memory["slow"])
        return {"slow": slow, "count": memory["count"] + 1}

    inner = learner(
        td,
        sgd,
        freeze=lambda state: {"w": state.memory["slow"]},
        memory=Memory(lambda params, eta: {"slow": params["w"], "count": jnp.asarray(0)}, mix),
    )

    def after(mix):
        state = inner.init(PARAMS, ETA)
        return inner.step(ETA | {"mix": mix}, state, BATCH)[0]

    state = after(ETA["mix"])
    np.testing.assert_allclose(state.memory["slow"], [1.0 + 0.225 / 4, -2.0 + 0.45 / 4], rtol=1e-6)
    assert state.memory["count"] == 1
    slope = jax.jacobian(lambda mix: after(mix).memory["slow"])(ETA["mix"])
    np.testing.assert_allclose(slope, [0.225, 0.45], rtol=1e-5)
    assert inner.split(state)[1]["w"] is state.memory["slow"]


class TestExtras:
    @staticmethod
    def rule(eta):
        def update(updates, state, params=None, *, error, **extra_args):
            return {"w": -error.sum() * jnp.ones(2)}, state

        return optax.GradientTransformationExtraArgs(optax.init_empty_state, update)

    def test_they_come_from_the_loss(self):
        inner = learner(td, self.rule, extras=["error"])
        state, _ = inner.step(ETA, inner.init(PARAMS, ETA), BATCH)
        np.testing.assert_allclose(state.params["w"], [-3.5, -6.5], rtol=1e-6)

    def test_they_may_be_attributes(self):
        class Aux(NamedTuple):
            error: jax.Array

        inner = learner(lambda *arguments: (td(*arguments)[0], Aux(jnp.ones(1))), self.rule, extras=["error"])
        state, _ = inner.step(ETA, inner.init(PARAMS, ETA), BATCH)
        np.testing.assert_allclose(state.params["w"], [0.0, -3.0], rtol=1e-6)

    def test_a_rule_is_asked_when_they_are_known(self):
        def rooted(eta):
            def update(updates, state, params=None, *, error, **extra_args):
                return jax.tree.map(lambda u: u / jnp.sqrt((u**2).sum()) * error.mean(), updates), state

            return optax.GradientTransformationExtraArgs(optax.init_empty_state, update)

        inner = learner(td, rooted, extras=["error"])
        with pytest.raises(RuleError, match="the gradient of w"):
            inner.step(ETA, inner.init(PARAMS, ETA), BATCH)

    def test_what_init_was_given_stands_for_what_a_trace_does_not_tell(self):
        def narrow(eta):  # no derivative below 0.7, and the stand-in for what is not known is 0.5
            def update(updates, state, params=None, *, error, **extra_args):
                return jax.tree.map(lambda u: jnp.sqrt(eta["discount"] - 0.7) * u, updates), state

            return optax.GradientTransformationExtraArgs(optax.init_empty_state, update)

        inner = learner(td, narrow, extras=["error"])
        state = inner.init(PARAMS, ETA)
        moved, _ = jax.jit(inner.step)(ETA, state, BATCH)
        assert jnp.isfinite(moved.params["w"]).all()

    def test_a_missing_one_is_refused_by_name(self):
        inner = learner(td, self.rule, extras=["eror"])
        with pytest.raises(SettingError, match=r"needs 'eror' from the loss's aux.*did you mean 'error'"):
            inner.step(ETA, inner.init(PARAMS, ETA), BATCH)


class TestProjection:
    def half(self):
        return dataclasses.replace(
            learner(td, sgd),
            projection=Projection(lambda params, updates, batch: (jnp.asarray(0.5), jnp.asarray(7.0))),
        )

    def test_it_scales_the_update_and_is_reported(self):
        inner = self.half()
        state, info = inner.step(ETA, inner.init(PARAMS, ETA), BATCH)
        np.testing.assert_allclose(state.params["w"], [1.0 + 0.1125, -2.0 + 0.225], rtol=1e-6)
        assert info.scale == 0.5
        assert info.distance == 7.0

    def test_a_replay_uses_the_factor_that_was_in_force(self):
        inner = self.half()
        state, info = inner.step(ETA, inner.init(PARAMS, ETA), BATCH, scale=jnp.asarray(0.1))
        np.testing.assert_allclose(state.params["w"], [1.0 + 0.0225, -2.0 + 0.045], rtol=1e-6)
        assert info.scale == np.float32(0.1)

    def test_its_factor_is_a_constant_to_the_gradient(self):
        inner = dataclasses.replace(
            learner(td, sgd),
            projection=Projection(lambda params, updates, batch: (1.0 / jnp.abs(updates["w"][0]), jnp.zeros(()))),
        )
        state = inner.init(PARAMS, ETA)
        slope = jax.jacobian(lambda rate: inner.step(ETA | {"rate": rate}, state, BATCH)[0].params["w"])(ETA["rate"])
        # w + s r (2.25, 4.5) with s = 1 / 0.225 held still; s r itself does not depend on the rate at all.
        np.testing.assert_allclose(slope, [10.0, 20.0], rtol=1e-5)


def test_a_rule_whose_derivative_is_not_finite_is_refused_at_init():
    with pytest.raises(RuleError):
        learner(td, lambda eta: optax.adam(eta["rate"])).init(PARAMS, ETA)
    learner(td, lambda eta: optim.adam(eta["rate"])).init(PARAMS, ETA)


@pytest.mark.parametrize("wrong", [jnp.ones(2, int), 1, jax.random.key(0), jnp.tanh])
def test_parameters_that_no_gradient_can_move_are_refused(wrong):
    with pytest.raises(SettingError, match="at 'w/0'; expected real numbers, which a gradient can move"):
        learner(td, sgd).init({"w": [wrong, jnp.ones(2)]}, ETA)


def test_the_state_has_no_weak_types():
    inner = learner(td, lambda eta: optax.sgd(eta["rate"], momentum=0.5))
    state = inner.init({"w": jnp.full(2, 1.0)}, ETA)
    assert not any(leaf.weak_type for leaf in jax.tree.leaves(state))
    new, _ = inner.step(ETA, state, BATCH)
    assert jax.tree.map(jnp.result_type, new) == jax.tree.map(jnp.result_type, state)


@pytest.mark.parametrize(
    "arguments", [{"loss": 1.0}, {"rule": optim.sgd(0.1)}, {"freeze": PARAMS}], ids=lambda a: next(iter(a))
)
def test_what_is_no_function_is_refused(arguments):
    with pytest.raises(SettingError, match=f"expects {next(iter(arguments))} to be a function, got"):
        inspect.unwrap(learner)(**{"loss": td, "rule": sgd} | arguments)


def test_a_bare_step_is_judged_as_a_whole():
    bare = BareStep(lambda eta, state, batch: (state + batch, "info"))
    assert bare.step(ETA, jnp.asarray(1.0), jnp.asarray(2.0)) == (3.0, "info")
    assert bare.split("state") == ("state", "state")


class TestLoss:
    def test_a_number_alone_is_refused(self):
        inner = learner(lambda *arguments: td(*arguments)[0], sgd)
        with pytest.raises(SettingError, match=r"expected a pair `\(value, aux\)`"):
            inner.step(ETA, inner.init(PARAMS, ETA), BATCH)

    def test_a_value_that_is_not_one_number_is_refused(self):
        inner = learner(lambda params, frozen, eta, batch: (params["w"], {}), sgd)
        with pytest.raises(SettingError, match=r"a value of the shape \(2,\); expected one number"):
            inner.step(ETA, inner.init(PARAMS, ETA), BATCH)

    def test_a_misspelt_name_is_told_with_those_that_are(self):
        inner = learner(lambda params, frozen, eta, batch: (eta["gama"] * params["w"].sum(), {}), sgd)
        with pytest.raises(KeyError, match="gama") as caught:
            inner.step(ETA, inner.init(PARAMS, ETA), BATCH)
        assert "it holds discount, mix, rate" in caught.value.__notes__[0]


def polyak(tau):
    return Memory(lambda params, eta: params, lambda eta, old, new, batch: old + tau(eta) * (new - old))


def half_mean(params, frozen, eta, batch):
    return 0.5 * jnp.square(params - batch).mean(), None


def test_a_memory_keeps_its_types_whatever_moves_it():
    """A float32 metaparameter on bfloat16 parameters; a number of Python's as the beginning."""
    count = Memory(lambda params, eta: (0.0, 0), lambda eta, old, new, batch: (old[0] + eta["tau"], old[1] + 1))
    for memory in (polyak(lambda eta: eta["tau"]), count):
        inner = learner(half_mean, lambda eta: optim.sgd(0.1), memory=memory)
        eta = {"tau": jnp.float32(0.1)}
        before = inner.init(jnp.ones(2, jnp.bfloat16), eta)
        after, _ = inner.step(eta, before, jnp.zeros(2, jnp.bfloat16))
        for old, new in zip(jax.tree.leaves(before.memory), jax.tree.leaves(after.memory), strict=True):
            assert (old.dtype, old.weak_type) == (new.dtype, new.weak_type)
            assert old.tolist() != new.tolist()


def test_a_memory_may_hold_random_keys():
    memory = Memory(lambda params, eta: jax.random.key(0), lambda eta, old, new, batch: jax.random.split(old)[0])
    inner = learner(half_mean, lambda eta: optim.sgd(0.1), memory=memory)
    before = inner.init(jnp.ones(2), {})
    after, _ = inner.step({}, before, jnp.zeros(2))
    assert (jax.random.key_data(after.memory) != jax.random.key_data(before.memory)).any()


def test_a_memory_that_changes_its_shape_is_refused():
    memory = Memory(lambda params, eta: (params,), lambda eta, old, new, batch: [new])
    inner = learner(half_mean, lambda eta: optim.sgd(0.1), memory=memory)
    with pytest.raises(SettingError, match=r"Memory.update gave .*\[\*\].*expected what Memory.init gave.*\(\*,\)"):
        inner.step({}, inner.init(jnp.ones(2), {}), jnp.zeros(2))
