"""Spaces as plain data and observations as a network takes them."""

import numpy as np
import pytest
from gymnasium import spaces

from selftune.envs import Box, Discrete, describe_actions, describe_observations, encode
from selftune.errors import UnsupportedSpaceError


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


@pytest.mark.parametrize("space", [spaces.Dict(a=spaces.Discrete(2)), spaces.MultiBinary(3)], ids=repr)
def test_other_spaces_are_refused_by_name(space):
    with pytest.raises(UnsupportedSpaceError, match=type(space).__name__):
        describe_observations(space)
    with pytest.raises(UnsupportedSpaceError, match=type(space).__name__):
        describe_actions(space)
