"""Spaces of many parts: what is seen is one vector, what is done one choice or one vector."""

import copy

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

import selftune as st
from selftune.envs import Discrete, make
from selftune.envs.flattening import TOGETHER, flattened
from selftune.errors import UnsupportedSpaceError

SENSORS = spaces.Dict(
    arm=spaces.Tuple((spaces.Box(-2.0, 2.0, (2,)), spaces.Discrete(3, start=1))),
    lamps=spaces.MultiBinary(2),
    wheel=spaces.MultiDiscrete([2, 3]),
)
SEEN = {
    "arm": (np.array([0.5, -2.0], np.float32), np.int64(3)),
    "lamps": np.array([0, 1], np.int8),
    "wheel": np.array([1, 0]),
}
GEARS = spaces.Dict(
    gear=spaces.Discrete(3, start=-1), lamps=spaces.MultiBinary((1, 2)), turn=spaces.MultiDiscrete([2], start=[5])
)


class Machine(gymnasium.Env):
    """Shows the same at all times, and remembers what was done."""

    def __init__(self, observation_space=SENSORS, action_space=GEARS, seen=SEEN):
        self.observation_space, self.action_space, self.seen = observation_space, action_space, seen
        self.power = 1.0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return copy.deepcopy(self.seen), {}

    def step(self, action):
        self.done = action
        return copy.deepcopy(self.seen), self.power, False, False, {}


@pytest.fixture
def machine(monkeypatch):
    """Machine-v0, registered; episodes of ten steps."""
    spec = gymnasium.envs.registration.EnvSpec("Machine-v0", Machine, max_episode_steps=10)
    monkeypatch.setitem(gymnasium.registry, "Machine-v0", spec)


def test_what_is_seen_is_one_vector():
    env = flattened(Machine())
    assert isinstance(env.observation_space, spaces.Box)
    # the arm's two numbers and the last of its three choices; two lamps; the second of 2, the first of 3
    assert env.reset()[0].tolist() == [0.5, -2.0, 0, 0, 1, 0, 1, 0, 1, 1, 0, 0]
    assert env.step(0)[0].shape == (12,)


def test_choices_that_are_made_together_are_one():
    env = flattened(Machine())
    assert env.action_space == spaces.Discrete(3 * 4 * 2)
    seen = set()
    for choice in range(24):
        env.step(choice)
        done = env.unwrapped.done
        assert done in GEARS
        seen.add((int(done["gear"]), *done["lamps"].ravel().tolist(), *done["turn"].tolist()))
    assert len(seen) == 24
    env.step(23)
    assert str(env.unwrapped.done) == str(
        {"gear": np.int64(1), "lamps": np.array([[1, 1]], np.int8), "turn": np.array([6])}
    )
    env.step(1)  # the last part counts fastest
    assert (env.unwrapped.done["gear"], *env.unwrapped.done["turn"]) == (-1, 6)


def test_numbers_that_are_chosen_together_are_one_box():
    joints = spaces.Dict(arm=spaces.Box(-1.0, 1.0, (2, 2)), grip=spaces.Tuple((spaces.Box(0.0, 5.0, (1,)),)))
    env = flattened(Machine(action_space=joints))
    assert isinstance(env.action_space, spaces.Box)
    assert env.action_space.high.tolist() == [1, 1, 1, 1, 5]
    env.step(np.array([0.0, 0.25, 0.5, 0.75, 4.0], np.float32))
    done = env.unwrapped.done
    assert done in joints
    assert done["arm"].tolist() == [[0.0, 0.25], [0.5, 0.75]]
    assert done["grip"][0].tolist() == [4.0]


@pytest.mark.parametrize(
    "space", [spaces.Box(-1.0, 1.0, (3,)), spaces.Discrete(4, start=2), spaces.Dict(), spaces.Text(3)], ids=repr
)
def test_one_space_stays_as_it_is(space):
    env = Machine(spaces.Box(0.0, 1.0, (2, 2)), space)
    assert flattened(env) is env


@pytest.mark.parametrize(
    "space",
    [
        spaces.Tuple((spaces.Discrete(2), spaces.Box(-1.0, 1.0, (1,)))),
        spaces.Box(0, 9, (2,), np.int64),
        spaces.Box(0, 9, (2, 2), np.int64),
        spaces.Dict(a=spaces.Box(0.0, 1.0, (1,)), b=spaces.Box(0, 9, (1,), np.int64)),
        spaces.Sequence(spaces.Discrete(2)),
    ],
    ids=repr,
)
def test_actions_of_no_one_kind_are_refused(machine, space):
    with pytest.raises(UnsupportedSpaceError, match="choices that are made together, or real numbers"):
        make("Machine-v0", 1, action_space=space)


def test_too_many_things_to_see_are_refused_before_they_are_counted_out(machine):
    with pytest.raises(UnsupportedSpaceError, match=r"make 2147483650 numbers.*at most 1000000"):
        make("Machine-v0", 1, observation_space=spaces.Dict(t=spaces.Discrete(2**31), x=spaces.Box(0, 1, (2,))))


def test_too_many_choices_are_refused(machine):
    assert make("Machine-v0", 1, action_space=spaces.MultiBinary(12)).action_space == Discrete(TOGETHER)
    with pytest.raises(UnsupportedSpaceError, match="make 8192 together, expected at most 4096"):
        make("Machine-v0", 1, action_space=spaces.MultiBinary(13))


def test_an_agent_learns_there_and_the_world_may_drift(machine, tmp_path):
    drift = {"changes": [{"field": "power", "values": [1.0, 3.0], "every": 32}]}
    settings = {"num_envs": 2, "rollout_length": 8, "hidden": (8,), "normalise_observations": True}
    run = st.train(
        "Machine-v0", steps=64, out=tmp_path / "run", drift=drift, settings=settings, tune=[], progress=False
    )
    assert run.final_return == pytest.approx(30.0)
    assert st.evaluate_run(run.path, episodes=1).tolist() == pytest.approx([30.0])
