"""The rules have optax's values, and derivatives that are right and finite where optax's are not."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings, strategies as st
from jax.flatten_util import ravel_pytree

from selftune import optim
from selftune.errors import SettingError


def _clipped(eta):
    return optim.chain(optim.clip_by_global_norm(eta["max_norm"]), optim.sgd(eta["lr"]))


# ours, optax's, and a value for every constant. eps is large enough to matter in a central difference.
RULES = {
    "sgd": (
        lambda eta: optim.sgd(eta["lr"]),
        lambda eta: optax.sgd(eta["lr"]),
        {"lr": 0.1},
    ),
    "momentum": (
        lambda eta: optim.momentum(eta["lr"], eta["decay"]),
        lambda eta: optax.sgd(eta["lr"], eta["decay"]),
        {"lr": 0.05, "decay": 0.8},
    ),
    "rmsprop": (
        lambda eta: optim.rmsprop(eta["lr"], eta["decay"], eta["eps"]),
        lambda eta: optax.rmsprop(eta["lr"], eta["decay"], eta["eps"]),
        {"lr": 0.05, "decay": 0.9, "eps": 1e-3},
    ),
    "adam": (
        lambda eta: optim.adam(eta["lr"], eta["b1"], eta["b2"], eta["eps"]),
        lambda eta: optax.adam(eta["lr"], eta["b1"], eta["b2"], eta["eps"]),
        {"lr": 0.05, "b1": 0.9, "b2": 0.99, "eps": 1e-3},
    ),
    "adamw": (
        lambda eta: optim.adamw(eta["lr"], eta["b1"], eta["b2"], eta["eps"], eta["decay"]),
        lambda eta: optax.adamw(eta["lr"], eta["b1"], eta["b2"], eta["eps"], weight_decay=eta["decay"]),
        {"lr": 0.05, "b1": 0.9, "b2": 0.99, "eps": 1e-3, "decay": 0.1},
    ),
    "lion": (
        lambda eta: optim.lion(eta["lr"], eta["b1"], eta["b2"], eta["decay"]),
        lambda eta: optax.lion(eta["lr"], eta["b1"], eta["b2"], weight_decay=eta["decay"]),
        {"lr": 0.05, "b1": 0.9, "b2": 0.99, "decay": 0.1},
    ),
    "clip_by_global_norm": (
        _clipped,
        lambda eta: optax.chain(optax.clip_by_global_norm(eta["max_norm"]), optax.sgd(eta["lr"])),
        {"lr": 0.05, "max_norm": 1.0},
    ),
    "add_decayed_weights": (
        lambda eta: optim.chain(optim.add_decayed_weights(eta["decay"]), optim.sgd(eta["lr"])),
        lambda eta: optax.chain(optax.add_decayed_weights(eta["decay"]), optax.sgd(eta["lr"])),
        {"lr": 0.1, "decay": 0.3},
    ),
}
every_rule = pytest.mark.parametrize("name", RULES)


def _params(dtype=float):
    return {"policy": {"w": jnp.array([0.5, -1.0, 2.0], dtype)}, "critic": jnp.array(0.3, dtype)}


def _loss(params):
    """A smooth loss in which the last entry of `w` is a dead unit: its gradient is 0 for ever."""
    w, b = params["policy"]["w"], params["critic"]
    return (w[0] * b - 1.3) ** 2 + jnp.cosh(w[1] - 0.4 * b) + 0.5 * b**2 + 0.0 * w[2]


def _run(rule: Callable, eta, params, steps: int = 5):
    def step(carry, _):
        params, state = carry
        updates, state = transformation.update(jax.grad(_loss)(params), state, params)
        return (optax.apply_updates(params, updates), state), None

    transformation = rule(eta)
    return jax.lax.scan(step, (params, transformation.init(params)), None, length=steps)[0][0]


def _outcome(rule: Callable, eta) -> jax.Array:
    params = _run(rule, eta, _params())
    return _loss(params) + params["policy"]["w"].sum()


def _derivatives(function, at, steps):
    """The gradient of a function of a vector: by central differences, in reverse mode and in forward mode.

    All three run under `vmap`, as a population of agents with constants of their own would.
    """
    shifts = jnp.diag(steps)
    points = jnp.concatenate([at[None] + shifts, at[None] - shifts])
    ahead, behind = jax.jit(jax.vmap(function))(points).reshape(2, -1)
    reverse, forward = (jax.jit(jax.vmap(mode(function)))(at[None])[0] for mode in (jax.grad, jax.jacfwd))
    return (ahead - behind) / (2 * steps), reverse, forward


def _finite(tree) -> bool:
    return all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(tree))


@partial(jax.jit, static_argnums=0)
def _replay(rule: Callable, eta, gradients):
    params = jnp.zeros(gradients.shape[1:]) + 0.7
    transformation = rule(eta)

    def step(carry, gradient):
        params, state = carry
        updates, state = transformation.update(gradient, state, params)
        return (optax.apply_updates(params, updates), state), updates

    return jax.lax.scan(step, (params, transformation.init(params)), gradients)[1]


@every_rule
@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 2**31),
    exponent=st.integers(-12, 6),
    share_of_zeros=st.sampled_from([0.0, 0.5, 0.9, 1.0]),
)
def test_values_equal_optax(name, seed, exponent, share_of_zeros):
    ours, theirs, eta = RULES[name]
    random = np.random.default_rng(seed)
    gradients = random.normal(size=(6, 4)) * 10.0**exponent * (random.uniform(size=(6, 4)) >= share_of_zeros)
    gradients = jnp.asarray(gradients, jnp.float32)
    actual, expected = _replay(ours, eta, gradients), _replay(theirs, eta, gradients)
    np.testing.assert_allclose(actual, expected, rtol=3e-6, atol=1e-7 * abs(expected).max())


@every_rule
def test_derivatives_equal_central_differences(float64, name):
    rule, _, eta = RULES[name]
    values, rebuild = ravel_pytree(jax.tree.map(jnp.asarray, eta))
    expected, reverse, forward = _derivatives(lambda flat: _outcome(rule, rebuild(flat)), values, 1e-6 * values)
    np.testing.assert_allclose(reverse, expected, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(forward, reverse, rtol=1e-8)
    moving = [constant for constant in sorted(eta) if not (name == "lion" and constant in ("b1", "b2"))]
    assert (jnp.abs(expected) > 1e-4).sum() == len(moving)


def test_bias_correction_is_differentiable_at_decays_of_zero(float64):
    def outcome(decays):
        return _outcome(lambda b: optim.adam(0.05, b[0], b[1], 1e-3), decays)

    expected, reverse, _ = _derivatives(outcome, jnp.zeros(2), 1e-6 * jnp.ones(2))
    np.testing.assert_allclose(reverse, expected, rtol=1e-5)


@every_rule
def test_derivatives_are_finite_when_the_gradient_is_zero_for_ever(name):
    rule, _, eta = RULES[name]

    def outcome(eta, scale):
        params, gradient = jnp.ones(3), scale * jnp.zeros(3)
        transformation = rule(eta)
        state = transformation.init(params)
        for _ in range(2):
            updates, state = transformation.update(gradient + 0.0 * params, state, params)
            params = optax.apply_updates(params, updates)
        return params.sum() + sum(leaf.sum() for leaf in jax.tree.leaves(state))

    eta = {key: jnp.float32(value) for key, value in eta.items()}
    derivatives = jax.jit(jax.grad(outcome, (0, 1), allow_int=True))(eta, 1.0)
    assert _finite(derivatives)
    assert _finite(jax.jit(jax.hessian(outcome))(eta, 1.0))


@pytest.mark.parametrize("gradient", [0.0, 1e-38, 1e-30, 1e-25, 1e-21, 1e-20, 1e-19, 1e-18, 1e-17, 1e-12])
def test_slope_of_adam_is_bounded_where_the_second_moment_underflows(gradient):
    # The first step is −α g / (|g| + ε), of slope −α ε / (|g| + ε)². In float32 (1 − b2) g² is 0 below 1e-22.5,
    # a denormal number below 3e-18, and normal above: the slope must be right on all three sides.
    alpha, eps = 1e-3, 1e-8

    def update(g):
        transformation = optim.adam(alpha, eps=eps)
        return transformation.update(g, transformation.init(g))[0]

    slope = jax.jit(jax.grad(update))(jnp.float32(gradient))
    np.testing.assert_allclose(slope, -alpha * eps / (gradient + eps) ** 2, rtol=1e-4)


def test_meta_gradient_of_adam_survives_a_tiny_second_moment_over_many_steps():
    def outcome(b2):
        transformation = optim.adam(1e-3, b2=b2)
        state = transformation.init(jnp.zeros(()))
        total = 0.0
        for gradient in (1e-19, 0.0, 3e-20, 0.0, 0.0):
            update, state = transformation.update(jnp.float32(gradient) * b2, state)
            total += update
        return total

    value, derivative = jax.jit(jax.value_and_grad(outcome))(0.5)
    assert abs(value) < 1e-12
    assert abs(derivative) < 1e-12


def test_optax_itself_is_not_finite_there():
    # The reason for this module. Should optax ever change, the rules can become plain re-exports.
    def outcome(rate, make):
        transformation = make(rate)
        params = jnp.ones(2)
        state = transformation.init(params)
        updates, _ = transformation.update(jnp.array([rate, 0.0 * rate]), state, params)
        return updates.sum()

    assert jnp.isnan(jax.grad(outcome)(0.1, optax.adam))
    assert jnp.isfinite(jax.grad(outcome)(0.1, optim.adam))


def _clip(max_norm, gradient):
    transformation = optim.clip_by_global_norm(max_norm)
    return transformation.update(gradient, transformation.init(gradient))[0]


def test_clip_by_global_norm_is_differentiable_in_its_bound():
    gradient = {"a": jnp.array([3.0, 0.0]), "b": jnp.array(4.0)}  # norm 5
    slope = jax.jacfwd(_clip)
    active = slope(2.0, gradient)  # g / |g|
    np.testing.assert_allclose(active["a"], [0.6, 0.0], rtol=1e-6)
    np.testing.assert_allclose(active["b"], 0.8, rtol=1e-6)
    for idle in (slope(6.0, gradient), slope(2.0, jax.tree.map(jnp.zeros_like, gradient))):
        assert all((leaf == 0.0).all() for leaf in jax.tree.leaves(idle))


@pytest.mark.parametrize("scale", [0.0, 1e-30, 1e-18])
def test_clip_by_global_norm_is_the_identity_around_zero(scale):
    gradient = jnp.float32(scale) * jnp.array([3.0, -4.0, 0.0])
    np.testing.assert_array_equal(_clip(1.0, gradient), gradient)
    np.testing.assert_array_equal(jax.jit(jax.jacrev(partial(_clip, 1.0)))(gradient), jnp.eye(3))


@every_rule
def test_nothing_recompiles_when_constants_move(name):
    rule, _, eta = RULES[name]
    params = _params()
    state = rule(eta).init(params)

    @jax.jit
    def step(eta, params, state):
        updates, state = rule(eta).update(jax.grad(_loss)(params), state, params)
        return optax.apply_updates(params, updates), state

    for factor in (1.0, 0.5, 0.9):
        params, state = step({key: jnp.float32(factor * value) for key, value in eta.items()}, params, state)
    assert step._cache_size() == 1


@every_rule
def test_state_keeps_the_dtype_of_the_params(name):
    rule, _, eta = RULES[name]
    eta = {key: jnp.float32(value) for key, value in eta.items()}
    params = _params(jnp.bfloat16)
    transformation = rule(eta)
    state = transformation.init(params)
    updates, new_state = transformation.update(jax.grad(_loss)(params), state, params)
    same = jax.tree.map(lambda old, new: old.dtype == new.dtype and not new.weak_type, state, new_state)
    assert all(jax.tree.leaves(same))
    assert all(leaf.dtype == jnp.bfloat16 for leaf in jax.tree.leaves(updates))
    assert not any(leaf.weak_type for leaf in jax.tree.leaves(transformation.init({"w": jnp.asarray(1.0)})))


def _prefixed(eta):
    return optim.adamw(eta["lr"], weight_decay=eta["decay"])


def test_a_prefix_gives_every_subtree_its_own_rate():
    prefix = {"lr": {"policy": 0.1, "critic": 0.01}, "decay": {"policy": 0.0, "critic": 0.5}}
    both = _run(_prefixed, prefix, _params(), steps=1)
    for part in ("policy", "critic"):
        alone = _run(_prefixed, {"lr": prefix["lr"][part], "decay": prefix["decay"][part]}, _params(), steps=1)
        np.testing.assert_allclose(jax.tree.leaves(both[part])[0], jax.tree.leaves(alone[part])[0], rtol=1e-6)


def test_a_full_tree_gives_every_entry_its_own_rate():
    rates = {"policy": {"w": jnp.array([0.1, 0.0, 0.2])}, "critic": 0.05}
    gradient = {"policy": {"w": jnp.array([1.0, 2.0, 3.0])}, "critic": jnp.array(4.0)}
    transformation = optim.sgd(rates)
    updates, _ = transformation.update(gradient, transformation.init(gradient))
    np.testing.assert_allclose(updates["policy"]["w"], [-0.1, 0.0, -0.6], rtol=1e-6)
    np.testing.assert_allclose(updates["critic"], -0.2, rtol=1e-6)


def test_derivatives_come_in_the_shape_of_the_prefix(float64):
    rates = {"policy": {"w": jnp.array([0.1, 0.03, 0.2])}, "critic": jnp.array(0.05)}

    values, rebuild = ravel_pytree(rates)

    def outcome(flat):
        return _outcome(_prefixed, {"lr": rebuild(flat), "decay": {"policy": 0.1, "critic": 0.2}})

    expected, reverse, _ = _derivatives(outcome, values, 1e-6 * values)
    np.testing.assert_allclose(reverse, expected, rtol=1e-6)
    assert jax.tree.structure(rebuild(reverse)) == jax.tree.structure(rates)


def test_a_prefix_works_under_a_mask():
    params = _params()
    rule = optax.masked(optim.adamw({"policy": 0.1, "critic": 0.2}), {"policy": False, "critic": True})
    gradient = jax.grad(_loss)(params)
    updates, _ = rule.update(gradient, rule.init(params), params)
    np.testing.assert_array_equal(updates["policy"]["w"], gradient["policy"]["w"])
    np.testing.assert_allclose(updates["critic"], -0.2 * (jnp.sign(gradient["critic"]) + 1e-4 * 0.3), rtol=1e-5)


@pytest.mark.parametrize(
    ("rates", "complaint"),
    [
        ({"policy": 0.1, "actor": 0.2}, "prefix of the parameters"),
        ({"policy": jnp.ones((2, 3)), "critic": 0.1}, r"shape \(3,\) into one of shape \(2, 3\)"),
        ({"policy": 0.1, "critic": jnp.ones(1)}, r"shape \(\) into one of shape \(1,\)"),
    ],
)
def test_a_rate_that_does_not_fit_is_refused(rates, complaint):
    params = _params()
    rule = optim.sgd(rates)
    with jax.numpy_rank_promotion("allow"), pytest.raises(SettingError, match=complaint):
        rule.update(params, rule.init(params), params)


def test_weight_decay_without_params_is_refused():
    rule = optim.adamw(0.1)
    with pytest.raises(SettingError, match="no parameters"):
        rule.update(jnp.ones(2), rule.init(jnp.ones(2)))


def test_rules_ignore_extras_meant_for_others():
    rule = optim.chain(optim.clip_by_global_norm(1.0), optim.adam(0.1))
    gradient = jnp.ones(2)
    updates, _ = rule.update(gradient, rule.init(gradient), gradient, features=gradient)
    np.testing.assert_allclose(updates, -0.1, rtol=1e-5)
