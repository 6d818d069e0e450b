"""The agent in the user's own loop."""

import inspect
import json
import signal
from concurrent.futures import Future
from contextlib import suppress

import gymnasium as gym
import jax
import numpy as np
import pytest

from selftune.agents.beginning import learned as known_by
from selftune.errors import CheckpointError, SettingError, UnsupportedSpaceError
from selftune.runner.handed import taken
from selftune.runner.online import OnlineAgent
from selftune.runner.plain_spaces import plain_actions, plain_observations, space_from_json, spaces_as_json
from selftune.spaces import Box, Discrete

SMALL = {"rollout_length": 8, "hidden": (8,)}


def agent(**options):
    options = {"settings": SMALL, "agent": "a2c"} | options
    return OnlineAgent(Box((3,)), Discrete(2), **options)


def live(agent, steps, seed=0):
    """A world of noise, in episodes of seven steps; what was done."""
    chance, actions = np.random.default_rng(seed), []
    for step in range(steps):
        if step % 7 == 0:
            actions.append(agent.reset(chance.normal(size=3)))
        ended = step % 7 == 6
        actions.append(agent.step(chance.normal(size=3), chance.normal(), ended, False))
    return actions


def test_it_acts_learns_and_tunes_itself():
    events = []
    one = agent(on_event=lambda kind, facts: events.append((kind, facts)))
    before = one.eta
    actions = live(one, 35)
    assert {action for action in actions if action is not None} == {0, 1}
    assert [action is None for action in actions[:16]] == [False] * 7 + [True] + [False] * 7 + [True]
    assert (one.steps, one.updates, one.dropped) == (35, 4, 0)
    assert one.eta.keys() == before.keys()
    assert one.eta != before
    assert [kind for kind, _ in events if kind == "learned"] == ["learned"] * 4
    assert events[-1][1]["eta"] == one.eta


def test_a_saved_agent_goes_on_as_if_it_had_not_been(tmp_path):
    one = agent()
    live(one, 35)
    for nameless in ("", "."):
        with pytest.raises(CheckpointError, match="expected a file"):
            one.save(nameless)
    path = one.save(tmp_path / "agent.safetensors")
    other = OnlineAgent.load(path)
    assert other.eta == one.eta
    assert (other.steps, other.updates) == (35, 4)
    assert live(other, 21, seed=1) == live(one, 21, seed=1)
    assert other.eta == one.eta


def test_in_the_background_it_learns_too_and_drops_what_comes_too_fast():
    one = agent(learning="background")
    live(one, 84)
    one.close()
    assert one.updates >= 1
    assert one.updates + one.dropped == 10


def test_what_was_dropped_leaves_no_stretch_across_it():
    one = agent(agent="dqn", settings={"rollout_length": 4, "hidden": (8,), "warm_up": 8}, learning="background")
    one.reset(np.zeros(3))
    for step in range(12):
        one.step(np.zeros(3), 0.0)
        one._take_over(wait=step != 7)
        one._learner._learning = Future() if step == 6 else None  # what is written fourth to eighth comes too soon
    one.close()
    assert one.dropped == 1
    assert one._learner.state.experience.data.truncated[:8, 0].tolist() == [*[False] * 3, True, *[False] * 4]


def test_nothing_compiles_after_construction():
    one = agent()
    sizes = [function._cache_size() for function in (one._functions.act, one._functions.actor)]
    live(one, 40)
    assert [function._cache_size() for function in (one._functions.act, one._functions.actor)] == sizes


def test_gymnasiums_spaces_and_continuous_actions():
    low, high = np.array([0.0, -5.0], np.float32), np.array([10.0, 5.0], np.float32)
    spaces = gym.spaces.Box(-1, 1, (3,)), gym.spaces.Box(low, high)
    one = OnlineAgent(*spaces, agent="a2c", settings=SMALL)
    actions = [action for action in live(one, 20) if action is not None]
    assert all(spaces[1].contains(action) for action in actions)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize(("low", "high"), [(-0.1, 0.9), (1e4, 1e4 + 16), (-65504, 65504), (-np.inf, np.inf)])
def test_actions_are_of_the_users_own_space(dtype, low, high):
    """The nearest float32 to -0.1 lies below it; 65504 is the largest float16."""
    space = gym.spaces.Box(low, high, (3,), dtype=dtype)
    plain = plain_actions(space)
    for action in ([-7.0, -1.0, -0.999], [0.0, 0.3, 0.9999999], [1.0, 7.0, 0.5]):
        given = taken(plain, np.array([action], np.float32))
        assert space.contains(given)
        assert given.dtype == dtype
    assert space_from_json(json.loads(json.dumps(spaces_as_json(plain)))[0]) == plain


def test_an_agent_online_acts_in_the_users_own_space(tmp_path):
    space = gym.spaces.Box(np.array([-0.1]), np.array([0.9]), dtype=np.float64)
    one = OnlineAgent(Box((3,)), space, agent="a2c", settings=SMALL)
    actions = [action for action in live(one, 20) if action is not None]
    assert all(space.contains(action) for action in actions)
    assert -0.1 in np.ravel(actions), "at the end, of which the nearest float32 lies outside"
    other = OnlineAgent.load(one.save(tmp_path / "agent.safetensors"))
    assert other.reset(np.zeros(3)).dtype == np.float64


def test_spaces_of_ours_are_taken_as_they_are_meant():
    float32, ends = Box((3,)), ((-1.0, -1.0), (1.0, 1.0))
    for meant in (Box(3), Box([3]), Box((np.int64(3),), np.float32), Box((3,), "float64"), Box(3, low=-np.inf)):
        assert plain_observations(meant) == float32
    assert plain_observations(Box((3,), "int64")) == Box((3,), "int32"), "JAX has no more bits"
    assert plain_observations(Box((2, 2), "uint8", 0, 255)) == Box((2, 2), "uint8", (0.0,) * 4, (255.0,) * 4)
    for meant in (Box((2,), "float64", -1, 1.0), Box(2, float, np.full(2, -1.0), [1, 1])):
        assert plain_actions(meant) == Box((2,), "float64", *ends), "actions are handed back in their own type"
    assert plain_actions(Discrete(np.int64(2))) == Discrete(2)


@pytest.mark.parametrize(
    "space",
    [
        Box((3,), "floaty"),
        Box((3,), complex),
        Box((0,)),
        Box((2.5,)),
        Box("3"),
        Box((3,), low=(0.0, 0.0), high=1.0),
        Box((3,), low="x"),
        Discrete(0),
        Discrete(2.0),
        Discrete(2, 0.5),
    ],
)
def test_spaces_of_ours_that_make_no_sense_are_refused(space):
    for plain in (plain_observations, plain_actions):
        with pytest.raises(UnsupportedSpaceError, match=r"expected one such as Box\(\(3,\)"):
            plain(space)


def test_actions_that_are_no_real_numbers_of_one_axis_are_refused():
    for space in (Box((2,), "int32"), Box((2, 2)), Box(())):
        with pytest.raises(UnsupportedSpaceError, match="Box of real numbers with one axis"):
            plain_actions(space)


def test_a_recurrent_agent_carries_over_steps():
    one = agent(settings=SMALL | {"memory": 4})
    live(one, 20)
    assert one.updates == 2


def test_a_broken_sensor_does_not_break_the_agent():
    one = agent()
    one.reset(np.zeros(3))
    for _ in range(30):
        action = one.step(np.array([np.nan, np.inf, 0.0]), float("nan"))
        assert action in (0, 1)
    assert sum(count for name, count in one.guards.items() if name.startswith("numeric")) > 0
    assert np.isfinite(list(one.eta.values())).all()


def test_an_episode_that_was_left_counts_as_cut():
    one = agent()
    one.reset(np.zeros(3))
    one.step(np.zeros(3), 1.0)
    one.step(np.zeros(3), 1.0)
    one.reset(np.ones(3))
    assert one._memory.arrays.truncated[:2, 0].tolist() == [False, True]


def test_no_stretch_of_a_replay_goes_over_a_gap(tmp_path):
    """An episode that was left just after learning, and a file that was loaded then: rows that do not follow on."""
    one = agent(agent="dqn", settings={"rollout_length": 4, "hidden": (8,), "warm_up": 8})
    nothing = np.zeros(3)
    one.reset(nothing)
    for _ in range(4):
        one.step(nothing, 0.0)
    assert one.updates == 1
    one.reset(nothing)
    for _ in range(4):
        one.step(nothing, 0.0)
    ends = one._learner.state.experience.data.truncated[:8, 0]
    assert ends.tolist() == [False, False, False, True, False, False, False, False]
    other = OnlineAgent.load(one.save(tmp_path / "agent.safetensors"))
    other.reset(nothing)
    for _ in range(4):
        other.step(nothing, 0.0)
    assert other._learner.state.experience.data.truncated[:12, 0].tolist() == [*[False] * 3, True] * 2 + [False] * 4


def test_what_makes_no_sense_is_refused(tmp_path):
    with pytest.raises(SettingError, match="a2c"):
        agent(agent="a3c")
    with pytest.raises(SettingError, match="num_envs = 4: expected 1"):
        agent(settings=SMALL | {"num_envs": 4})
    with pytest.raises(UnsupportedSpaceError, match="room between them for every number"):
        OnlineAgent(Box((3,)), Box((2,), low=(0.0, -1.0), high=(3000.0, np.inf)), "ppo")
    with pytest.raises(UnsupportedSpaceError, match="Dict"):
        OnlineAgent(gym.spaces.Dict(a=gym.spaces.Discrete(2)), gym.spaces.Discrete(2))
    one = agent()
    with pytest.raises(SettingError, match="reset"):
        one.step(np.zeros(3), 0.0)
    with pytest.raises(SettingError, match=r"\(2,\)"):
        one.reset(np.zeros(2))
    (tmp_path / "no.safetensors").write_bytes(b"nothing")
    with pytest.raises(CheckpointError):
        OnlineAgent.load(tmp_path / "no.safetensors")


def test_a_caller_may_write_the_next_observation_over_the_last():
    """A control loop has one array for its sensors."""
    one, other = agent(), agent()
    sensors = np.zeros(3, np.float32)

    def read(tick):
        sensors[:] = tick
        return sensors

    one.reset(read(0))
    other.reset(np.zeros(3, np.float32))
    for tick in range(1, 5):
        one.step(read(tick), 1.0, False, False)
        other.step(np.full(3, tick, np.float32), 1.0, False, False)
    assert one._memory.arrays.observation[:4, 0, 0].tolist() == [0, 1, 2, 3]
    for mine, theirs in zip(jax.tree.leaves(one._memory.arrays), jax.tree.leaves(other._memory.arrays), strict=True):
        assert np.array_equal(mine, theirs)


def test_nobody_learns_from_what_other_networks_did():
    one, other = agent(), agent(seed=1)
    live(one, 11)
    one.begin_with(known_by(other._learner.state))
    assert one.steps == 11
    live(one, 7, seed=1)
    assert one.updates == 1, "three steps of the old networks were left out of the second rollout of eight"
    live(one, 1, seed=2)
    assert one.updates == 2


def test_what_no_run_has_learned_is_refused():
    one = agent()
    for wrong in ("runs/pole", None, one):
        with pytest.raises(SettingError, match=r"expected what selftune\.Run\(folder\)\.learned\(\) gives"):
            inspect.unwrap(OnlineAgent.begin_with)(one, wrong)


def test_ctrl_c_waits_for_the_end_of_a_step(usual_ctrl_c, tmp_path, monkeypatch):
    """Inside an update what was learned is in no one's hands: `save` had nothing left to write."""
    one = agent()
    improved = one._learner._improved

    def interrupted(*given):
        told = improved(*given)
        signal.raise_signal(signal.SIGINT)
        return told

    monkeypatch.setattr(one._learner, "_improved", interrupted)
    with pytest.raises(KeyboardInterrupt):
        live(one, 8)
    assert (one.steps, one.updates) == (8, 1)
    other = OnlineAgent.load(one.save(tmp_path / "agent.safetensors"))
    assert (other.steps, other.updates) == (8, 1)


def test_whoever_listens_and_raises_leaves_an_agent_that_goes_on():
    """Also in the step that fills the memory, just as the thread is done."""

    def failing(kind, facts):
        raise ValueError(kind)

    one = agent(on_event=failing, learning="background")
    live(one, 8)
    learned, one._learner._learning = one._learner._learning, Future()
    live(one, 7)
    one._learner._learning = learned
    learned.result()
    one.reset(np.zeros(3))
    with pytest.raises(ValueError, match="learned"):
        one.step(np.zeros(3), 0.0)
    assert (one.steps, one.updates) == (16, 1)
    with suppress(ValueError):  # told of the second time
        one.close()
    with suppress(ValueError):
        one.step(np.zeros(3), 0.0)
    assert (one.steps, one.updates) == (17, 2)


@pytest.mark.parametrize(
    ("learning", "name", "half_way"),
    [("inline", "ppo", True), ("background", "ppo", True), ("background", "dqn", True), ("inline", "dqn", False)],
)
def test_learning_that_fails_leaves_an_agent_that_goes_on(tmp_path, learning, name, half_way):
    """As where memory runs out; half way what it uses up is gone. Nothing goes on across the rollout that is lost."""
    settings = SMALL if name == "dqn" else SMALL | {"epochs": 1, "minibatches": 1}
    one = agent(agent=name, settings=settings, learning=learning)

    def live_and_wait(steps):
        live(one, steps)
        one._take_over(wait=True)

    def fails(state, batch, key):
        if half_way:
            jax.tree.map(lambda leaf: leaf.delete(), state.experience)
        raise MemoryError("no room")

    live_and_wait(35)
    working, before = one._learner.functions, jax.device_get(one._learner.state.learner)
    one._learner.functions = working._replace(improve=fails)
    with pytest.raises(MemoryError, match="no room"):
        live_and_wait(35)
    one._learner.functions = working
    assert one._learner.gap
    with pytest.raises(SettingError, match="step came before reset"):
        one.step(np.zeros(3), 0.0)
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(one._learner.state.learner), before)
    one.save(tmp_path / "agent.safetensors")
    updates = one.updates
    live_and_wait(70)
    one.close()
    assert one.updates > updates
