"""Bounds, flat ends and priors of metaparameters."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from selftune.errors import ConstraintError, SettingError, UnknownMetaParamError
from selftune.guards import Attempt, Position, range as range_guard, within_reach
from selftune.metaparams import (
    MetaParam,
    between,
    bind,
    contextual,
    free,
    one_minus,
    per_layer,
    positive,
    simplex,
    unit,
)

PARAMS = {"policy": jnp.zeros(2), "critic": jnp.zeros(2)}


def check(guard, spec, moved):
    """Constrained values after the guard, and what fired."""
    nowhere = Position(moved, (), (), ())
    position, fired = guard.check(spec, Attempt(nowhere, nowhere, {}, None))
    return bind(spec, PARAMS).resolve(position.meta_params, jnp.zeros(2)), position.meta_params, fired


@pytest.mark.parametrize(("constraint", "lowest", "highest"), [(positive, 0.01, 0.1), (one_minus(), 0.5, 0.99)])
@pytest.mark.parametrize("direction", [-1.0, 1.0])
def test_values_stay_within_bounds(constraint, lowest, highest, direction):
    spec = {"x": MetaParam(0.5 * (lowest + highest), constraint)}
    value, _, fired = check(range_guard({"x": (lowest, highest)}), spec, {"x": jnp.asarray(50.0 * direction)})
    end = highest if direction == (1.0 if constraint is positive else -1.0) else lowest
    np.testing.assert_allclose(value["x"], end, rtol=1e-4)
    assert fired == {"range/x": 1}


def test_a_value_inside_is_left_alone():
    spec = {"x": MetaParam(0.05), "y": MetaParam(0.5, unit), "z": MetaParam(3.0, free)}
    moved = {"x": jnp.log(0.02), "y": jnp.asarray(-3.0), "z": jnp.asarray(1e6)}
    _, meta_params, fired = check(range_guard({"x": (0.01, 0.1)}), spec, moved)
    assert meta_params == moved
    assert fired == {"range/x": 0, "range/y": 0, "range/z": 0}


def test_a_bound_on_the_edge_of_the_constraint_is_finite():
    spec = {"x": MetaParam(0.5, unit)}
    value, meta_params, _ = check(range_guard({"x": (0.0, 1.0)}), spec, {"x": jnp.asarray(100.0)})
    assert jnp.isfinite(meta_params["x"])
    np.testing.assert_allclose(value["x"], 1.0, atol=2e-4)


def test_flat_ends_are_kept_away_from_and_open_ends_are_not():
    spec = {"bounded": MetaParam(0.5, unit), "open": MetaParam(0.5)}
    moved = {"bounded": jnp.asarray(-20.0), "open": jnp.asarray(-20.0)}
    _, meta_params, fired = check(range_guard(saturation=6.0), spec, moved)
    assert meta_params == {"bounded": -6.0, "open": -20.0}
    assert fired == {"range/bounded": 1, "range/open": 0}


def test_the_leak_draws_back_to_the_declared_value():
    # From log(0.5) + 2, a tenth of the way back: log(0.5) + 1.8.
    spec = {"x": MetaParam(0.5)}
    _, meta_params, fired = check(range_guard(leak=0.1), spec, {"x": jnp.log(0.5) + 2.0})
    np.testing.assert_allclose(meta_params["x"], np.log(0.5) + 1.8, rtol=1e-6)
    assert fired == {"range/x": 0}


def test_scopes_are_held_coordinate_by_coordinate():
    spec = {"x": MetaParam(0.05, positive, per_layer), "y": MetaParam(0.5, unit, contextual(2))}
    meta_params = bind(spec, PARAMS).init(jax.random.key(0))
    meta_params["x"]["critic"] = jnp.asarray(50.0)
    meta_params["y"]["output"]["bias"] = jnp.asarray(50.0)
    value, held, fired = check(range_guard({"x": (0.01, 0.1)}), spec, meta_params)
    np.testing.assert_allclose(value["x"]["policy"], 0.05, rtol=1e-5)
    np.testing.assert_allclose(value["x"]["critic"], 0.1, rtol=1e-5)
    assert held["y"]["output"]["bias"] == 8.0
    jax.tree.map(np.testing.assert_array_equal, held["y"]["hidden"], meta_params["y"]["hidden"])
    assert fired == {"range/x": 1, "range/y": 1}


def test_dtypes_stay():
    spec = {"x": MetaParam(jnp.bfloat16(0.05))}
    _, meta_params, _ = check(range_guard({"x": (0.01, 0.1)}, leak=0.1), spec, {"x": jnp.bfloat16(50.0)})
    assert meta_params["x"].dtype == jnp.bfloat16


@pytest.mark.parametrize(
    "arguments", [{"bounds": {"x": (1.0, 1.0)}}, {"leak": 1.0}, {"leak": -0.1}, {"saturation": 0.0}]
)
def test_settings_that_make_no_sense_are_refused(arguments):
    with pytest.raises(SettingError, match="expected"):
        range_guard(**arguments)


def test_a_bound_for_what_is_not_tuned_is_refused():
    with pytest.raises(UnknownMetaParamError, match="did you mean 'rate'"):
        check(range_guard({"rat": (0.1, 1.0)}), {"rate": MetaParam(0.5)}, {"rate": jnp.asarray(0.0)})


def test_a_function_of_the_context_has_bounds_only_where_its_scope_holds_them():
    """From an offset at the end the context would lead on: here e^3 times as far."""
    scope, moved = contextual(2, ()), {"output": {"weight": jnp.array([3.0, 0.0]), "bias": jnp.log(0.1)}, "hidden": []}
    held = between(*positive.coordinates((0.01, 0.1)), scope)
    position = Position({"x": moved}, (), (), ())
    attempt = Attempt(position, position, {}, None)
    with pytest.raises(SettingError, match=r"Hold its values: .*selftune.between.*selftune.contextual\(2\)"):
        range_guard({"x": (0.01, 0.1)}).check({"x": MetaParam(0.05, positive, scope)}, attempt)
    spec = {"x": MetaParam(0.05, positive, held)}
    after, _ = range_guard({"x": (0.01, 0.1)}).check(spec, attempt)
    value = bind(spec, PARAMS).resolve(after.meta_params, jnp.array([1.0, 0.0]))["x"]
    np.testing.assert_allclose(value, 0.1, rtol=1e-5)
    range_guard(leak=0.1).check({"x": MetaParam(0.05, positive, scope)}, attempt)  # nothing was promised


def test_an_entry_of_a_simplex_has_no_bounds_of_its_own():
    spec = {"mix": MetaParam([0.2, 0.3, 0.5], simplex)}
    with pytest.raises(ConstraintError, match=r"bounds \(0.2, 0.6\) on a simplex"):
        check(range_guard({"mix": (0.2, 0.6)}), spec, {"mix": jnp.zeros(3)})


@pytest.mark.parametrize(
    "guard",
    [
        range_guard({"discount": (0.9, 1.01)}),
        range_guard(leak=0.1, priors={"discount": 1.01}),
        range_guard(priors={"discount": float("nan")}),
        within_reach({"discount": 1.01}),
        within_reach({"discount": 0.9}, starts={"discount": 0.1}),
    ],
)
def test_what_lies_outside_the_constraint_is_refused(guard):
    """Its coordinate would be no number, and every update undone, without a word of why."""
    discount = MetaParam(0.9, one_minus())
    here = Position({"discount": jnp.zeros(())}, (), (), ())
    with pytest.raises(ConstraintError, match=r"discount.*outside its constraint one_minus.*Give a number above 0.3"):
        guard.check({"discount": discount}, Attempt(here, here, here.meta_params, None))
