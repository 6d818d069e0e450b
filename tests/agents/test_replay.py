import jax
import jax.numpy as jnp
import numpy as np
import pytest

from selftune.agents.replay import add, empty, sample
from selftune.errors import SettingError


def rows(start, count, num_envs=2):
    """Time steps `start, start + 1, ...`; environment `b` at time `t` holds `10 t + b`, and a byte of the same."""
    number = 10 * jnp.arange(start, start + count)[:, None] + jnp.arange(num_envs)[None, :]
    return {"number": number.astype(jnp.float32), "byte": number.astype(jnp.uint8)[..., None]}


def filled(count, capacity=5, chunk=1):
    replay = empty(jax.tree.map(lambda leaf: leaf[0], rows(0, 1)), capacity)
    for start in range(0, count, chunk):
        replay = add(replay, rows(start, min(chunk, count - start)))
    return replay


def test_a_row_is_where_it_was_put_and_the_oldest_go_first():
    replay = filled(7, capacity=5)
    assert replay.data["number"][:, 0].tolist() == [50, 60, 20, 30, 40]
    assert (int(replay.position), int(replay.size)) == (2, 5)


@pytest.mark.parametrize("chunk", [2, 3, 5])
def test_many_rows_at_once_are_as_many_rows_one_by_one(chunk):
    for count in (4, 7, 13):
        at_once, one_by_one = filled(count, chunk=chunk), filled(count)
        assert jax.tree.all(jax.tree.map(jnp.array_equal, at_once, one_by_one))


@pytest.mark.parametrize("count", [3, 5, 8])
def test_samples_are_every_transition_that_is_held_and_no_other(count):
    drawn = sample(filled(count), jax.random.key(0), 400)["number"]
    assert drawn.shape == (1, 400)
    held = {10.0 * t + b for t in range(max(0, count - 5), count) for b in range(2)}
    assert set(drawn[0].tolist()) == held
    counts = np.unique(np.asarray(drawn), return_counts=True)[1]
    assert counts.min() > 400 / len(held) * 0.5, "each is equally likely"


@pytest.mark.parametrize("count", [3, 5, 6, 8, 9])
def test_a_stretch_is_consecutive_wherever_the_head_is(count):
    drawn = sample(filled(count), jax.random.key(1), 300, length=3)
    steps = drawn["number"]
    assert steps.shape == (3, 300)
    assert (jnp.diff(steps, axis=0) == 10).all(), "one environment, one step after the other"
    newest, oldest = count - 1, max(0, count - 5)
    assert set((steps[0] // 10).tolist()) == set(range(oldest, newest - 1))
    assert jnp.array_equal(drawn["byte"][..., 0], steps.astype(jnp.uint8))


def test_types_are_kept():
    replay = filled(3)
    assert replay.data["byte"].dtype == jnp.uint8
    assert sample(replay, jax.random.key(0), 4, 2)["byte"].dtype == jnp.uint8


def test_shapes_alone_are_an_example():
    replay = empty(jax.ShapeDtypeStruct((2, 3), jnp.uint8), 4)
    assert (replay.data.shape, replay.data.dtype) == ((4, 2, 3), jnp.uint8)


def test_a_donated_replay_is_written_in_place():
    replay = jax.jit(lambda: filled(3))()
    place = replay.data["number"].unsafe_buffer_pointer()
    replay = jax.jit(add, donate_argnums=0)(replay, rows(3, 1))
    assert replay.data["number"].unsafe_buffer_pointer() == place


def test_what_cannot_hold_is_refused():
    with pytest.raises(SettingError, match="got 6 at once"):
        add(filled(1), rows(0, 6))
    with pytest.raises(SettingError, match="capacity=0"):
        filled(0, capacity=0)
