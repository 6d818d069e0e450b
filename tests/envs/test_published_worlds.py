"""The worlds of published experiments do what a hand calculation says."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from selftune.envs.worlds import bandit, bandits, discounting, mazes, random_mdp, switching_mdps, tabular, world
from selftune.errors import SettingError

KEY = jax.random.key(0)
KEYS = jax.random.split(KEY, 400)


def walk(env, *actions):
    """Rewards, and whether the episode terminated, at each of these actions from the start."""

    def body(state, action):
        observation, state, reward, terminated, *_ = env.step(KEY, state, action, env.params)
        return state, (observation, reward, terminated)

    state = env.reset(KEY, env.params)[1]
    return jax.device_get(jax.jit(lambda actions: jax.lax.scan(body, state, actions))(jnp.asarray(actions)))[1]


def many(env, state, action, keys=KEYS):
    """What a step gives, many times from one state."""
    step = jax.jit(jax.vmap(env.step, in_axes=(0, None, None, None)))
    return jax.device_get(step(keys, state, jnp.int32(action), env.params)[:5])


@pytest.mark.parametrize(
    ("chain", "horizon", "reward"), [(0, 1, 1.0), (1, 3, 1.0), (2, 10, 1.0), (3, 30, 1.1), (4, 100, 1.0)]
)
def test_a_chain_pays_once_at_its_horizon(chain, horizon, reward):
    observations, rewards, terminated = walk(world("discounting_chain"), chain, *[(chain + 1) % 5] * 99)
    np.testing.assert_allclose(rewards, reward * (np.arange(1, 101) == horizon), rtol=1e-6)
    np.testing.assert_array_equal(terminated, np.arange(1, 101) == 100)
    np.testing.assert_allclose(observations, np.stack([np.full(100, chain), np.arange(1, 101) / 100], 1), rtol=1e-6)


def test_the_best_chain_is_a_matter_of_physics():
    observation, _ = discounting.discounting_chain().reset(KEY, discounting.Params())
    np.testing.assert_array_equal(observation, [-1.0, 0.0])
    assert walk(world("discounting_chain", best_chain=0), 0)[1][0] == np.float32(1.1)


def test_means_of_arms_fall_around_the_circle():
    np.testing.assert_allclose(bandits.means(bandits.Params(best_arm=1.0), 4), [0.5, 1.0, 0.5, 0.0])
    np.testing.assert_allclose(bandits.means(bandits.Params(best_arm=3.5), 4), [0.75, 0.25, 0.25, 0.75])
    np.testing.assert_allclose(bandits.means(bandits.Params(best_arm=5.0), 4), [0.5, 1.0, 0.5, 0.0], rtol=1e-6)
    env = world("bandit", noise=2.0)
    reward = many(env, env.reset(KEY, env.params)[1], 5)[2]  # opposite the best of ten arms: mean 0
    assert abs(reward.mean()) < 3 * 2.0 / 20
    assert abs(reward.std() - 2.0) < 3 * 2.0 / 800**0.5


def test_a_random_process_is_its_tables():
    env = world("random_mdp", seed=3, concentration=0.3)
    drawn = jax.jit(jax.vmap(lambda seed: tabular.tables(env.params._replace(seed=seed))))(jnp.array([3, 4]))
    transitions, means = drawn[0][0], drawn[1][0]
    np.testing.assert_allclose(transitions.sum(-1), 1.0, rtol=1e-5)
    assert 0.0 <= means.min() < 0.2
    assert 0.8 < means.max() <= 1.0
    state = tabular.RandomState(jnp.int32(4), jnp.int32(0))
    place, _, reward, *_ = many(env, state, 2, jax.random.split(KEY, 4000))
    share = np.bincount(place, minlength=10) / 4000
    assert (abs(share - transitions[4, 2]) < 4 * 0.5 / 4000**0.5).all()
    assert abs(reward.mean() - means[4, 2]) < 4 * 0.1 / 4000**0.5
    assert (drawn[1][0] != drawn[1][1]).all()


def family(table, count):
    """A table of the first processes of a family."""
    return jax.jit(jax.vmap(lambda mdp: table(tabular.SwitchingParams(mdp=mdp))))(jnp.arange(count))


def test_rewards_of_switching_processes_have_the_published_shares():
    worths = np.asarray(family(tabular.worths, 5)).ravel()  # 2000
    for value, share in [(0.0, 0.5), (1.0, 0.2), (-1.0, 0.2)]:
        assert abs((worths == value).mean() - share) < 3 * (share * (1 - share) / 2000) ** 0.5
    rest = worths[~np.isin(worths, [0.0, 1.0, -1.0])]
    assert abs(rest).max() < 1.0
    assert abs(rest.mean()) < 3 * (1 / 3 / len(rest)) ** 0.5


def test_walls_of_a_switching_process_hold_and_a_switch_moves_them():
    every = np.asarray(family(tabular.walls, 60))
    counts = every.sum(1).tolist()
    assert min(counts) <= 2
    assert 13 <= max(counts) <= 15
    env = world("switching_mdps", mdp=counts.index(max(counts)))
    walls = every[env.params.mdp].reshape(10, 10)
    assert not walls.ravel()[np.asarray(jax.vmap(env.reset, (0, None))(KEYS, env.params)[0])].any()
    worths, step = np.asarray(family(tabular.worths, 60))[env.params.mdp], jax.jit(env.step)
    for cell in (0, 9, 45, 57, 99):
        for action, (down, right) in enumerate([(-1, 0), (0, 1), (1, 0), (0, -1)]):
            row, column = cell // 10 + down, cell % 10 + right
            free = 0 <= row < 10 and 0 <= column < 10 and not walls[row, column]
            state = tabular.SwitchingState(jnp.int32(cell), jnp.int32(0))
            there, _, reward, *_ = step(KEY, state, jnp.int32(action), env.params)
            assert there == (10 * row + column if free else cell)
            assert reward == worths[cell, action]
    assert len(np.unique(every, axis=0)) > 50


def test_objects_of_the_maze_pay_and_are_placed_anew():
    env = world("maze")
    state = mazes.State(jnp.array([4, 5, 1], jnp.int32), jnp.int32(0))  # blue to the right, green above
    observation, after, reward, terminated, _ = many(env, state, 1)
    assert (reward == 1.0).all()
    assert not terminated.any()
    assert (after.places[:, 0] == 5).all()
    assert set(after.places[:, 1].tolist()) == set(range(9)) - {5, 1}
    np.testing.assert_array_equal(observation[0, :6], [0, 1, 0, 0, 0, 1])  # row 1, column 2
    np.testing.assert_array_equal(observation[:, 18:], np.eye(8)[[1] * 400])
    assert (many(env, state, 0)[2] == -1.0).all()
    np.testing.assert_allclose(many(env, state, 2)[2], -0.04, rtol=1e-6)
    assert many(env, state._replace(time=jnp.int32(7)), 2)[3].all()
    corner = state._replace(places=jnp.array([8, 5, 1], jnp.int32))
    assert (many(env, corner, 1)[1].places[:, 0] == 8).all(), "borders hold"


@pytest.mark.parametrize(("build", "size"), [(bandit, 1), (random_mdp, 0), (switching_mdps, 1)])
def test_worlds_too_small_to_be_any_are_refused(build, size):
    with pytest.raises(SettingError, match="expected at least"):
        build(size)
