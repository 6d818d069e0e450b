"""Specs: what can be declared, what is refused and how the reader is told."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from selftune.errors import MetaParamError, NotDifferentiableError, SelftuneError, UnknownMetaParamError
from selftune.metaparams import (
    MetaParam,
    bind,
    check_names,
    contextual,
    one_minus,
    per_layer,
    per_parameter,
    placed,
    positive,
    simplex,
    tuned,
    unit,
    values,
)

SPEC = {"discount": MetaParam(0.9, one_minus()), "rate": MetaParam(0.1, doc="step size"), "cost": 0.25}


def test_values_are_the_declared_ones_as_arrays():
    initial = values(SPEC)
    assert set(initial) == {"discount", "rate", "cost"}
    for name, value in {"discount": 0.9, "rate": 0.1, "cost": 0.25}.items():
        assert initial[name] == np.float32(value)
        assert not initial[name].weak_type
    assert set(tuned(SPEC)) == {"discount", "rate"}


def test_coordinates_resolve_to_the_declared_values_and_constants_stay():
    space = bind(SPEC, {"w": jnp.zeros(2)})
    meta_params = space.init(jax.random.key(0))
    assert set(meta_params) == {"discount", "rate"}
    eta = space.resolve(meta_params, None)
    for name, value in values(SPEC).items():
        np.testing.assert_allclose(eta[name], value, rtol=1e-5)
    moved = space.resolve(jax.tree.map(lambda x: x + 1.0, meta_params), None)
    np.testing.assert_allclose(moved["rate"], 0.1 * np.e, rtol=1e-5)
    assert moved["cost"] == 0.25


def test_what_is_placed_is_there_and_nothing_else_moves():
    spec = {**SPEC, "discount": MetaParam(0.9, one_minus(), contextual(2))}
    space = bind(spec, {"w": jnp.zeros(2)})
    meta_params = space.init(jax.random.key(0))
    moved = placed(spec, meta_params, {"discount": 0.99, "cost": 7.0})
    eta = space.resolve(moved, jnp.ones(2))
    assert float(eta["discount"]) == pytest.approx(0.99)
    assert (float(eta["rate"]), float(eta["cost"])) == pytest.approx((0.1, 0.25))
    assert jax.tree.map(jnp.result_type, moved) == jax.tree.map(jnp.result_type, meta_params)


def test_precision_follows_the_value():
    with jax.enable_x64(True):
        assert MetaParam(0.9).value.dtype == jnp.float64
        assert MetaParam(jnp.float32(0.9)).value.dtype == jnp.float32  # an array keeps its own
        assert MetaParam(np.float64(0.9)).value.dtype == jnp.float64
    for plain in (0.9, np.float64(0.9), np.array([0.9, 0.8])):
        assert MetaParam(plain).value.dtype == values({"cost": plain})["cost"].dtype == jnp.float32


def test_values_may_be_traced():
    def half(start):
        spec = {"rate": MetaParam(start, positive)}
        space = bind(spec, jnp.zeros(2))
        return space.resolve(space.init(jax.random.key(0)), None)["rate"] / 2

    np.testing.assert_allclose(jax.jit(jax.vmap(half))(jnp.array([0.2, 0.4])), [0.1, 0.2], rtol=1e-5)


@pytest.mark.parametrize("value", [1, True, np.int32(3), jnp.arange(3), "fast", None])
def test_what_is_no_real_number_is_refused(value):
    with pytest.raises(NotDifferentiableError, match=r"is not a real number.*Write 1\.0, not 1"):
        MetaParam(value)


def test_an_integer_constant_is_refused_by_name():
    with pytest.raises(NotDifferentiableError, match="batch_size = 32"):
        bind({"batch_size": 32}, jnp.zeros(2))


@pytest.mark.parametrize("spec", [[MetaParam(0.1)], {1: MetaParam(0.1)}])
def test_what_is_no_mapping_from_names_is_refused(spec):
    with pytest.raises((MetaParamError, TypeError)):
        bind(spec, jnp.zeros(2))


def test_unknown_names_are_met_with_a_suggestion():
    check_names(["rate"], SPEC)
    with pytest.raises(
        UnknownMetaParamError, match=r"'discuont'; did you mean 'discount'\? Known: cost, discount, rate"
    ):
        check_names(["discuont"], SPEC)
    with pytest.raises(NotDifferentiableError, match="'batch_size' is a whole number or a choice"):
        check_names(["batch_size"], SPEC, fixed=["batch_size"])


def test_one_except_catches_them_all():
    with pytest.raises(SelftuneError):
        check_names(["nothing"], SPEC)
    with pytest.raises(ValueError, match="outside"):
        MetaParam(jnp.array([0.5, 0.6]), simplex)


WRONG_KINDS = """
import selftune as st
for wrong in ({"constraint": st.one_minus}, {"constraint": "positive"}, {"scope": "per_layer"}):
    try:
        st.MetaParam(0.9, **wrong)
    except st.errors.MetaParamError as error:
        assert "of selftune, such as" in str(error)
    else:
        raise SystemExit(f"{wrong} was admitted")
"""


def test_a_constraint_or_scope_of_another_kind_is_refused():
    """As a user meets it: in a process of its own, where annotations are not checked at run time."""
    subprocess.run([sys.executable, "-c", WRONG_KINDS], check=True)


def test_values_may_be_the_trees_that_rules_will_see():
    params = {"policy": {"w": jnp.zeros((2, 3)), "b": jnp.zeros(3)}, "critic": {"w": jnp.zeros(2)}}
    spec = {
        "each": MetaParam(0.1, positive, per_parameter),
        "layer": MetaParam(0.2, positive, per_layer),
        "context": MetaParam(0.5, unit, contextual(2)),
        "constant": 0.9,
    }
    told = values(spec, params)
    shapes = jax.tree.map(jnp.shape, told["each"])
    assert shapes == {"policy": {"w": (2, 3), "b": (3,)}, "critic": {"w": (2,)}}
    assert jax.tree.structure(told["layer"]) == jax.tree.structure(params)
    np.testing.assert_allclose(told["layer"]["policy"]["w"], 0.2, rtol=1e-6)
    assert float(told["context"]) == 0.5
    assert jax.tree.map(jnp.shape, values(spec)) == dict.fromkeys(spec, ())
