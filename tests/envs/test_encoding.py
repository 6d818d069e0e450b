"""Spaces as plain data and observations as a network takes them."""

import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces

from selftune.envs import Box, Discrete, describe_actions, describe_observations, encode
from selftune.envs.native import stretch
from selftune.errors import SettingError, UnsupportedSpaceError


@pytest.mark.parametrize(
    ("space", "description", "encoded_shape"),
    [
        (spaces.Box(-1, 1, (2, 3), np.float64), Box((2, 3), "float32"), (2, 3)),
        (spaces.Box(0, 255, (4, 4, 1), np.uint8), Box((4, 4, 1), "uint8"), (4, 4, 1)),
        (spaces.Discrete(5, start=-2), Discrete(5, -2), (5,)),
    ],
)
def test_describe_observations(space, description, encoded_shape):
    assert describe_observations(space) == description
    assert description.encoded_shape == encoded_shape
    encoded = encode(description, space.sample())
    assert encoded.shape == encoded_shape
    assert encode(description, [[space.sample()] * 3] * 2).shape == (2, 3, *encoded_shape)


def test_describe_actions():
    assert describe_actions(spaces.Discrete(3, start=1)) == Discrete(3, 1)


@pytest.mark.parametrize(("low", "high"), [([0, -1], [3000, np.inf]), ([-10, 0], [10, 0])])
def test_actions_with_bounds_for_some_of_their_numbers_are_refused(low, high):
    """An agent's [-1, 1] would reach the environment as it is, for all of them."""
    space = spaces.Box(np.array(low, np.float32), np.array(high, np.float32))
    with pytest.raises(UnsupportedSpaceError, match="room between them for every number"):
        describe_actions(space)
    assert describe_observations(space) == Box((2,))


def test_one_hot_counts_from_start():
    assert encode(Discrete(3, start=1), [1, 3]).tolist() == [[1, 0, 0], [0, 0, 1]]


def test_floats_become_float32_and_bytes_stay_bytes():
    assert encode(Box((1,)), np.array([0.1], np.float64)).dtype == np.float32
    assert encode(Box((1,), "uint8"), np.array([7], np.uint8)).dtype == np.uint8


@pytest.mark.parametrize(
    ("dtype", "wrong"),
    [
        ("uint8", np.array([0.3, 0.9], np.float32)),
        ("uint8", [300, 0]),
        ("uint8", np.array([-1, 0])),
        ("int32", [np.nan, 0.0]),
        ("int32", np.array([2**40, 0])),
        ("int64", np.array([2**40, 0])),
        ("bool", [2, 1]),
        ("float32", [None, 1.0]),
        ("float32", ["1", "2"]),
        ("float32", [1j, 0.0]),
    ],
)
def test_what_a_box_would_hold_otherwise_is_refused(dtype, wrong):
    with pytest.raises(SettingError, match=r"Got the observation .*, expected (whole )?numbers"):
        encode(Box((2,), dtype), wrong)


@pytest.mark.parametrize(
    ("dtype", "given", "held"),
    [
        ("uint8", np.array([255.0, 0.0]), [255, 0]),
        ("uint8", np.array([7, 0], np.int64), [7, 0]),
        ("int32", [True, False], [1, 0]),
        ("int64", [7, 0], [7, 0]),
        ("float32", [np.nan, 1e300], [np.nan, np.inf]),
        ("float32", np.array([2**70, 0.5], object), [2.0**70, 0.5]),
    ],
)
def test_what_a_box_holds_as_it_is_is_taken(dtype, given, held):
    encoded = encode(Box((2,), dtype), given)
    np.testing.assert_array_equal(encoded, held)
    assert encoded.dtype == ("int32" if dtype == "int64" else dtype)


@pytest.mark.parametrize(
    ("low", "high", "dtype", "held"),
    [
        (0, 2**40, np.int64, "float32"),
        (0, 2**31, np.int64, "float32"),
        (-(2**31) - 1, 0, np.int64, "float32"),
        (-(2**31), 2**31 - 1, np.int64, "int32"),
        (0, 2**32 - 1, np.uint32, "float32"),
        (0, 9, np.uint64, "int32"),
        (0, 9, np.uint16, "uint16"),
    ],
)
def test_whole_numbers_that_32_bits_do_not_hold_are_told_as_floats(low, high, dtype, held):
    space = spaces.Box(low, high, (1,), dtype)
    described = describe_observations(space)
    assert described.dtype == held
    for end in (space.low, space.high):
        assert jnp.asarray(encode(described, end)).item() == np.float32(end.item())


@pytest.mark.parametrize("end", [float(np.finfo(np.float32).max), 1e300])
def test_actions_whose_bounds_float32_cannot_subtract_are_refused(end):
    with pytest.raises(UnsupportedSpaceError, match="as float32 holds it"):
        describe_actions(spaces.Box(-end, end, (1,), np.float64))
    assert describe_actions(spaces.Box(-np.inf, np.inf, (1,), np.float64)) == Box((1,))
    space = describe_actions(spaces.Box(-1e38, 1e38, (1,), np.float64))
    assert np.isfinite(stretch(space, np.array([[-1.0], [0.0], [1.0]], np.float32), np)).all()


@pytest.mark.parametrize("space", [spaces.Dict(a=spaces.Discrete(2)), spaces.MultiBinary(3)], ids=repr)
def test_other_spaces_are_refused_by_name(space):
    with pytest.raises(UnsupportedSpaceError, match=type(space).__name__):
        describe_observations(space)
    with pytest.raises(UnsupportedSpaceError, match=type(space).__name__):
        describe_actions(space)
