"""A pytree as arrays by name, the way a file holds it, and back.

A leaf bears the name of its path, such as `policy/layers/0/weight`. A typed random key is held as its numbers, and its
name ends in the generator that they belong to, `rng:threefry2x32`: another generator is another name.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from selftune import _tree
from selftune.errors import CheckpointError
from selftune.types import PyTree, Shaped

_WHOLE = {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}
STORABLE = frozenset({"bool", "float16", "bfloat16", "float32", "float64", "complex64", *_WHOLE})
"""The dtypes that a safetensors file gives back as they were."""

_ARRAYS = (jax.Array, np.ndarray, np.generic)
_RESERVED = "__metadata__"
_SHOWN = 4


def pack(tree: PyTree) -> dict[str, Shaped[np.ndarray, "..."]]:
    """Copy the leaves of a tree into host memory, where no later step can overwrite them.

    Args:
        tree: JAX and NumPy arrays and typed random keys; `None` holds nothing and passes.

    Returns:
        One contiguous array for each leaf, by name.

    Raises:
        CheckpointError: a leaf is not an array, has a dtype that cannot be stored, or shares its name with another.
    """
    leaves = _named(tree, _ARRAYS)
    numbers = {name: jax.random.key_data(leaf) if _is_key(leaf) else leaf for name, leaf in leaves.items()}
    return {name: np.array(array, order="C") for name, array in jax.device_get(numbers).items()}


def unpack(example: PyTree, arrays: Mapping[str, Shaped[np.ndarray, "..."]]) -> PyTree:
    """Build the tree that `pack` took apart, bit for bit.

    Args:
        example: a tree of the same structure, shapes and dtypes: arrays, or what `jax.eval_shape` gives.
        arrays: what `pack` gave.

    Returns:
        The tree; a NumPy array where the example has one, everywhere else a strongly typed JAX array or a key.

    Raises:
        CheckpointError: names, shapes or dtypes differ, or 64-bit numbers meet a JAX that is set to 32 bits.
    """
    leaves = _named(example, (*_ARRAYS, jax.ShapeDtypeStruct))
    _compare({name: _form(leaf) for name, leaf in leaves.items()}, {name: _form(arrays[name]) for name in arrays})
    restored = [_restored(name, leaf, arrays[name]) for name, leaf in leaves.items()]
    return jax.tree.unflatten(jax.tree.structure(example), restored)


def _named(tree: PyTree, kinds: tuple[type, ...]) -> dict[str, Any]:
    named = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        name = _tree.path_name(path)
        if not isinstance(leaf, kinds):
            raise CheckpointError(
                f"{name or 'the tree'} is a {type(leaf).__name__} ({leaf!r:.60}); a checkpoint holds arrays and random "
                "keys only. Make it an array with jnp.asarray, or leave it out of the state."
            )
        if _is_key(leaf):
            name = f"{name}:{_generator(leaf)}"
        elif leaf.dtype.name not in STORABLE or not leaf.dtype.isnative:
            raise CheckpointError(
                f"{name or 'the tree'} has the dtype {leaf.dtype}; a checkpoint holds {', '.join(sorted(STORABLE))} in "
                "the byte order of the machine. Convert it first."
            )
        if name in named or name == _RESERVED:
            raise CheckpointError(f"The name {name!r} is already taken; expected one leaf a name. Rename this one.")
        named[name] = leaf
    return named


def _compare(expected: Mapping[str, str], got: Mapping[str, str]) -> None:
    names = [name for name in sorted(expected.keys() | got.keys()) if expected.get(name) != got.get(name)]
    if names:
        shown = [
            f"{name}: the checkpoint has {got.get(name, 'nothing')}, expected {expected.get(name, 'nothing')}"
            for name in names[:_SHOWN]
        ]
        more = [f"and {len(names) - _SHOWN} more"] if len(names) > _SHOWN else []
        raise CheckpointError(
            f"The checkpoint is of another kind of run ({'; '.join(shown + more)}). It was made by another version or "
            "with other settings: go on with those (of a run config.json in its folder names them), or begin anew."
        )


def _restored(name: str, leaf: Any, array: np.ndarray) -> Any:
    if isinstance(leaf, np.generic):
        return array[()]
    if isinstance(leaf, np.ndarray):
        return array.copy()
    restored = jnp.array(array)
    if restored.dtype != array.dtype:
        raise CheckpointError(
            f"{name} is {array.dtype} in the checkpoint, which JAX would cut to {restored.dtype}. "
            'Set jax.config.update("jax_enable_x64", True) before anything else, as the run did.'
        )
    return jax.random.wrap_key_data(restored, impl=_generator(leaf)) if _is_key(leaf) else restored


def _form(leaf: Any) -> str:
    """`float32[3,4]`; of a key, the form of its numbers."""
    leaf = jax.eval_shape(jax.random.key_data, leaf) if _is_key(leaf) else leaf
    return f"{leaf.dtype.name}[{','.join(map(str, leaf.shape))}]"


def _is_key(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _generator(leaf: Any) -> Any:
    """The name of a key's generator, also where the key itself is only a shape and a dtype."""
    return jax.random.key_impl(jnp.empty((), leaf.dtype))
