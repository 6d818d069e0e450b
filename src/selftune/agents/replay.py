"""A replay of experience: a ring of rows on the device, as pure functions.

Rows are time steps of `B` environments, so that stretches of consecutive steps can be drawn, for n-step returns, as
easily as single transitions. Written out rather than taken from flashbax
(https://github.com/instadeepai/flashbax): its trajectory buffer does the same, but it brings flax, chex and tensorstore
along for what is here a few short functions.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from selftune.errors import SettingError
from selftune.types import Array, Int, PRNGKey, PyTree


class Replay(NamedTuple):
    """The newest `capacity` time steps; compile whatever adds to it with the replay donated, and no copy is made."""

    data: PyTree
    """[capacity, B, ...] in the types that came: images stay bytes."""
    position: Int[Array, ""]
    """Where the next row goes."""
    size: Int[Array, ""]
    """How many rows were filled."""


def empty(example: PyTree, capacity: int) -> Replay:
    """A replay without experience.

    Args:
        example: One time step [B, ...], or its shapes and types (`jax.ShapeDtypeStruct`).
        capacity: Time steps it holds; `capacity * B` transitions.

    Raises:
        SettingError: `capacity` is below 1.
    """
    if capacity < 1:
        raise SettingError(f"A replay got capacity={capacity}; expected a number of time steps, at least 1.")
    data = jax.tree.map(lambda leaf: jnp.zeros((capacity, *leaf.shape), leaf.dtype), example)
    return Replay(data, jnp.zeros((), jnp.int32), jnp.zeros((), jnp.int32))


def add(replay: Replay, rows: PyTree) -> Replay:
    """The replay with `N` more time steps, which take the place of the oldest where it is full.

    Args:
        replay: What was remembered before.
        rows: [N, B, ...] in the order of time, next to what was added last.

    Raises:
        SettingError: There are more rows than the replay holds.
    """
    capacity, count = _length(replay.data), _length(rows)
    if count > capacity:
        raise SettingError(f"A replay of {capacity} time steps got {count} at once; give it a larger capacity.")
    slots = (replay.position + jnp.arange(count)) % capacity
    data = jax.tree.map(lambda held, new: held.at[slots].set(new.astype(held.dtype)), replay.data, rows)
    return Replay(data, (replay.position + count) % capacity, jnp.minimum(replay.size + count, capacity))


def without_newest(replay: Replay, count: int) -> Replay:
    """A view, to sample from, without the newest `count` time steps: they stay unseen, for a judge."""
    return replay._replace(position=replay.position - count, size=jnp.maximum(replay.size - count, 0))


def sample(replay: Replay, key: PRNGKey, batch: int, length: int = 1) -> PyTree:
    """Stretches of consecutive time steps of single environments, each equally likely, drawn with replacement.

    No stretch reaches over the place of writing, where the newest row lies next to the oldest. Episodes may end inside:
    `terminated` and `truncated` say where.

    Args:
        replay: Holds at least `length` time steps; before that, rows of zeros are drawn.
        key: Randomness.
        batch: How many, `S`.
        length: Steps of each, `n`.

    Returns:
        [n, S, ...], the shape of a rollout.
    """
    capacity, num_envs = jax.tree.leaves(replay.data)[0].shape[:2]
    start_key, env_key = jax.random.split(key)
    since_oldest = jax.random.randint(start_key, (batch,), 0, jnp.maximum(replay.size - length + 1, 1))
    env = jax.random.randint(env_key, (batch,), 0, num_envs)
    first = replay.position - replay.size + since_oldest
    slots = (first[None, :] + jnp.arange(length)[:, None]) % capacity
    envs = jnp.broadcast_to(env[None, :], slots.shape)
    return jax.tree.map(lambda leaf: leaf[slots, envs], replay.data)


def _length(rows: PyTree) -> int:
    return jax.tree.leaves(rows)[0].shape[0]
