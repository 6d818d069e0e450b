"""Running statistics are those of all rows together, in any order and on any scale, and nothing spoils them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from selftune import networks
from selftune.errors import SettingError
from selftune.networks import Statistics, magnitude, return_scale, statistics
from selftune.networks.normalisation import LONGEST

include, normalise = jax.jit(networks.include), jax.jit(networks.normalise)
measure, lift = jax.jit(networks.measure), jax.jit(networks.lift)
follow, scale_reward = jax.jit(networks.follow), jax.jit(networks.scale_reward)


def types(tree):
    return jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype, leaf.weak_type), tree)


def mean(seen: Statistics) -> np.ndarray:
    return np.asarray(seen.origin, np.float64) + np.asarray(seen.mean, np.float64)


def test_two_batches_by_hand():
    # rows 1, 3: mean 2, variance 1. rows 6, 6: mean 6, variance 0.
    # all four: mean 4, variance (9 + 1 + 4 + 4) / 4 = 4.5
    seen = include(statistics(()), jnp.array([1.0, 3.0]))
    assert (seen.rows, mean(seen), seen.variance) == (2.0, 2.0, 1.0)
    seen = include(seen, jnp.array([6.0, 6.0]))
    assert (seen.rows, mean(seen), seen.variance) == (4.0, 4.0, 4.5)
    # 8.5 is 4.5 above the mean: 4.5 / sqrt(4.5) = 2.12132
    np.testing.assert_allclose(normalise(seen, jnp.array([4.0, 8.5])), [0.0, 2.12132], atol=1e-5)


@pytest.mark.parametrize("scale", [1e-5, 1.0, 1e6])
@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_any_scale_and_offset(scale, offset):
    rng = np.random.default_rng(0)
    batches = [
        np.float32(scale * (offset + rng.normal(size=(4, size, 2)) * [1.0, 3.0] + [0.0, 5.0])) for size in (1, 8, 8, 50)
    ]
    seen = statistics((2,))
    for batch in batches:
        seen = include(seen, jnp.asarray(batch))
    rows = np.concatenate([batch.reshape(-1, 2) for batch in batches]).astype(np.float64)
    np.testing.assert_allclose(seen.variance, rows.var(axis=0), rtol=1e-4)
    np.testing.assert_allclose((mean(seen) - rows.mean(axis=0)) / rows.std(axis=0), 0.0, atol=1e-4)
    expected = (rows - rows.mean(axis=0)) / np.sqrt(rows.var(axis=0) + 1e-12)
    np.testing.assert_allclose(normalise(seen, jnp.asarray(rows, jnp.float32)), expected, atol=2e-3)


def test_entries_that_are_not_finite_are_left_out_each_for_itself():
    rows = np.random.default_rng(0).normal(size=(9, 2)).astype(np.float32)
    for (row, entry), broken in {(0, 0): np.nan, (1, 1): np.inf, (4, 0): -np.inf, (5, 0): 3e38, (5, 1): np.nan}.items():
        rows[row, entry] = broken
    seen = statistics((2,))
    for part in (rows[:1], rows[1:4], rows[4:6], rows[6:]):
        seen = include(seen, jnp.asarray(part))
    whole = [rows[np.abs(rows[:, entry]) < 1e15, entry].astype(np.float64) for entry in (0, 1)]
    assert seen.rows.tolist() == [6.0, 7.0]
    np.testing.assert_allclose(mean(seen), [x.mean() for x in whole], rtol=1e-5)
    np.testing.assert_allclose(seen.variance, [x.var() for x in whole], rtol=1e-5)

    half = include(seen, jnp.array([[jnp.nan, 1.0], [jnp.inf, 2.0]]))
    assert types(half) == types(seen) == types(statistics((2,)))
    jax.tree.map(lambda x, y: np.testing.assert_array_equal(x[0], y[0]), half, seen)
    assert half.rows[1] == 9.0
    np.testing.assert_array_equal(normalise(seen, jnp.array([jnp.nan, 3e38])), 0.0)  # the mean
    np.testing.assert_array_equal(normalise(statistics((2,)), jnp.array([jnp.nan, 7.0])), [0.0, 7.0])


@pytest.mark.parametrize(
    ("size", "factor"),
    [(0.004, 25.0), (1e-6, 1000.0), (0.0, 1.0), (0.11, 1.0), (0.5, 1.0), (300.0, 1.0)],  # .1 / .004 = 25
)
def test_only_tiny_observations_are_lifted_all_by_one_factor(size, factor):
    batch = size * jnp.array([[[1.0, -1.0], [jnp.nan, 1.0]], [[-1.0, 1.0], [1.0, -1.0]]])  # [T, B, 2]
    seen = measure(measure(magnitude(), batch), batch[:1])
    x = jnp.array([[0.003, -2.0]])
    np.testing.assert_allclose(lift(seen, x), factor * x, rtol=2e-5)
    if factor == 1.0:
        np.testing.assert_array_equal(lift(seen, x), x)
    half = lift(seen, x.astype(jnp.bfloat16))
    assert half.dtype == jnp.bfloat16


def test_a_shifted_observation_is_not_tiny():
    seen = measure(magnitude(), 7.0 + 1e-3 * jnp.arange(15.0).reshape(5, 3))
    np.testing.assert_array_equal(lift(seen, jnp.array([7.0])), [7.0])


def test_before_any_data_everything_stays_as_it_is():
    x = jnp.array([[-50.0, 3.0]])
    np.testing.assert_array_equal(normalise(statistics((2,)), x), x)
    np.testing.assert_array_equal(lift(magnitude(), x), x)
    np.testing.assert_array_equal(scale_reward(return_scale(4), x), x)


def test_what_never_varied_is_zero_and_what_is_new_is_clipped():
    constant = jnp.full((1000, 2), jnp.array([[0.1, 1e6]]))
    seen = include(include(statistics((2,)), constant), constant[:7])
    np.testing.assert_array_equal(seen.variance, 0.0)
    np.testing.assert_array_equal(normalise(seen, constant[0]), 0.0)
    np.testing.assert_array_equal(normalise(seen, jnp.array([[0.2, 2e6], [0.0, 0.0]])), [[10.0, 10.0], [-10.0, -10.0]])
    np.testing.assert_array_equal(normalise(seen, jnp.array([0.2, 2e6]), clip=5.0), [5.0, 5.0])


def test_a_long_life_ends_in_a_moving_average():
    # Float32 cannot count single rows beyond 2**24; the memory ends before, and what is older fades.
    seen = Statistics(jnp.float32(LONGEST), jnp.float32(0.0), jnp.float32(0.0), jnp.float32(1.0))
    draws = 5.0 + 2.0 * jax.random.normal(jax.random.key(0), (64, 2**16))
    seen = jax.lax.scan(lambda seen, batch: (include(seen, batch), None), seen, draws)[0]  # four memories long
    assert seen.rows == LONGEST
    np.testing.assert_allclose(mean(seen), 5.0, atol=0.15)  # 5 * (1 - 1/16)^64 = .08 of it is still to come
    np.testing.assert_allclose(seen.variance, 4.0, atol=0.5)


def test_one_batch_longer_than_the_memory_is_all_that_is_remembered():
    seen = include(statistics(()), jnp.array([9.0]))
    seen = include(seen, jnp.tile(jnp.array([1.0, 3.0]), int(LONGEST)))
    np.testing.assert_allclose([mean(seen), seen.variance], [2.0, 1.0], rtol=1e-5)


@pytest.mark.parametrize("dtype", [jnp.uint8, jnp.int32, jnp.bool_, jnp.bfloat16])
def test_other_types_are_counted_as_floats(dtype):
    rows = jnp.array([[0, 1], [1, 1], [1, 0], [0, 1]]).astype(dtype)
    seen = include(statistics((2,)), rows)
    assert types(seen) == types(statistics((2,)))
    np.testing.assert_allclose(mean(seen), [0.5, 0.75])
    np.testing.assert_allclose(seen.variance, [0.25, 0.1875])
    assert normalise(seen, rows).dtype == jnp.float32
    np.testing.assert_allclose(normalise(seen, rows)[0], [-1.0, 0.25 / 0.1875**0.5], rtol=1e-5)


def test_a_batch_of_another_shape_is_refused():
    with pytest.raises(SettingError, match=r"shape \(2,\) got a batch of shape \(4, 3\)"):
        include(statistics((2,)), jnp.zeros((4, 3)))


def test_discounted_returns_by_hand():
    # discount .5, rewards 1, 2, 4 and no end: R = 1, 2.5, 5.25.
    # an end after the second: R = 1, 2.5, then 4 alone.
    # six returns: 1, 2.5, 5.25, 1, 2.5, 4: mean 16.25 / 6 = 2.708333,
    # variance (1 + 6.25 + 27.5625 + 1 + 6.25 + 16) / 6 - 2.708333^2 = 9.677083 - 7.335069 = 2.342014
    reward = jnp.array([[1.0, 1.0], [2.0, 2.0], [4.0, 4.0]])
    done = jnp.array([[False, False], [False, True], [False, False]])
    scale = follow(return_scale(2), reward, done, 0.5)
    np.testing.assert_allclose(scale.returns, [5.25, 4.0])
    np.testing.assert_allclose(scale.statistics.variance, 2.342014, rtol=1e-5)
    # 3 / sqrt(2.342014) = 1.960314; zero stays zero; 1000 / 1.53 is clipped
    scaled = scale_reward(scale, jnp.array([3.0, 0.0, 1000.0]))
    np.testing.assert_allclose(scaled, [1.960314, 0.0, 10.0], rtol=1e-5)
    np.testing.assert_allclose(scale_reward(scale, jnp.array(1000.0), clip=jnp.inf), 653.438, rtol=1e-5)


def test_a_rollout_in_two_parts_is_the_whole():
    rng = np.random.default_rng(0)
    reward, done = rng.normal(size=(8, 3)).astype(np.float32), rng.uniform(size=(8, 3)) < 0.3
    whole = follow(return_scale(3), reward, done, 0.9)
    parts = follow(follow(return_scale(3), reward[:4], done[:4], 0.9), reward[4:], done[4:], 0.9)
    np.testing.assert_allclose(parts.returns, whole.returns, rtol=1e-5)
    np.testing.assert_allclose(parts.statistics.variance, whole.statistics.variance, rtol=1e-5)


def test_a_reward_that_is_not_finite_is_passed_over():
    # discount .5, rewards 2, nan, 4: R = 2, (1 uncounted), 4.5; mean 3.25, variance 1.25^2 = 1.5625
    reward, done = jnp.array([[2.0], [jnp.nan], [4.0]]), jnp.zeros((3, 1), bool)
    scale = follow(return_scale(1), reward, done, 0.5)
    np.testing.assert_allclose(scale.returns, [4.5])
    assert scale.statistics.rows == 2.0
    np.testing.assert_allclose(scale.statistics.variance, 1.5625)
    spoilt = follow(scale, jnp.full((2, 1), jnp.inf), done[:2], 0.5)
    np.testing.assert_allclose(spoilt.returns, [1.125])
    jax.tree.map(np.testing.assert_array_equal, spoilt.statistics, scale.statistics)


def test_rewards_that_never_came_do_not_make_the_first_one_huge():
    scale = follow(return_scale(2), jnp.zeros((5, 2)), jnp.zeros((5, 2), bool), 0.99)
    np.testing.assert_array_equal(scale_reward(scale, jnp.array([0.0, 1.0, -1.0])), [0.0, 10.0, -10.0])


def test_states_keep_their_types_and_one_program_serves_all():
    traces = []

    def body(carry, batch):
        traces.append(None)
        seen, scale = carry
        seen, scale = include(seen, batch), follow(scale, batch, batch > 0, jnp.float32(0.9))
        return (seen, scale), (normalise(seen, batch), scale_reward(scale, batch))

    begin = statistics((3,)), return_scale(3)
    compiled = jax.jit(lambda carry, batches: jax.lax.scan(body, carry, batches))
    batches = jax.random.normal(jax.random.key(0), (4, 5, 3))
    after, outputs = compiled(begin, batches)
    traced = len(traces)
    compiled(after, batches)
    assert len(traces) == traced
    assert types(after) == types(begin)
    assert {leaf.dtype for leaf in jax.tree.leaves(outputs)} == {jnp.dtype("float32")}


def test_states_are_of_single_precision_even_where_double_is_allowed(float64):
    seen = include(statistics((2,)), jnp.ones((3, 2)))
    scale = follow(return_scale(2), jnp.ones((3, 2)), jnp.zeros((3, 2), bool), 0.9)
    assert {leaf.dtype for leaf in jax.tree.leaves((seen, scale))} == {jnp.dtype("float32")}
