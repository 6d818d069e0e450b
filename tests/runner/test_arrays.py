from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from selftune.errors import CheckpointError, RunFolderError
from selftune.runner.arrays import STORABLE, pack, unpack


class State(NamedTuple):
    params: dict
    rng: jax.Array
    rest: tuple


def state():
    nan = np.array([0x7FC00001, 0xFF800001, 0x80000000], np.uint32).view(np.float32)  # two odd NaNs and -0.0
    return State(
        params={"weight": jnp.arange(6.0).reshape(2, 3), "half": jnp.array([1.5, -0.0], jnp.bfloat16)},
        rng=jax.random.split(jax.random.key(7), 2),
        rest=(jnp.array(True), jnp.int32(-3), jnp.zeros((0, 2)), None, jax.random.key(1, impl="rbg"), jnp.array(nan)),
    )


def bits(tree):
    """Type, dtype, shape and bytes of each leaf."""
    numbers = [
        jax.random.key_data(leaf) if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf
        for leaf in jax.tree.leaves(tree)
    ]
    forms = [(jax.typeof(leaf), isinstance(leaf, jax.Array)) for leaf in jax.tree.leaves(tree)]
    return [(*form, np.asarray(array).tobytes()) for form, array in zip(forms, numbers, strict=True)]


@pytest.mark.parametrize("example", [lambda: state(), lambda: jax.eval_shape(state)], ids=["arrays", "shapes"])
def test_a_tree_comes_back_bit_for_bit(example):
    back = unpack(example(), pack(state()))
    assert bits(back) == bits(state())
    assert isinstance(back, State)
    assert back.rest[3] is None


def test_names_are_paths_and_keys_bear_their_generator():
    rest = {"rest/0", "rest/1", "rest/2", "rest/4:rbg", "rest/5"}
    assert pack(state()).keys() == {"params/half", "params/weight", "rng:threefry2x32"} | rest


def test_a_restored_key_goes_on_as_the_saved_one_would():
    back = unpack(jax.eval_shape(state), pack(state()))
    saved = jax.random.normal(state().rest[4], (3,))
    np.testing.assert_array_equal(jax.random.normal(back.rest[4], (3,)), saved)


def test_weak_types_come_back_strong():
    weak = jnp.asarray(1.0)
    assert weak.weak_type
    back = unpack({"x": weak}, pack({"x": weak}))["x"]
    assert not back.weak_type
    assert back.dtype == jnp.float32


def test_a_bare_array_is_a_tree():
    np.testing.assert_array_equal(unpack(jnp.zeros(2), pack(jnp.ones(2))), jnp.ones(2))


@pytest.mark.parametrize("name", sorted(STORABLE - {"complex64", "bool"}))
def test_numpy_stays_numpy_in_every_width(name):
    tree = {"array": np.array([[1], [0], [3]], name), "scalar": np.array([5], name)[0]}
    back = unpack(tree, pack(tree))
    assert [type(leaf) for leaf in back.values()] == [type(leaf) for leaf in tree.values()]
    assert all(back[key].dtype == tree[key].dtype and back[key].tobytes() == tree[key].tobytes() for key in tree)
    back["array"][0] = 2  # what an environment on the host does with its counters


def test_what_was_packed_no_later_step_overwrites():
    counter, turned = np.arange(3), np.arange(6).reshape(2, 3).T
    array = jnp.arange(4.0)
    arrays = pack({"counter": counter, "turned": turned, "array": array})
    counter[:] = 9
    eqx.filter_jit(lambda x: x + 1, donate="all")(array)
    np.testing.assert_array_equal(arrays["counter"], [0, 1, 2])
    np.testing.assert_array_equal(arrays["array"], [0, 1, 2, 3])
    assert all(found.flags.c_contiguous and found.flags.owndata for found in arrays.values())


@pytest.mark.parametrize(
    ("leaf", "told"),
    [
        (3, r"a/0 is a int \(3\); .*Make it an array with jnp.asarray"),
        (0.5, "is a float"),
        (True, "is a bool"),
        ("text", "is a str"),
        (jnp.tanh, "leave it out of the state"),
        (jax.ShapeDtypeStruct((2,), jnp.float32), "is a ShapeDtypeStruct"),
        (np.array([None]), "has the dtype object; a checkpoint holds bfloat16, bool"),
        (np.array(["text"]), "has the dtype <U4"),
        (np.arange(3, dtype=">i4"), "in the byte order of the machine"),
        (np.zeros(2, np.complex128), "has the dtype complex128"),
        (jnp.zeros(2, ml_dtypes.float8_e4m3fn), "has the dtype float8_e4m3fn"),
    ],
)
def test_what_cannot_be_stored_is_refused_by_its_name(leaf, told):
    with pytest.raises(CheckpointError, match=told):
        pack({"a": [leaf]})


def test_two_leaves_of_one_name_are_refused():
    with pytest.raises(CheckpointError, match="'a/b' is already taken"):
        pack({"a": {"b": jnp.ones(1)}, "a/b": jnp.ones(1)})
    with pytest.raises(CheckpointError, match="'__metadata__' is already taken"):
        pack({"__metadata__": jnp.ones(1)})


@pytest.mark.parametrize(
    ("example", "told"),
    [
        ({"w": jnp.zeros(3)}, r"w: the checkpoint has float32\[2\], expected float32\[3\]"),
        ({"w": jnp.zeros(2, jnp.int32)}, r"w: the checkpoint has float32\[2\], expected int32\[2\]"),
        ({}, r"w: the checkpoint has float32\[2\], expected nothing"),
        ({"w": jnp.zeros(2), "b": jnp.zeros(())}, r"b: the checkpoint has nothing, expected float32\[\]"),
        ({"w": jax.random.key(0)}, r"w:threefry2x32: the checkpoint has nothing, expected uint32\[2\]"),
        ({f"w{i}": jnp.zeros(1) for i in range(9)}, r"w2: .* expected float32\[1\]; and 6 more"),
    ],
)
def test_another_kind_of_run_is_told_by_what_differs(example, told):
    with pytest.raises(CheckpointError, match=told) as caught:
        unpack(example, pack({"w": jnp.ones(2)}))
    assert isinstance(caught.value, RunFolderError)
    assert "another version or with other settings" in str(caught.value)


def test_a_key_of_another_generator_is_told():
    with pytest.raises(CheckpointError, match=r"rng:rbg: the checkpoint has uint32\[4\], expected nothing"):
        unpack({"rng": jax.random.key(0)}, pack({"rng": jax.random.key(0, impl="rbg")}))


def test_double_precision_comes_back_and_is_never_cut(float64):
    tree = {"x": jnp.array([0.1], jnp.float64)}
    arrays = pack(tree)
    assert bits(unpack(tree, arrays)) == bits(tree)
    with jax.enable_x64(False), pytest.raises(CheckpointError, match=r"cut to float32.*jax_enable_x64"):
        unpack({"x": jax.ShapeDtypeStruct((1,), np.float64)}, arrays)
