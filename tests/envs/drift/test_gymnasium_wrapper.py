"""Gymnasium's environments follow a schedule; without one their trajectories are bitwise their own."""

from importlib.util import find_spec

import gymnasium
import numpy as np
import pytest

import selftune as st
from selftune.envs import HostEnv, make, open_env
from selftune.envs.drift import Change, Drift
from selftune.envs.drift.gymnasium_wrapper import Drifting, fields_of
from selftune.envs.opening import what_can_drift
from selftune.errors import SettingError
from selftune.runner.training import resume
from selftune.spaces import Box


def trajectory(env, steps=60, seed=3):
    """Everything that an environment gives under the same actions, in one row."""
    env.action_space.seed(seed)
    given = [np.append(env.reset(seed=seed)[0], [0.0, 0.0])]
    for _ in range(steps):
        observation, reward, terminated, truncated, _ = env.step(env.action_space.sample())
        given.append(np.append(observation, [reward, terminated]))
        if terminated or truncated:
            given.append(np.append(env.reset()[0], [0.0, 0.0]))
    return np.concatenate(given)


def needs(package):
    """Looked for and not imported: Box2D's warnings, made errors, crash the interpreter as it is imported."""
    return pytest.mark.skipif(find_spec(package) is None, reason=f"needs {package}")


quiet = pytest.mark.filterwarnings("ignore")
mujoco, box2d = needs("mujoco"), needs("Box2D")


@quiet
@pytest.mark.parametrize(
    "name",
    [
        "CartPole-v1",
        "Pendulum-v1",
        pytest.param("HalfCheetah-v5", marks=mujoco),
        pytest.param("LunarLander-v3", marks=box2d),
    ],
)
def test_an_empty_drift_changes_nothing(name):
    bare, wrapped = gymnasium.make(name), Drifting(gymnasium.make(name), Drift())
    np.testing.assert_array_equal(trajectory(bare), trajectory(wrapped))
    assert wrapped.observation_space == bare.observation_space


def test_constants_change_before_the_step_and_come_back_at_the_end():
    env = Drifting(gymnasium.make("CartPole-v1"), Drift([Change("masspole", factors=[1.0, 3.0], every=4)]), stride=2)
    bare, seen = env.unwrapped, []
    env.reset(seed=0)
    for _ in range(5):
        env.step(0)
        seen.append((bare.masspole, bare.total_mass, bare.polemass_length))
    # Two environment steps a step, four an entry: 0.1, then 0.3; the cart weighs 1 and half the pole is 0.5 long.
    light, heavy = (0.1, 1.1, 0.05), (0.3, 1.3, 0.15)
    np.testing.assert_allclose(seen, [light, light, heavy, heavy, light], rtol=1e-12)
    env.go_to(4)
    env.reset()
    assert bare.masspole == pytest.approx(0.3)
    env.close()
    assert bare.masspole == 0.1


class Slippery(gymnasium.Env):
    """Sets its own constant at every beginning, to what comes next."""

    observation_space, action_space = gymnasium.spaces.Box(0.0, 1.0, (1,)), gymnasium.spaces.Discrete(2)

    def __init__(self, *slips):
        self.slips = iter(slips)
        self.slip = 0.1

    def reset(self, *, seed=None, options=None):
        self.slip = next(self.slips)
        return np.zeros(1, np.float32), {}

    def step(self, action):
        return np.array([self.slip], np.float32), 0.0, False, False, {}


def test_what_an_environment_sets_anew_at_a_beginning_changes_all_the_same():
    def seen(drift, *slips):
        env = Drifting(Slippery(*slips), Drift([drift]))
        given = []
        for _ in slips:
            env.reset()
            given += [env.step(0)[0].item() for _ in range(3)]
        return given

    a, b, c = 0.1, 0.2, 0.3  # drawn, say: what is drawn stays its own, and factors are factors of it
    assert seen(Change("slip", values=[a, 0.9], every=4), a, a) == pytest.approx([a] * 4 + [0.9] * 2)
    assert seen(Change("slip", factors=[1, 1], every=99), a, b, c) == pytest.approx([a] * 3 + [b] * 3 + [c] * 3)
    assert seen(Change("slip", factors=[1, 2], every=4), a, b, c) == pytest.approx(
        [a] * 3 + [b, 2 * b, 2 * b] + [2 * c] * 2 + [c]
    )


def test_maps_and_announcements_around_an_environment():
    changes = [
        Change("reward_factor", values=[-2.0]),
        Change("action_factor", values=[-1.0]),
        Change("m", factors=[1.0, 2.0], every=2),
    ]
    env = Drifting(gymnasium.make("Pendulum-v1"), Drift(changes, announced=True))
    bare = gymnasium.make("Pendulum-v1")
    first, plain = env.reset(seed=1)[0], bare.reset(seed=1)[0]
    np.testing.assert_array_equal(first, [*plain, 0.0, 0.0, -1.0])
    assert env.observation_space.contains(first)
    for _ in range(2):
        observation, reward, *_ = env.step(np.array([0.5], np.float32))
        expected, cost, *_ = bare.step(np.array([-0.5], np.float32))
        np.testing.assert_array_equal(observation[:3], expected)
        assert reward == pytest.approx(-2.0 * cost)
    assert env.step(np.array([0.5], np.float32))[0][5] == 1.0
    flipped = Drifting(gymnasium.make("CartPole-v1"), Drift([Change("action_rotation", values=[1])]))
    other = gymnasium.make("CartPole-v1")
    flipped.reset(seed=2), other.reset(seed=2)
    np.testing.assert_array_equal(flipped.step(0)[0], other.step(1)[0])


class Gusty(gymnasium.Env):
    """Pays its whole number, and tells in `info` what type it has."""

    observation_space, action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,)), gymnasium.spaces.Discrete(2)

    def __init__(self, wind):
        self.wind = wind

    def reset(self, *, seed=None, options=None):
        return np.zeros(1, np.float32), {}

    def step(self, action):
        return np.zeros(1, np.float32), self.wind, False, False, {}


@pytest.mark.parametrize(
    ("own", "table", "became"),
    [
        (8, {"factors": [1.0, 1.05]}, [8.0, 8.4]),
        (0, {"values": [0.0, 0.4, 0.8, 2.5]}, [0.0, 0.4, 0.8, 2.5]),
        (3, {"factors": [1.0, 2.0]}, [3, 6]),
        (10, {"factors": [1.0, 1.1]}, [10, 11]),  # 11.000000000000002 by rounding
        (3, {"values": [4.0, 2.0], "kind": "gradual", "every": 2}, [4.0, 3.0, 2.0]),
        (3, {"values": [4.0], "kind": "gradual"}, [4]),
        (1, {"values": [1e20]}, [1e20]),
        ([1, 2], {"factors": [1.0, 2.0]}, [[1, 2], [2, 4]]),
        ([1, 2], {"factors": [1.0, 1.5]}, [[1.0, 2.0], [1.5, 3.0]]),
    ],
)
def test_a_whole_number_stays_one_where_all_its_levels_are_and_is_a_float_elsewhere(own, table, became):
    env = Drifting(Gusty(own), Drift([Change("wind", **({"every": 1} | table))]))
    env.reset()
    assert repr([env.step(0)[1] for _ in became]) == repr(became)
    env.close()
    assert repr(env.unwrapped.wind) == repr(own)


def test_what_is_announced_is_in_force_in_the_step_that_is_taken_upon_it():
    drift = Drift([Change("reward_factor", values=[1.0, 5.0], every=6)], announced=True)
    env = make("CartPole-v1", 2, drift=drift)
    observation, ended = env.reset(0), 0
    for _ in range(40):
        told, step = observation[:, -1], env.step(np.zeros(2, int))
        np.testing.assert_array_equal(step.reward, 3.0 + 2.0 * told)
        np.testing.assert_array_equal(step.next_observation[:, -1], step.observation[:, -1])
        observation, ended = step.observation, ended + len(step.finished_returns)
    assert ended >= 4, "the first observations of new episodes are among them"
    env.go_to(8)
    assert env.reset(0)[:, -1].tolist() == [1.0, 1.0]
    env.close()


def test_whole_numbers_too_large_for_jax_have_no_maps():
    space = gymnasium.spaces.Box(0, 2**40, (1,), np.int64)
    env = gymnasium.wrappers.TransformObservation(Gusty(0), lambda seen: seen.astype(np.int64), space)
    assert "observation_factor" not in fields_of(env)
    with pytest.raises(SettingError, match="vector of floats"):
        Drifting(env, Drift([Change("wind", values=[1.0])], announced=True))


def test_a_wrong_field_is_refused_with_the_list_of_those_that_exist():
    with pytest.raises(SettingError, match=r"'gravty' can change in CartPole-v1; did you mean 'gravity'\?.*force_mag"):
        open_env("CartPole-v1", 2, Drift([Change("gravty", factors=[1.0, 2.0])]))
    with pytest.raises(SettingError, match="cannot drift"):
        open_env("envpool:Pong-v5", 2, Drift([Change("gravity", factors=[1.0, 2.0])]))
    assert {"force_mag", "tau", "reward_factor", "action_rotation"} <= what_can_drift("CartPole-v1").keys()
    assert "total_mass" not in what_can_drift("CartPole-v1")
    assert {"gravity", "reward_shift"} <= what_can_drift("cartpole").keys()


def test_copies_change_together_and_a_held_world_stands_still():
    drift = Drift([Change("reward_factor", values=[1.0, 5.0], every=6)], announced=True)
    env = make("CartPole-v1", 3, drift=drift)
    assert isinstance(env, HostEnv)
    assert env.observation_space.shape == (5,)
    env.reset(0)
    rewards = [env.step(np.zeros(3, int)).reward.tolist() for _ in range(5)]
    assert rewards == [[1.0] * 3] * 2 + [[5.0] * 3] * 2 + [[1.0] * 3]
    env.close()
    still = make("CartPole-v1", 3, drift=drift, held=11)
    still.reset(0)
    assert [still.step(np.zeros(3, int)).reward.tolist() for _ in range(4)] == [[5.0] * 3] * 4
    still.close()


def test_a_run_goes_on_and_is_evaluated_where_its_world_stood(tmp_path, monkeypatch):
    drift = {"changes": [{"field": "reward_factor", "values": [1, 100], "every": 64, "recurring": False}]}
    settings = {"num_envs": 2, "rollout_length": 16, "hidden": (8,)}
    run = st.train("CartPole-v1", steps=64, settings=settings, drift=drift, out=tmp_path / "run", progress=False)
    assert [row["drift/reward_factor"] for row in run.rows] == [1.0, 1.0]
    assert st.evaluate_run(run.path, episodes=2).max() <= 500, "at the last step the reward was still 1"
    began = []
    monkeypatch.setattr(Drifting, "go_to", lambda self, step: began.append(step))
    longer = resume(run.path, steps=128, progress=False)
    assert began == [64, 64]
    assert [row["drift/reward_factor"] for row in longer.rows] == [1.0, 1.0, 100.0, 100.0]


@quiet
@mujoco
def test_friction_of_a_robot_really_changes():
    def slide(friction):
        env = Drifting(gymnasium.make("HalfCheetah-v5"), Drift([Change("geom_friction", factors=[friction])]))
        end = trajectory(env, steps=40)
        assert env.unwrapped.model.geom_friction[0, 0] == pytest.approx(0.4 * friction)
        env.close()
        assert env.unwrapped.model.geom_friction[0, 0] == 0.4
        return end

    np.testing.assert_array_equal(slide(1.0), trajectory(gymnasium.make("HalfCheetah-v5"), steps=40))
    assert not np.array_equal(slide(1.0), slide(0.1))


@quiet
@mujoco
def test_parts_of_a_model_are_found_by_name():
    changes = [
        Change("geom_friction.floor", factors=[0.5]),
        Change("opt.gravity.2", values=[-3.0]),
        Change("dof_damping.bthigh", factors=[2.0]),
        Change("body_mass", factors=[3.0]),
    ]
    env = Drifting(gymnasium.make("HalfCheetah-v5"), Drift(changes))
    model, own = env.unwrapped.model, gymnasium.make("HalfCheetah-v5").unwrapped.model
    env.reset(seed=0)
    np.testing.assert_allclose(model.geom_friction[0], 0.5 * own.geom_friction[0])
    np.testing.assert_array_equal(model.geom_friction[1:], own.geom_friction[1:])
    np.testing.assert_array_equal(model.opt.gravity, [0.0, 0.0, -3.0])
    np.testing.assert_allclose(model.joint("bthigh").damping, 2.0 * own.joint("bthigh").damping)
    np.testing.assert_allclose(model.body_mass, 3.0 * own.body_mass)
    np.testing.assert_allclose(model.body_subtreemass, 3.0 * own.body_subtreemass)
    assert {"geom_friction", "actuator_gear", "opt.gravity"} <= fields_of(env).keys()
    for field, message in [("geom_friction.flor", "floor"), ("geom_friction.99", "shape"), ("geom_fricton", "did you")]:
        with pytest.raises(SettingError, match=message):
            Drifting(gymnasium.make("HalfCheetah-v5"), Drift([Change(field, factors=[2.0])]))


@quiet
@box2d
def test_constants_of_a_module_are_turned_back_after_each_step():
    from gymnasium.envs.box2d import lunar_lander

    changes = [Change("gravity", factors=[0.5]), Change("MAIN_ENGINE_POWER", factors=[2.0])]
    env = Drifting(gymnasium.make("LunarLander-v3"), Drift(changes))
    env.reset(seed=0)
    assert env.unwrapped.world.gravity[1] == -5.0
    bare = gymnasium.make("LunarLander-v3")
    bare.reset(seed=0)
    fell, fell_bare = (one.step(0)[0][3] for one in (env, bare))
    assert fell > fell_bare
    assert lunar_lander.MAIN_ENGINE_POWER == 13.0
    seen = []
    step = env.env.step
    env.env.step = lambda action: seen.append(lunar_lander.MAIN_ENGINE_POWER) or step(action)
    env.step(2)
    assert seen == [26.0]
    assert lunar_lander.MAIN_ENGINE_POWER == 13.0


def test_spaces_tell_of_what_is_announced():
    drift = Drift([Change("gravity", factors=[1.0, 2.0])], announced=True)
    assert st.envs.spaces_of("cartpole", drift)[0] == Box((5,))
    assert st.envs.spaces_of("CartPole-v1", drift)[0].shape == (5,)


@mujoco
def test_two_changes_of_the_same_numbers_are_refused():
    """The whole array, turned later, had undone what a part of it was turned to."""
    for parts in (("geom_friction", "geom_friction.floor"), ("geom_friction.0", "geom_friction.floor")):
        drift = Drift([Change(part, factors=[1.0, 0.5], every=10) for part in parts])
        with pytest.raises(SettingError, match=rf"changes of '{parts[0]}' and of '{parts[1]}', which set the same"):
            make("HalfCheetah-v5", 1, drift=drift)
    apart = [Change(part, factors=[1.0, 0.5], every=10) for part in ("geom_friction.floor", "geom_friction.1")]
    make("HalfCheetah-v5", 1, drift=Drift(apart)).close()


@mujoco
def test_shapes_cannot_change():
    """MuJoCo looks for contacts within bounds that it computes when a model is compiled."""
    assert not {"geom_size", "geom_pos", "geom_rbound"} & set(what_can_drift("HalfCheetah-v5"))
    with pytest.raises(SettingError, match="geom_size"):
        make("HalfCheetah-v5", 1, drift=Drift([Change("geom_size", factors=[1.0, 2.0], every=10)]))


@box2d
@quiet
def test_what_nothing_reads_while_it_runs_cannot_change():
    lander, walker = what_can_drift("LunarLander-v3"), what_can_drift("BipedalWalker-v3")
    assert {"MAIN_ENGINE_POWER", "gravity"} <= set(lander)
    assert {"MOTORS_TORQUE", "SPEED_HIP"} <= set(walker)
    assert not {"wind_power", "turbulence_power"} & set(lander), "made without wind"
    assert not {"FRICTION", "LEG_W"} & set(walker), "read as the module is imported, and in __init__"
    with gymnasium.make("LunarLander-v3", enable_wind=True) as windy:
        assert "wind_power" in fields_of(windy)


HELPED = """
import functools
import gymnasium
import numpy as np

SIZE, MASS, DRAG, SPRING, LIFT, POWER = 3, 1.0, 0.5, 2.0, 5.0, 1.5
HALF = SIZE / 2


def plainly(function):
    return lambda *given: function(*given)


class Body:
    def __init__(self):
        self.mass = MASS


class Helped(gymnasium.Env):
    observation_space, action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,)), gymnasium.spaces.Discrete(2)

    def __init__(self):
        self.size, self.lifted = SIZE, lambda: LIFT

    def reset(self, *, seed=None, options=None):
        self.body = Body()
        return np.zeros(1, np.float32), {}

    @plainly
    def step(self, action):
        return np.zeros(1, np.float32), DRAG, False, False, {}

    @functools.cached_property
    def spring(self):
        return SPRING
"""


@quiet
def test_constants_that_anything_reads_as_it_runs_can_change(tmp_path, monkeypatch):
    """In a helper's beginning, behind a decorator, in a closure, or in another module: POWER is read nowhere here."""
    (tmp_path / "helped_worlds.py").write_text(HELPED)
    monkeypatch.syspath_prepend(tmp_path)
    gymnasium.register("Helped-v0", "helped_worlds:Helped")
    assert {name for name in what_can_drift("Helped-v0") if name.isupper()} == {
        "MASS",
        "DRAG",
        "SPRING",
        "LIFT",
        "POWER",
        "HALF",
    }
