"""Constraints: bijections there and back, what is moved inside, what is refused."""

import inspect
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, strategies as st

from selftune.errors import ConstraintError, MetaParamError
from selftune.metaparams import (
    BoundNotice,
    MetaParam,
    free,
    interval,
    one_minus,
    per_parameter,
    positive,
    simplex,
    unit,
)

SCALARS = {
    "free": free,
    "positive": positive,
    "unit": unit,
    "interval": interval(-2.0, 5.0),
    "one_minus": one_minus(),
    "one_minus to zero": one_minus(1e-3, 1.0),
}


@pytest.mark.parametrize("constraint", SCALARS.values(), ids=SCALARS)
@given(st.floats(-7.0, 7.0))
def test_there_and_back(constraint, coordinate):
    with jax.enable_x64(True):
        x = jnp.asarray(coordinate)
        value = constraint.forward(x)
        assert constraint.lower < value < constraint.upper
        np.testing.assert_allclose(constraint.inverse(value), x, rtol=1e-6, atol=1e-6)


@given(st.lists(st.floats(-5.0, 5.0), min_size=2, max_size=5))
def test_simplex_there_and_back(coordinates):
    with jax.enable_x64(True):
        value = simplex.forward(jnp.asarray(coordinates))
        np.testing.assert_allclose(value.sum(), 1.0, rtol=1e-12)
        np.testing.assert_allclose(simplex.forward(simplex.inverse(value)), value, rtol=1e-9)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("constraint", SCALARS.values(), ids=SCALARS)
def test_monotone(constraint):
    slopes = jnp.diff(constraint.forward(jnp.linspace(-7.0, 7.0, 101)))
    assert (slopes < 0).all() if constraint.name.startswith("one_minus") else (slopes > 0).all()


@pytest.mark.usefixtures("float64")
def test_equal_steps_are_equal_factors_of_the_horizon():
    # In the logit of the position between the ends, half way is the geometric mean: sqrt(1e-4 * 1) = 1e-2.
    np.testing.assert_allclose(one_minus(1e-4, 1.0).forward(jnp.asarray(0.0)), 0.99, rtol=1e-12)
    np.testing.assert_allclose(positive.forward(jnp.log(jnp.asarray(2.0)) + jnp.log(3.0)), 6.0, rtol=1e-12)


BOUNDARY = {
    "positive": (positive, 0.0, 1e-8),
    "unit below": (unit, 0.0, 1e-4),
    "unit above": (unit, 1.0, 1.0 - 1e-4),
    "interval": (interval(-1.0, 3.0), 3.0, 3.0 - 4e-4),  # EPSILON of the width 4
    "one_minus above": (one_minus(), 1.0 - 1e-4, 1.0 - 1e-4 * 7000.0**1e-4),
}


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(("constraint", "value", "inside"), BOUNDARY.values(), ids=BOUNDARY)
def test_a_value_on_an_open_bound_is_moved_inside_with_a_notice(constraint, value, inside):
    with pytest.warns(BoundNotice, match="open bound"):
        moved = MetaParam(value, constraint).value
    np.testing.assert_allclose(moved, inside, rtol=1e-9)
    assert jnp.isfinite(constraint.inverse(moved))


def test_a_corner_of_the_simplex_is_moved_inside():
    with pytest.warns(BoundNotice):
        moved = MetaParam(jnp.array([1.0, 0.0, 0.0]), simplex).value
    np.testing.assert_allclose(moved.sum(), 1.0, rtol=1e-6)
    assert jnp.isfinite(simplex.inverse(moved)).all()
    assert moved[0] > 0.999


@pytest.mark.parametrize("constraint", SCALARS.values(), ids=SCALARS)
def test_a_value_inside_is_kept_as_it_is_without_a_notice(constraint):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert MetaParam(0.7, constraint).value == np.float32(0.7)


OUTSIDE = {
    "negative": (positive, -1.0, r"value = -1 is outside its constraint positive\. Give a number above 0,"),
    "above": (unit, 1.5, r"unit\. Give a number above 0 and below 1,"),
    "below": (interval(2.0, 3.0), 1.0, r"interval\(2, 3\)\. Give a number above 2 and below 3"),
    "horizon": (one_minus(), 0.99999, r"below 0\.9999"),
    "nan": (free, float("nan"), "Give a finite number"),
    "infinity": (positive, float("inf"), "outside"),
    "sum": (simplex, jnp.array([0.5, 0.6]), "positive entries that sum to 1"),
    "number": (simplex, 1.0, "positive entries that sum to 1"),
    "nothing": (simplex, jnp.zeros(0), "positive entries that sum to 1"),
    "entry": (positive, jnp.array([0.5, -0.6]), "outside its constraint positive"),
}


@pytest.mark.parametrize(("constraint", "value", "message"), OUTSIDE.values(), ids=OUTSIDE)
def test_a_value_outside_is_refused(constraint, value, message):
    with pytest.raises(ConstraintError, match=message):
        MetaParam(value, constraint)


@pytest.mark.parametrize(
    ("make", "bounds"),
    [
        (interval, (1.0, 1.0)),
        (interval, (2.0, 1.0)),
        (interval, (0.0, float("inf"))),
        (interval, (-1e39, 1e39)),
        (interval, (1e39, 1.1e39)),
        (interval, (0.0, 1e-46)),
        (one_minus, (0.0, 0.5)),
        (one_minus, (0.1, 1.5)),
    ],
)
def test_bounds_that_make_no_set_are_refused(make, bounds):
    with pytest.raises(MetaParamError, match="expected"):
        make(*bounds)


@pytest.mark.parametrize("bounds", [("0", "1"), (None, 1.0), (0.1, "1"), (10**400, 1.0), ([0.0, 0.1], 1.0)])
@pytest.mark.parametrize("make", [interval, one_minus])
def test_bounds_that_are_no_numbers_are_refused(make, bounds):
    with pytest.raises(ConstraintError, match=r"\(.*, .*\): expected two .*numbers"):
        inspect.unwrap(make)(*bounds)


@pytest.mark.usefixtures("float64")
def test_the_derivative_is_finite_wherever_a_value_may_start():
    for constraint in SCALARS.values():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", BoundNotice)
            for value in (constraint.lower, constraint.upper):
                if np.isfinite(value):
                    x = constraint.inverse(MetaParam(value, constraint, per_parameter).value)
                    assert jnp.isfinite(jax.grad(constraint.forward)(x))


@pytest.mark.parametrize(
    ("constraint", "value"),
    [
        (interval(-1.0, 1.0), 1e-3),
        (interval(-10.0, 1.0), 0.01),
        (one_minus(1e-3, 1.0), 0.01),
        (one_minus(1e-3, 1.0), 0.05),
        (interval(100.0, 101.0), 100.0005),
    ],
)
def test_a_value_that_is_small_beside_its_interval_lies_on_no_bound(constraint, value):
    """The way there and back costs float32 more than a hundred thousandth of it."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert float(MetaParam(value, constraint).value) == np.float32(value)


def test_an_end_in_single_precision_is_no_way_out():
    wide = interval(0.0, 1e3 / 3)
    assert jnp.isfinite(jnp.stack(wide.coordinates((0.0, float(np.float32(1e3 / 3)))))).all()
    with pytest.raises(ConstraintError, match="outside its constraint"):
        wide.coordinates((0.0, 333.34))
