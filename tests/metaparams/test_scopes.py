"""Scopes: what one declared value becomes, and what an update rule sees of it."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from selftune.errors import SettingError
from selftune.metaparams import (
    MetaParam,
    between,
    bind,
    contextual,
    one_minus,
    per_layer,
    per_parameter,
    positive,
    scalar,
)

PARAMS = {
    "body": [{"weight": jnp.zeros((2, 3)), "bias": jnp.zeros(3)}, {"weight": jnp.zeros((3, 1))}],
    "scale": jnp.zeros(2),
}


def test_scalar_is_the_value():
    space = bind({"rate": MetaParam(0.5, positive, scalar)}, PARAMS)
    meta_params = space.init(jax.random.key(0))
    np.testing.assert_allclose(meta_params["rate"], np.log(0.5), rtol=1e-6)
    np.testing.assert_allclose(space.resolve(meta_params, None)["rate"], 0.5, rtol=1e-6)


def test_per_layer_is_one_number_for_what_shares_a_parent():
    space = bind({"rate": MetaParam(0.5, positive, per_layer)}, PARAMS)
    meta_params = space.init(jax.random.key(0))
    assert set(meta_params["rate"]) == {"body/0", "body/1", "scale"}
    meta_params["rate"]["body/0"] = jnp.log(2.0)
    rate = space.resolve(meta_params, None)["rate"]
    assert jax.tree.structure(rate) == jax.tree.structure(PARAMS)
    np.testing.assert_allclose(rate["body"][0]["weight"], 2.0, rtol=1e-6)
    np.testing.assert_allclose(rate["body"][0]["bias"], 2.0, rtol=1e-6)
    np.testing.assert_allclose(rate["body"][1]["weight"], 0.5, rtol=1e-6)


def test_per_parameter_has_the_shape_of_the_parameters():
    space = bind({"rate": MetaParam(0.5, positive, per_parameter)}, PARAMS)
    rate = space.resolve(space.init(jax.random.key(0)), None)["rate"]
    assert jax.tree.map(jnp.shape, rate) == jax.tree.map(jnp.shape, PARAMS)
    np.testing.assert_allclose(rate["scale"], 0.5, rtol=1e-6)


class TestContextual:
    spec = {"discount": MetaParam(0.9, one_minus(), contextual(2, hidden=(4,)))}  # noqa: RUF012
    space = bind(spec, PARAMS)

    def test_every_context_gives_the_declared_value_at_first(self):
        meta_params = self.space.init(jax.random.key(0))
        for context in (jnp.zeros(2), jnp.array([1.0, -1.0])):
            np.testing.assert_allclose(self.space.resolve(meta_params, context)["discount"], 0.9, rtol=1e-5)

    def test_its_weights_are_what_is_learned_and_the_context_is_a_constant(self):
        meta_params = self.space.init(jax.random.key(0))
        meta_params["discount"]["output"]["weight"] = jnp.ones(4)

        def value(meta_params, context):
            return self.space.resolve(meta_params, context)["discount"]

        weights, context = jax.grad(value, argnums=(0, 1))(meta_params, jnp.array([0.3, 0.7]))
        assert all(jnp.abs(leaf).max() > 0 for leaf in jax.tree.leaves(weights))
        np.testing.assert_array_equal(context, 0.0)
        assert value(meta_params, jnp.array([0.3, 0.7])) != value(meta_params, jnp.array([0.1, 0.7]))

    def test_its_network_depends_on_the_key(self):
        one, two = (self.space.init(jax.random.key(k))["discount"]["hidden"][0]["weight"] for k in (0, 1))
        assert (one != two).all()

    @pytest.mark.parametrize(("context", "got"), [(None, "none"), (jnp.zeros(3), r"\(3,\)")])
    def test_a_context_that_does_not_fit_is_refused(self, context, got):
        with pytest.raises(SettingError, match=rf"shape \(2,\), got.*{got}.*`context=`"):
            self.space.resolve(self.space.init(jax.random.key(0)), context)

    @pytest.mark.parametrize(("size", "hidden"), [(0, (4,)), (2, (0,)), (2.5, ()), (2, (1.5,)), (2, 32), ("2", "4")])
    def test_sizes_that_are_not_positive_are_refused(self, size, hidden):
        with pytest.raises(SettingError, match="expected positive sizes, whole numbers"):
            inspect.unwrap(contextual)(size, hidden)


@pytest.mark.parametrize("scope", [scalar, per_layer, per_parameter, contextual(2)], ids=lambda scope: scope.name)
def test_move_changes_the_unconstrained_value_and_nothing_else(scope):
    spec = {"rate": MetaParam(0.5, positive, scope)}
    space = bind(spec, PARAMS)
    meta_params = space.init(jax.random.key(0))
    moved = {"rate": scope.move(lambda x: x + jnp.log(3.0), meta_params["rate"])}
    before, after = (space.resolve(m, jnp.array([0.2, -0.4]))["rate"] for m in (meta_params, moved))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(3.0 * a, b, rtol=1e-5), before, after)


@pytest.mark.parametrize("scope", [scalar, per_layer, per_parameter, contextual(2)], ids=lambda scope: scope.name)
@pytest.mark.parametrize(("constraint", "inside"), [(positive, 0.2), (one_minus(), 0.9)], ids=["positive", "one_minus"])
def test_no_value_leaves_an_interval_and_those_inside_are_what_they_were(scope, constraint, inside):
    ends, context = (0.5 * inside, min(2.0 * inside, 0.99)), jnp.array([0.2, -0.4])
    held = between(*constraint.coordinates(ends), scope)
    free, bound = (bind({"rate": MetaParam(inside, constraint, s)}, PARAMS) for s in (scope, held))
    start = free.init(jax.random.key(0))
    jax.tree.map(np.testing.assert_array_equal, *(space.resolve(start, context)["rate"] for space in (free, bound)))
    reached = []
    for shift in (-30.0, 30.0):
        far = {"rate": scope.move(lambda x, shift=shift: x + shift, start["rate"])}
        value = jax.tree.leaves(bound.resolve(far, context)["rate"])
        assert all(np.allclose(leaf, value[0].ravel()[0]) for leaf in value)
        reached.append(float(value[0].ravel()[0]))
    np.testing.assert_allclose(sorted(reached), ends, rtol=1e-5)


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_beyond_an_end_the_slope_is_that_of_the_end_so_that_there_is_a_way_back(sign):
    spec = {"rate": MetaParam(0.2, positive, between(*positive.coordinates((0.1, 0.4)), contextual(2, ())))}
    space, context = bind(spec, PARAMS), jnp.array([1.0, -1.0])
    far = space.init(jax.random.key(0))
    far["rate"]["output"]["weight"] = jnp.array([sign * 5.0, 0.0])
    value, slope = jax.value_and_grad(lambda meta_params: space.resolve(meta_params, context)["rate"])(far)
    end = 0.4 if sign > 0 else 0.1
    assert float(value) == pytest.approx(end, rel=1e-6)
    assert float(slope["rate"]["output"]["bias"]) == pytest.approx(end, rel=1e-6), "d exp(x) / dx"
    np.testing.assert_allclose(slope["rate"]["output"]["weight"], end * context, rtol=1e-6)


@pytest.mark.parametrize("ends", [(2.0, 1.0), (1.0, 1.0), (float("nan"), 1.0)])
def test_an_interval_with_nothing_in_it_is_refused(ends):
    with pytest.raises(SettingError, match="expected lowest below highest"):
        between(*ends, scalar)


def test_an_interval_keeps_the_dtype():
    held = between(*positive.coordinates((0.1, 0.4)), scalar)
    for dtype in (jnp.bfloat16, jnp.float32):
        assert held.expand(jnp.asarray(-1.0, dtype), PARAMS, None).dtype == dtype
