"""What lies farther from home than its reach comes back; what is within it stays."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from selftune.errors import SettingError, UnknownMetaParamError
from selftune.guards import Attempt, Position, within_reach
from selftune.metaparams import MetaParam, bind, contextual, one_minus, per_layer, positive

PARAMS = {"policy": jnp.zeros(2), "critic": jnp.zeros(2)}


def check(guard, spec, moved):
    """Coordinates after the guard, and what fired."""
    nowhere = Position(moved, (), (), ())
    position, fired = jax.jit(lambda attempt: guard.check(spec, attempt))(Attempt(nowhere, nowhere, {}, None))
    return position.meta_params, fired


def test_what_lies_beyond_comes_back_by_a_fraction_of_that():
    # Home 0.1, reach 1, a leak of 0.3: from log(0.1) + 3, two beyond, to log(0.1) + 3 - 0.6; below home likewise.
    spec = {"x": MetaParam(0.1), "y": MetaParam(0.1), "z": MetaParam(0.1)}
    home = math.log(0.1)
    moved = {"x": jnp.asarray(home + 3.0), "y": jnp.asarray(home - 3.0), "z": jnp.asarray(home + 0.9)}
    held, fired = check(within_reach(dict.fromkeys("xyz", 0.1), 1.0, 0.3), spec, moved)
    np.testing.assert_allclose([held["x"], held["y"]], [home + 2.4, home - 2.4], rtol=1e-6)
    assert held["z"] == moved["z"], "within its reach nothing is touched"
    assert fired == {"within_reach/x": 1, "within_reach/y": 1, "within_reach/z": 0}


@pytest.mark.parametrize(
    ("above", "then", "fires"),
    [
        (math.log(6.0), math.log(6.0), 0),  # a start is not far, nor is what lies up to 1 beyond it
        (math.log(6.0) + 0.9, math.log(6.0) + 0.9, 0),
        (math.log(6.0) + 3.0, math.log(6.0) + 2.4, 1),
        (-0.9, -0.9, 0),
        (-3.0, -2.4, 1),  # on the other side of home it is no excuse
    ],
)
def test_all_between_home_and_a_start_is_no_distance(above, then, fires):
    """Home 5e-4, start 3e-3: log(6) above it. A leak of 0.3 of two beyond a reach of 1 is 0.6."""
    spec = {"rate": MetaParam(3e-3)}
    guard, home = within_reach({"rate": 5e-4}, 1.0, 0.3, {"rate": 3e-3}), math.log(5e-4)
    held, fired = check(guard, spec, {"rate": jnp.float32(home + above)})
    np.testing.assert_allclose(held["rate"], home + then, rtol=1e-6)
    assert fired == {"within_reach/rate": fires}


def test_a_trace_of_an_excess_is_not_told():
    spec = {"x": MetaParam(0.1)}
    for beyond, fires in ((0.009, 0), (0.011, 1)):
        _, fired = check(within_reach({"x": 0.1}), spec, {"x": jnp.float32(math.log(0.1) + 1.0 + beyond)})
        assert fired == {"within_reach/x": fires}


@pytest.mark.parametrize("constraint", [positive, one_minus()])
def test_it_ends_within_reach_and_goes_no_further(constraint):
    spec = {"x": MetaParam(0.9, constraint)}
    home = float(constraint.inverse(jnp.float32(0.5)))
    guard, held = within_reach({"x": 0.5}, 0.5, 0.3), {"x": jnp.float32(home + 5.0)}
    ways = []
    for _ in range(60):
        held, _ = check(guard, spec, held)
        ways.append(float(held["x"]) - home)
    np.testing.assert_allclose(ways[0], 5.0 - 0.3 * 4.5, rtol=1e-5)
    np.testing.assert_allclose(ways[-1], 0.5, rtol=1e-5)
    assert min(ways) >= 0.5 - 1e-6


def test_scopes_come_back_coordinate_by_coordinate():
    spec = {"x": MetaParam(0.5, positive, per_layer), "y": MetaParam(0.5, positive, contextual(2))}
    meta_params = bind(spec, PARAMS).init(jax.random.key(0))
    home = math.log(0.5)
    meta_params["x"]["critic"] = jnp.float32(home + 2.0)
    meta_params["y"]["output"]["bias"] = jnp.float32(home - 2.0)
    held, fired = check(within_reach({"x": 0.5, "y": 0.5}, 1.0, 0.5), spec, meta_params)
    np.testing.assert_allclose(held["x"]["critic"], home + 1.5, rtol=1e-6)
    np.testing.assert_allclose(held["y"]["output"]["bias"], home - 1.5, rtol=1e-6)
    assert held["x"]["policy"] == meta_params["x"]["policy"]
    jax.tree.map(np.testing.assert_array_equal, held["y"]["hidden"], meta_params["y"]["hidden"])
    assert fired == {"within_reach/x": 1, "within_reach/y": 1}


def test_dtypes_stay():
    spec = {"x": MetaParam(jnp.bfloat16(0.05))}
    held, _ = check(within_reach({"x": 0.05}), spec, {"x": jnp.bfloat16(50.0)})
    assert held["x"].dtype == jnp.bfloat16


@pytest.mark.parametrize("settings", [{"reach": 0.0}, {"reach": float("nan")}, {"leak": 0.0}, {"leak": 1.5}])
def test_settings_that_make_no_sense(settings):
    with pytest.raises(SettingError, match="expected a reach above 0, a leak in"):
        within_reach({"x": 0.1}, **settings)


def test_only_what_is_tuned_can_come_back():
    spec, moved = {"x": MetaParam(0.1)}, {"x": jnp.float32(0.0)}
    with pytest.raises(UnknownMetaParamError, match="'y'"):
        check(within_reach({"y": 0.1}), spec, moved)


def test_a_start_without_a_home_is_refused():
    with pytest.raises(SettingError, match=r"\['y'\] have a start and no prior"):
        within_reach({"x": 0.1}, starts={"y": 0.1})
