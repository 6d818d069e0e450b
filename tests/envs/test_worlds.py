"""The physics are Gymnasium's, step by step; the small worlds do what a hand calculation says."""

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from selftune.envs import native
from selftune.envs.worlds import WORLDS, chain, drawing, grid, recall, world
from selftune.errors import SettingError
from selftune.spaces import Discrete

KEY = jax.random.key(0)
KEYS = jax.random.split(KEY, 400)
ZERO = jnp.int32(0)

begin = jax.jit(native.begin, static_argnums=(0, 3))
advance = jax.jit(native.advance, static_argnums=0)


def cells(*positions):
    return jnp.asarray(positions, jnp.int32)


def walk(env, state, *actions):
    """What the last of these actions gives: observation, state, reward, terminated, truncated."""
    given = ()
    for key, action in zip(KEYS[: len(actions)], actions, strict=True):
        given = jax.jit(env.step)(key, state, jnp.int32(action), env.params)[:5]
        state = given[1]
    return jax.device_get(given)


def many(env, state, action):
    """The same, 400 times from one state, each with a key of its own."""
    step = jax.jit(jax.vmap(env.step, in_axes=(0, None, None, None)))
    return jax.device_get(step(KEYS, state, jnp.int32(action), env.params)[:5])


def starts(env):
    """400 first states."""
    return jax.device_get(jax.jit(jax.vmap(env.reset, in_axes=(0, None)))(KEYS, env.params)[1])


# The worlds that Gymnasium has too.

TWINS = {
    "cartpole": ("CartPole-v1", [3.0, 3.0, 0.3, 3.0]),
    "acrobot": ("Acrobot-v1", [np.pi, np.pi, 6.0, 6.0]),
    "pendulum": ("Pendulum-v1", [np.pi, 8.0]),
    "mountain_car": ("MountainCar-v0", [0.9, 0.07]),
    "mountain_car_continuous": ("MountainCarContinuous-v0", [0.9, 0.07]),
}
"""Gymnasium's name, and half the width of the box of states to try; a faster acrobot magnifies rounding errors."""

OTHER_PHYSICS = {
    "cartpole": (
        {"gravity": 20.0, "cart_mass": 2.0, "pole_mass": 0.3, "half_length": 0.8, "force": 5.0, "tau": 0.05},
        {"gravity": 20.0, "masspole": 0.3, "total_mass": 2.3, "length": 0.8, "polemass_length": 0.24}
        | {"force_mag": 5.0, "tau": 0.05},
    ),
    "acrobot": (
        {"length_1": 1.3, "mass_1": 0.7, "mass_2": 1.4, "centre_of_mass_1": 0.6, "centre_of_mass_2": 0.4}
        | {"moment_of_inertia": 1.2, "max_velocity_1": 3.0, "max_velocity_2": 5.0, "tau": 0.1, "torque": 2.0},
        {"LINK_LENGTH_1": 1.3, "LINK_MASS_1": 0.7, "LINK_MASS_2": 1.4, "LINK_COM_POS_1": 0.6, "LINK_COM_POS_2": 0.4}
        | {"LINK_MOI": 1.2, "MAX_VEL_1": 3.0, "MAX_VEL_2": 5.0, "dt": 0.1, "AVAIL_TORQUE": [-2.0, 0.0, 2.0]},
    ),
    "pendulum": (
        {"gravity": 4.0, "mass": 2.0, "length": 1.5, "max_torque": 1.0, "max_speed": 5.0, "tau": 0.1},
        {"g": 4.0, "m": 2.0, "l": 1.5, "max_torque": 1.0, "max_speed": 5.0, "dt": 0.1},
    ),
    "mountain_car": (
        {"force": 0.002, "gravity": 0.004, "min_position": -1.0, "max_position": 0.3, "max_speed": 0.03},
        {"force": 0.002, "gravity": 0.004, "min_position": -1.0, "max_position": 0.3, "max_speed": 0.03},
    ),
    "mountain_car_continuous": (
        {"force": 0.003, "min_position": -1.0, "max_position": 0.3, "max_speed": 0.03},
        {"power": 0.003, "min_position": -1.0, "max_position": 0.3, "max_speed": 0.03},
    ),
}
"""Changes of our physics, and the same by Gymnasium's names."""


def compare(name, env, twin):
    """Observation, reward and termination after one step from each of 300 states, ours and Gymnasium's."""
    half = np.array(TWINS[name][1])
    centre = np.array([-0.3, 0.0]) if name.startswith("mountain") else 0.0
    random = np.random.default_rng(0)
    states = (centre + random.uniform(-half, half, (300, len(half)))).astype(np.float32)
    actions = [twin.action_space.sample() for _ in states]
    theirs = []
    for state, action in zip(states, actions, strict=True):
        twin.reset()
        twin.state = state.astype(np.float64)
        theirs.append(twin.step(action)[:3])
    shape = jax.jit(env.reset)(KEY, env.params)[1]

    def step(state, action):
        state = type(shape)(*(state[None] if name == "acrobot" else state), time=ZERO)
        observation, _, reward, terminated, *_ = env.step(KEY, state, action, env.params)
        return observation, reward, terminated

    ours = jax.jit(jax.vmap(step))(states, jnp.asarray(np.array(actions)))
    return ours, [np.array(column) for column in zip(*theirs, strict=True)]


@pytest.fixture(params=TWINS)
def name(request):
    return request.param


@pytest.fixture
def twin(name):
    twin = gymnasium.make(TWINS[name][0]).unwrapped
    twin.action_space.seed(0)
    return twin


def test_a_step_is_gymnasiums(name, twin):
    ours, theirs = compare(name, world(name), twin)
    for mine, its in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, its, rtol=1e-5, atol=1e-5)
    assert len(np.unique(theirs[2])) == (1 if name == "pendulum" else 2), "the states decide both ways"


def test_a_step_under_other_physics_is_gymnasiums(name, twin):
    changes, its = OTHER_PHYSICS[name]
    for attribute, value in its.items():
        assert hasattr(twin, attribute)
        setattr(twin, attribute, value)
    ours, theirs = compare(name, world(name, **changes), twin)
    np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-5, atol=2e-5)


def test_an_episode_begins_where_gymnasiums_does(name, twin):
    env = world(name)
    ours = np.asarray(jax.jit(jax.vmap(env.reset, in_axes=(0, None)))(KEYS, env.params)[0])
    theirs = np.array([twin.reset(seed=seed)[0] for seed in range(400)])
    for end in (np.min, np.max):
        width = np.ptp(theirs, axis=0) + 1e-6
        assert (abs(end(ours, axis=0) - end(theirs, axis=0)) < 0.05 * width).all()


def test_the_time_limit_is_gymnasiums(name):
    env = world(name)
    assert env.params.max_steps == gymnasium.spec(TWINS[name][0]).max_episode_steps
    _, state = jax.jit(env.reset)(KEY, env.params)
    action = jnp.int32(0) if isinstance(env.action_space, Discrete) else jnp.zeros(1)
    for time, truncated in [(env.params.max_steps - 2, False), (env.params.max_steps - 1, True)]:
        given = jax.jit(env.step)(KEY, state._replace(time=jnp.int32(time)), action, env.params)
        assert given[4] == truncated
        assert not given[3]


# What holds for every world.

ANOTHER = {
    "acrobot": {"gravity": 3.0},
    "bandit": {"best_arm": 3.5},
    "cartpole": {"force": 20.0},
    "catch": {"wind": 0.9},
    "chain": {"slip_probability": 0.9},
    "discounting_chain": {"best_chain": 0},
    "four_rooms": {"slip_probability": 0.9},
    "maze": {"blue_reward": -1.0},
    "mountain_car": {"gravity": 0.005},
    "mountain_car_continuous": {"gravity": 0.005},
    "pendulum": {"length": 2.0},
    "random_mdp": {"seed": 1},
    "recall": {"delay": 1},
    "switching_mdps": {"mdp": 1},
    "tutoring": {"fatigue": 0.2},
    "two_colors": {"blue_reward": -1.0},
}


@pytest.mark.parametrize("name", WORLDS)
def test_many_step_in_one_compiled_scan_that_serves_every_physics(name):
    env = WORLDS[name]()
    discrete = isinstance(env.action_space, Discrete)

    @jax.jit
    def run(params, worlds, key):
        def body(worlds, key):
            draw = jax.random.split(key)
            action = jax.random.uniform(draw[0], (8,) if discrete else (8, 1), minval=-1.0)
            action = ((action + 1.0) / 2.0 * env.action_space.n).astype(jnp.int32) if discrete else action
            worlds, step = native.advance(env, params, worlds, action, draw[1])
            return worlds, (step.next_observation, step.reward, step.finished)

        return jax.lax.scan(body, worlds, jax.random.split(key, 40))

    beginning = begin(env, env.params, KEY, 8)
    worlds, seen = run(env.params, beginning, KEY)
    assert seen[0].shape == (40, 8, *env.observation_space.encoded_shape)
    assert all(np.isfinite(part).all() for part in seen)
    again = run(env.params, worlds, KEY)[0]
    assert jax.tree.map(lambda leaf: leaf.dtype, again) == jax.tree.map(lambda leaf: leaf.dtype, worlds)
    elsewhere = run(world(name, **ANOTHER[name]).params, beginning, KEY)[1]
    assert any((ours != theirs).any() for ours, theirs in zip(seen, elsewhere, strict=True))
    assert run._cache_size() == 1


@pytest.mark.parametrize("name", WORLDS)
def test_states_observations_and_rewards_are_strongly_typed(name):
    env = WORLDS[name]()
    action = jnp.int32(0) if isinstance(env.action_space, Discrete) else jnp.zeros(1)

    def both(key, params):
        observation, state = env.reset(key, params)
        return (observation, state), env.step(key, state, action, params)

    (observation, state), given = jax.eval_shape(both, KEY, env.params)
    assert not any(leaf.weak_type for leaf in jax.tree.leaves((observation, state, given)))
    assert jax.tree.structure(given[1]) == jax.tree.structure(state)
    for before, after in zip(jax.tree.leaves((observation, state)), jax.tree.leaves(given[:2]), strict=True):
        assert (before.shape, before.dtype) == (after.shape, after.dtype)
    assert state.time.dtype == jnp.int32
    assert [leaf.dtype for leaf in given[2:5]] == [jnp.float32, bool, bool]


def test_what_ends_shows_its_true_successor_and_begins_anew():
    env = world("cartpole")
    worlds = begin(env, env.params, KEY, 2)
    worlds = worlds._replace(
        state=worlds.state._replace(position=jnp.array([2.39, 0.0]), velocity=jnp.array([1.0, 0.0])),
        returns=jnp.array([7.0, 7.0]),
    )
    worlds, step = advance(env, env.params, worlds, jnp.array([1, 1]), KEY)
    np.testing.assert_allclose(step.next_observation[0, 0], 2.39 + 0.02 * 1.0, rtol=1e-6)
    np.testing.assert_array_equal(step.terminated, [True, False])
    np.testing.assert_array_equal(step.returns, [8.0, 8.0])
    np.testing.assert_array_equal(worlds.returns, [0.0, 8.0])
    np.testing.assert_array_equal(worlds.state.time, [0, 1])
    assert (abs(worlds.observation[0]) <= 0.05).all()
    np.testing.assert_array_equal(worlds.observation[1], step.next_observation[1])


# The small worlds, by hand.


def test_a_ball_that_falls_is_caught_by_a_paddle_below_it():
    env = world("catch")
    start = jax.jit(env.reset)(KEY, env.params)[1]._replace(ball=ZERO)
    assert start.paddle == 2
    observation = walk(env, start, 0)[0]
    np.testing.assert_array_equal(np.argwhere(observation), [[1, 0], [9, 1]])
    for actions, outcome in [((0, 0), 1.0), ((0, 1), -1.0), ((2, 2), -1.0)]:
        assert walk(env, start, *actions, *[1] * 6)[2:4] == (0.0, False), "in the air"
        assert walk(env, start, *actions, *[1] * 7)[2:4] == (outcome, True)
    assert walk(env, start, *[2] * 4)[1].paddle == 4, "the edge holds"


def test_balls_start_anywhere_and_wind_blows_them_aside():
    env = world("catch", wind=1.0)
    states = starts(env)
    assert set(states.ball.tolist()) == {0, 1, 2, 3, 4}
    state = jax.jit(env.reset)(KEY, env.params)[1]
    assert set(many(env, state._replace(ball=jnp.int32(2)), 1)[1].ball.tolist()) == {1, 3}
    assert set(many(env, state._replace(ball=jnp.int32(4)), 1)[1].ball.tolist()) == {3, 4}


def test_the_ends_of_a_chain_pay():
    env = chain(3)
    env = env._replace(params=env.params._replace(slip_probability=0.0, max_steps=4))
    observation, state = jax.jit(env.reset)(KEY, env.params)
    assert observation == 0
    walked = [walk(env, state, *actions) for actions in ([0], [1], [1, 1], [1, 1, 1], [1, 1, 1, 0])]
    assert [int(given[0]) for given in walked] == [0, 1, 2, 2, 1]
    np.testing.assert_allclose([given[2] for given in walked], [0.005, 0.0, 0.0, 1.0, 0.0], rtol=1e-6)
    assert [bool(given[4]) for given in walked] == [False, False, False, False, True]
    assert not any(given[3] for given in walked)


def test_a_slip_goes_the_other_way():
    env = world("chain", slip_probability=0.3)
    state = jax.jit(env.reset)(KEY, env.params)[1]._replace(position=jnp.int32(2))
    position = many(env, state, 1)[0]
    assert set(position.tolist()) == {1, 3}
    assert abs((position == 1).mean() - 0.3) < 3 * (0.3 * 0.7 / 400) ** 0.5


def test_walls_hold_and_doors_open():
    env = world("four_rooms", slip_probability=0.0)

    def go(row, column, action):
        return walk(env, grid.RoomsState(cells(row, column), ZERO), action)

    moves = {(1, 1, 0): (1, 1), (1, 1, 1): (1, 2), (1, 1, 2): (2, 1), (1, 1, 3): (1, 1), (3, 5, 1): (3, 6)}
    moves |= {(2, 5, 1): (2, 5), (7, 9, 0): (6, 9), (6, 2, 2): (7, 2)}
    for move, (row, column) in moves.items():
        observation, state, reward, terminated, truncated = go(*move)
        assert observation == 13 * row + column
        np.testing.assert_array_equal(state.position, [row, column])
        assert (reward, terminated, truncated) == (0.0, False, False)
    assert go(11, 10, 1)[2:4] == (1.0, True)
    assert (~grid.WALLS).sum() == 104  # as in the paper: four rooms of 25, 30, 20 and 25 cells, and four doors


def test_one_slips_in_any_other_direction():
    env = world("four_rooms", slip_probability=1.0)
    position = many(env, grid.RoomsState(cells(3, 3), ZERO), 1)[1].position
    assert set(map(tuple, position.tolist())) == {(2, 3), (4, 3), (3, 2)}


def test_one_starts_anywhere_but_in_a_wall_or_at_the_goal():
    env = world("four_rooms", goal_row=1, goal_column=1)
    position = starts(env).position
    assert not grid.WALLS[tuple(position.T)].any()
    assert not (position == [1, 1]).all(axis=1).any()
    assert len(np.unique(position, axis=0)) > 90  # 103 (1 - exp(-400 / 103)) = 101 expected


COLORS = grid.ColorsState(cells(2, 2), cells((2, 3), (1, 2)), ZERO)
"""Blue to the right of the agent, red above."""


def test_an_object_pays_by_its_color_and_is_placed_anew():
    env = world("two_colors")
    observation, state, reward, terminated, truncated = many(env, COLORS, 1)
    assert (reward == 1.0).all()
    assert not (terminated | truncated).any()
    np.testing.assert_array_equal(state.agent, np.broadcast_to([2, 3], (400, 2)))
    np.testing.assert_array_equal(state.objects[:, 1], np.broadcast_to([1, 2], (400, 2)))
    everywhere = {(row, column) for row in range(5) for column in range(5)}
    assert set(map(tuple, state.objects[:, 0].tolist())) == everywhere - {(2, 3), (1, 2)}
    positions = np.stack([state.agent, state.objects[:, 0], state.objects[:, 1]], axis=1)
    np.testing.assert_array_equal(observation, np.eye(5)[positions].reshape(400, 30))


def test_the_other_color_costs_until_the_roles_swap():
    assert walk(world("two_colors"), COLORS, 0)[2] == -1.0
    assert walk(world("two_colors", blue_reward=-1.0), COLORS, 0)[2] == 1.0
    assert walk(world("two_colors", blue_reward=-1.0), COLORS, 1)[2] == -1.0


def test_a_step_that_collects_nothing_costs_and_borders_hold():
    _, state, reward, *_ = walk(world("two_colors"), COLORS, 2, 2, 2, 3)
    np.testing.assert_allclose(reward, -0.04, rtol=1e-6)
    np.testing.assert_array_equal(state.agent, [4, 1])
    np.testing.assert_array_equal(state.objects, COLORS.objects)
    assert walk(world("two_colors", step_cost=0.0), COLORS, 2)[2] == 0.0


def test_everything_is_placed_anew_where_that_is_the_rule():
    state = many(world("two_colors", respawn_all=True), COLORS, 1)[1]
    for positions in (state.agent, state.objects[:, 0], state.objects[:, 1]):
        assert len(np.unique(positions, axis=0)) == 25
    assert not (state.objects == state.agent[:, None]).all(axis=2).any()
    assert not (state.objects[:, 0] == state.objects[:, 1]).all(axis=1).any()
    untouched = walk(world("two_colors", respawn_all=True), COLORS, 2)[1]
    np.testing.assert_array_equal(untouched.objects, COLORS.objects)


def test_a_cue_is_shown_once_and_asked_for_at_the_end():
    env = recall(3)
    env = env._replace(params=env.params._replace(delay=2))
    states = starts(env)
    assert set(states.cue.tolist()) == {0, 1, 2}
    first, state = jax.jit(env.reset)(KEY, env.params)
    cue = int(state.cue)
    np.testing.assert_array_equal(first, [*np.eye(3)[cue], 0.0])
    for steps, query in [(1, 0.0), (2, 0.0), (3, 1.0)]:
        observation, _, reward, terminated, _ = walk(env, state, *[cue] * steps)
        np.testing.assert_array_equal(observation, [0.0, 0.0, 0.0, query])
        assert (reward, terminated) == (0.0, False)
    for answer in range(3):
        reward, terminated = walk(env, state, 0, 0, 0, answer)[2:4]
        assert (reward, terminated) == (1.0 if answer == cue else -1.0, True)


# Names, physics and pictures.


@pytest.mark.parametrize("name", WORLDS)
def test_a_world_knows_its_name(name):
    assert WORLDS[name]().name == name


def test_changes_take_the_type_of_the_field():
    params = world("cartpole", gravity=15, max_steps=np.int64(20)).params
    assert (params.gravity, type(params.gravity)) == (15.0, float)
    assert (params.max_steps, type(params.max_steps)) == (20, int)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: world("cartpol"), "did you mean 'cartpole'"),
        (lambda: world("cartpole", gravty=1.0), "did you mean 'gravity'"),
        (lambda: world("cartpole", max_steps=2.5), "max_steps=2.5 for the world 'cartpole', expected int"),
        (lambda: world("two_colors", respawn_all=0.5), "expected bool"),
        (lambda: chain(1), "at least 2"),
        (lambda: recall(1), "at least 2"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_cure(make, message):
    with pytest.raises(SettingError, match=message):
        make()


@pytest.mark.parametrize("name", [name for name in WORLDS if WORLDS[name]().render])
def test_a_picture_shows_the_state(name):
    env = WORLDS[name]()
    states = [jax.jit(env.reset)(key, env.params)[1] for key in KEYS[:3]]
    pictures = [env.render(state, env.params) for state in states]
    assert all(picture.dtype == np.uint8 and picture.ndim == 3 for picture in pictures)
    assert any((pictures[0] != picture).any() for picture in pictures[1:])


def test_shapes_are_painted_where_they_are_in_the_world():
    on = drawing.canvas((0.0, 4.0), (0.0, 2.0), width=8)
    assert on.image.shape == (4, 8, 3)
    # Pixels are half a unit wide: their centres lie at 0.25, 0.75, …; the first row is the highest.
    drawing.rectangle(on, (0.5, 0.5), (1.0, 1.0), (1, 1, 1))
    drawing.disc(on, (3.75, 1.75), 0.1, (2, 2, 2))
    drawing.line(on, (1.25, 1.75), (2.25, 1.75), 0.1, (3, 3, 3))
    expected = np.full((4, 8), 255)
    expected[2:, :2] = 1
    expected[0, 7] = 2
    expected[0, 2:5] = 3
    np.testing.assert_array_equal(on.image[..., 0], expected)


def test_tiles_are_squares_of_one_colour():
    board = np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8)
    image = drawing.tiles(board, size=2)
    np.testing.assert_array_equal(image[..., 0], [[1, 1, 4, 4], [1, 1, 4, 4]])
