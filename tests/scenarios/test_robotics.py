"""An agent begins with what another has learned, a loop counts its
deadlines, and the story says what came out. What needs MuJoCo is left out where it is not installed."""

import re
import runpy
from importlib.util import find_spec
from pathlib import Path

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import selftune as st
from selftune.agents.beginning import begin_with, learned
from selftune.agents.restarting import Watched
from selftune.errors import SettingError
from selftune.scenarios import eject
from selftune.scenarios.robotics import robots, sentences, telling
from selftune.scenarios.robotics.bouts import FIXED, TUNED, Bout, Extent, Fought, fight, make_agent
from selftune.scenarios.robotics.control_loop import Kept, keep_rate
from selftune.scenarios.robotics.courses import rider
from selftune.scenarios.robotics.policies import comes_with, facts, trained
from selftune.scenarios.robotics.robots import (
    ANT,
    HALF_CHEETAH,
    ICE,
    STEADY,
    WALKER,
    Robot,
    on_its_back,
    places_checked,
    what_happens,
)
from selftune.scenarios.robotics.strip import Pose, poses, strip
from selftune.scenarios.story import Ask

from .robotics_setting import CART, SMALL, course

DOCS = Path(__file__).parent.parent.parent / "docs" / "robotics.md"
BARE = {name: SMALL[name] for name in ("hidden", "rollout_length", "epochs")}


# What happens.


def test_a_change_comes_when_it_should_and_stays():
    drift = what_happens(HALF_CHEETAH, ICE, 1000)
    assert drift is not None
    (change,) = drift.changes
    assert [drift.level(change, step) for step in (0, 999, 1000, 10**6)] == [1.0, 1.0, 0.1, 0.1]
    assert what_happens(HALF_CHEETAH, STEADY, 1000) is None


def test_gusts_come_and_go_from_the_change_on():
    drift = what_happens(ANT, robots.GUSTS, 10_000)
    assert drift is not None
    wind = drift.changes[1]
    levels = [drift.level(wind, step) for step in (0, 9_999, 10_000, 10_000 + robots.GUST, 10_000 + 2 * robots.GUST)]
    assert levels[2:] == [-5.0, 0.0, -5.0]
    early = what_happens(ANT, robots.GUSTS, 2048)
    assert early is not None
    medium, wind = early.changes
    felt = [early.level(medium, step) * early.level(wind, step) for step in (0, 2047, 2048, 2048 + robots.GUST)]
    assert felt == [0.0, 0.0, -5.0 * robots.AIR, 0.0], "no calm before the first gust"


def test_what_cannot_happen_is_refused():
    with pytest.raises(SettingError, match="no change 'icy' of HalfCheetah-v5; did you mean 'ice'"):
        what_happens(HALF_CHEETAH, "icy", 1)
    with pytest.raises(SettingError, match="no changes of CartPole-v1"):
        what_happens(CART, ICE, 1)


def test_who_lies_on_the_back():
    seen = np.zeros((2, 1, 17), np.float32)
    seen[1, 0, 1] = 3.0
    assert on_its_back(HALF_CHEETAH, seen) == 0.5
    assert on_its_back(ANT, seen) == 0.0


# Beginning with what another agent has learned.


def begun(tuner, settings, seed=0):
    agent = make_agent(CART, tuner, settings)
    return agent, jax.jit(agent.init)(jax.random.key(seed))


@pytest.mark.parametrize("tuner", ["fixed", "meta_gradient", "reset_on_change"])
def test_an_agent_begins_with_anothers_networks_and_senses_and_its_own_settings(tuner):
    _, old = begun("meta_gradient", SMALL)
    own = old.experience.own
    senses = own.senses._replace(observation=own.senses.observation._replace(rows=jnp.full(4, 7.0)), steps=jnp.int32(9))
    old = old._replace(experience=old.experience._replace(own=own._replace(senses=senses)))
    agent, fresh = begun(tuner, SMALL | {"num_envs": 2}, seed=1)
    state = begin_with(agent, fresh, learned(old))
    jax.tree.map(np.testing.assert_array_equal, state.learner.params, old.learner.params)
    jax.tree.map(np.testing.assert_array_equal, state.learner.opt_state, fresh.learner.opt_state)
    home = {name: np.float32(5e-4) for name in agent.home}
    assert set(home) == ({"learning_rate", "critic_learning_rate"} if tuner == "meta_gradient" else set())
    metaparams = fresh.meta.meta_params | jax.tree.map(np.log, home)
    jax.tree.map(np.testing.assert_array_equal, state.meta.meta_params, metaparams)
    own = state.experience.own if isinstance(state.experience, Watched) else state.experience
    assert own.senses.observation.rows.tolist() == [7.0] * 4
    assert own.senses.reward.returns.shape == (2,)
    assert jax.tree.structure(state) == jax.tree.structure(fresh)


def test_networks_of_another_shape_are_refused():
    _, old = begun("fixed", SMALL | {"hidden": (9,)})
    agent, fresh = begun("fixed", SMALL)
    with pytest.raises(SettingError, match="networks of the shapes"):
        begin_with(agent, fresh, learned(old))


def test_an_online_agent_begins_with_it_too():
    _, old = begun("fixed", SMALL)
    params = jax.tree.map(lambda leaf: leaf + 0.5, old.learner.params)
    known = learned(old._replace(learner=old.learner._replace(params=params)))
    with gymnasium.make("CartPole-v1") as env:
        tuned = st.OnlineAgent(env.observation_space, env.action_space, "ppo", settings=BARE)
        assert tuned.eta["learning_rate"] == pytest.approx(3e-3)
        tuned.begin_with(known)
        assert tuned.eta["learning_rate"] == pytest.approx(5e-4)
        agent = st.OnlineAgent(env.observation_space, env.action_space, "ppo", tune=[], settings=BARE)
        agent.begin_with(known)
        jax.tree.map(np.testing.assert_array_equal, agent._learner.actor.policy, params["policy"])
        jax.tree.map(np.testing.assert_array_equal, agent._learner.state.learner.params, params)


# Courses.


def test_a_course_begins_with_what_is_known_and_is_the_same_each_time():
    agent, state = begun("fixed", SMALL)
    ride, known = rider(agent, CART), learned(state)
    drift = st.Drift([st.Change("force_mag", factors=[1.0, 0.1], every=64, recurring=False)])
    first, again = (ride(known, drift, 3, 4, keep=(0, 3)) for _ in range(2))
    np.testing.assert_array_equal(first.speed, again.speed)
    assert first.steps.tolist() == [32, 64, 96, 128]
    jax.tree.map(np.testing.assert_array_equal, first.actors[0].policy, known.params["policy"])
    first_layers, last_layers = (jax.tree.leaves(first.actors[update].policy) for update in (0, 3))
    assert not all(np.array_equal(*pair) for pair in zip(first_layers, last_layers, strict=True))
    assert first.eta["learning_rate"].shape == (4,)
    np.testing.assert_allclose(first.reward, 1.0)


def test_a_field_that_is_not_there_is_refused_on_the_way():
    agent, _ = begun("fixed", SMALL)
    drift = st.Drift([st.Change("force_mass", factors=[1.0, 0.1])])
    with pytest.raises(SettingError, match="did you mean 'force_mag'"):
        rider(agent, CART)(None, drift, 0, 1)


def test_a_world_in_jax_is_no_robot():
    agent, _ = begun("fixed", SMALL)
    with pytest.raises(SettingError, match=r"written in JAX; a robot is an environment of Gymnasium"):
        rider(agent, Robot("cartpole", 1))(None, None, 0, 1)


def test_a_bout_runs_every_method_from_the_same_policy():
    bout = Bout(CART, "ppo", (STEADY,), (FIXED, "kl_adaptive"), SMALL, training=64)
    lines = []
    fought = fight(bout, Extent((bout,), 32, 64, 2, 1), Ask(), lines.append)
    assert (fought.before, fought.window) == (1, 125)
    first, other = (fought.courses[STEADY][name][0].actors[0] for name in bout.methods)
    jax.tree.map(np.testing.assert_array_equal, first.policy, other.policy)
    assert sum("seed 1001" in line for line in lines) == 2


def test_the_temperature_that_is_told_is_the_one_in_force():
    """SAC's is a metaparameter, 1, times exp of a parameter that begins at 0 and learns from the second update on."""
    small = {"hidden": (8,), "batch_size": 8, "warm_up": 16, "num_envs": 2, "rollout_length": 8, "unroll": 1}
    pendulum = Robot("Pendulum-v1", 2)
    course = rider(make_agent(pendulum, "fixed", small, "sac"), pendulum)(None, None, 0, 3)
    told = course.eta["temperature"]
    assert told[-1] == pytest.approx(float(np.exp(course.learned.params["log_temperature"])), rel=1e-6)
    assert told[-1] != 1.0


# A control loop.


def test_missed_deadlines_by_hand():
    seconds = iter([0.0, 0.0, 0.02, 0.02, 0.1, 0.25, 0.25, 0.25, 0.26, 0.26])
    # Three ticks of .1 s: the first takes .02, the second .15 and is late, the third .01.
    waited = []
    with gymnasium.make("CartPole-v1") as env:
        agent = st.OnlineAgent(env.observation_space, env.action_space, "ppo", tune=[], settings=BARE)
        kept = keep_rate(agent, env, 10.0, 3, clock=lambda: next(seconds), wait=waited.append)
    assert (kept.ticks, kept.missed) == (3, 1)
    assert kept.median == pytest.approx(20.0)
    assert kept.slowest == pytest.approx(150.0)
    assert waited == pytest.approx([0.08, 0.0, 0.09])


def test_the_first_action_of_an_episode_is_in_its_tick(monkeypatch):
    seconds = iter([0.0, 0.0, 0.02, 0.02, 0.11, 0.11, 0.11, 0.12, 0.12])
    # .02 s for the last step of an episode and .09 for the first action of the next, of .1; then .01.
    actions = iter([None, 1])
    with gymnasium.make("CartPole-v1") as env:
        agent = st.OnlineAgent(env.observation_space, env.action_space, "ppo", tune=[], settings=BARE)
        monkeypatch.setattr(agent, "reset", lambda observation: 0)
        monkeypatch.setattr(agent, "step", lambda *given: next(actions))
        kept = keep_rate(agent, env, 10.0, 2, clock=lambda: next(seconds), wait=lambda time: None)
    assert (kept.missed, kept.slowest) == (1, pytest.approx(110.0))


@pytest.mark.parametrize("asked", [(0.0, 3), (-5.0, 3), (float("inf"), 3), (10.0, 0)])
def test_a_rate_and_a_number_of_ticks_that_are_none_are_refused(asked):
    with gymnasium.make("CartPole-v1") as env:
        agent = st.OnlineAgent(env.observation_space, env.action_space, "ppo", tune=[], settings=BARE)
        with pytest.raises(SettingError, match="expected a rate above 0, and a tick at least"):
            keep_rate(agent, env, *asked)


# What is told.


def made_up(kinds):
    eta = {"learning_rate": np.linspace(1e-3, 2e-3, 9), "discount": np.full(9, 0.99)}
    better, worse = [4.0, 4.0, 2.0, 2.0, 0.0, 2.0, 2.0, 3.0, 3.0], [4.0, 4.0, 2.0, 2.0, 0.0, 0.0, 1.0, 2.0, 3.0]
    one = {FIXED: [course(worse)] * sentences.SEEDS, TUNED: [course(better, eta=eta)] * sentences.SEEDS}
    return Fought(Bout(HALF_CHEETAH, "ppo", kinds, (FIXED, TUNED)), 4, 2, dict.fromkeys(kinds, one))


def test_a_change_is_told_as_large_as_it_is():
    assert sentences.happened("Walker2d-v5", ICE) == "the ground turns to ice (0.3 times the friction)"
    assert sentences.happened("HalfCheetah-v5", ICE) == "the ground turns to ice (0.1 times the friction)"
    assert sentences.happened("Walker2d-v5", STEADY) == "nothing changes"


def test_a_story_of_made_up_courses():
    figure = strip({"before": [Pose(np.zeros((3, 2, 2)), np.array([0.1, 0.1, 0.2]))]})
    kept = [Kept(20.0, 100, 3, 1.0, 60.0, 2, 0)]
    story = telling.story([made_up((ICE, robots.WEAK, STEADY))], kept, figure, Ask(quick=True))
    assert "0.60 [0.60, 0.60] times as long" in story.summary[0]
    assert "which is reached (0.60 [0.60, 0.60]), and 1.1 times its reward, which is reached (" in story.summary[1]
    assert "Of 2 methods under the change 'weak actuator', 'self-tuned' earned most" in story.summary[-2]
    assert "3 of 100 actions" in story.summary[-1]
    assert all(len(line) == len(table.columns) for table in story.tables for line in table.rows)
    assert len(story.rows) == 7
    assert {told["change"] for told in story.rows[:6]} == {ICE, robots.WEAK, STEADY}


# With MuJoCo.


@pytest.mark.parametrize(("env", "worth"), [("HalfCheetah-v5", 4000), ("Walker2d-v5", 3000)])
def test_the_shipped_policy_says_how_it_was_made(env, worth):
    told = facts(env)
    assert comes_with(env)
    assert told["return"] > worth
    assert told["command"].startswith("python benchmarks/robotics_policy.py")


def test_there_is_no_policy_of_another_robot():
    with pytest.raises(SettingError, match="No trained policy of Hopper-v5"):
        trained("Hopper-v5")


mujoco = pytest.mark.skipif(find_spec("mujoco") is None, reason="needs MuJoCo")


@mujoco
def test_the_shipped_policy_runs_and_the_strip_shows_it():
    agent = make_agent(HALF_CHEETAH, "fixed", {})
    state = begin_with(agent, jax.jit(agent.init)(jax.random.key(0)), trained("HalfCheetah-v5"))
    told = poses(agent, agent.actor(state), HALF_CHEETAH, None, 0, seed=1)
    travelled = told[-1].ends[:, :, 0].mean() - told[0].ends[:, :, 0].mean()
    assert travelled > 2.0  # metres in 1.4 seconds
    assert len(strip({"before": told}).data) >= len(told)


@mujoco
def test_mujocos_half_cheetah_runs_without_any_friction():
    """The limit that the story states: with coefficients of at most .00001 the policy is as fast after 45 seconds."""
    agent = make_agent(HALF_CHEETAH, "fixed", {})
    state = begin_with(agent, jax.jit(agent.init)(jax.random.key(0)), trained("HalfCheetah-v5"))
    none = st.Drift([st.Change("geom_friction", factors=[0.0])])
    told = poses(agent, agent.actor(state), HALF_CHEETAH, none, 0, seed=1, settle=45.0)
    assert told[-1].ends[:, :, 0].mean() - told[0].ends[:, :, 0].mean() > 2.0


@mujoco
def test_the_walker_stumbles_on_ice():
    """In steps too few to learn much the shipped policy loses at least a fifth of its speed, and falls oftener."""
    ride, known = rider(make_agent(WALKER, "fixed", {}), WALKER), trained("Walker2d-v5")
    firm, ice = (ride(known, drift, 1, 8) for drift in (None, what_happens(WALKER, ICE, 1)))
    assert ice.speed.mean() < 0.8 * firm.speed.mean()
    assert ice.falls.sum() > 1.5 * firm.falls.sum()


@mujoco
def test_a_field_that_no_model_has_is_refused():
    agent = make_agent(HALF_CHEETAH, "fixed", {"num_envs": 4})
    for field, told in (("geom_friktion", "geom_friction"), ("body_mass.toros", "toros")):
        with pytest.raises(SettingError, match=told):
            rider(agent, HALF_CHEETAH)(None, st.Drift([st.Change(field, factors=[1.0, 0.5])]), 0, 1)


@mujoco
@pytest.mark.parametrize("wrong", [{"speed": 17}, {"speed": -1}, {"speed": 8.0}, {"pitch": 40}])
def test_a_place_that_is_not_in_the_observation_is_refused(wrong):
    name = next(iter(wrong))
    with pytest.raises(SettingError, match=rf"Robot\('HalfCheetah-v5', {name}=.*a whole number from 0 to 16"):
        rider(make_agent(HALF_CHEETAH, "fixed", SMALL), HALF_CHEETAH._replace(**wrong))


@mujoco
def test_a_place_that_is_not_the_speeds_is_refused():
    with pytest.raises(SettingError, match=r"speed=8\), but the forward speed .* stands at 5 of what"):
        places_checked(Robot("Hopper-v5", 8))
    for robot in (Robot("Hopper-v5", 5), Robot("Humanoid-v5", 22), WALKER, ANT):
        assert places_checked(robot) is robot


@mujoco
def test_a_place_may_be_a_whole_number_of_numpys():
    assert places_checked(HALF_CHEETAH._replace(speed=np.int64(8))).speed == 8  # pyright: ignore


@mujoco
def test_a_drift_that_is_announced_is_refused():
    ride = rider(make_agent(HALF_CHEETAH, "fixed", SMALL), HALF_CHEETAH)
    with pytest.raises(SettingError, match="leave `announced` out"):
        ride(None, st.Drift([st.Change("geom_friction", factors=[1.0, 0.1], every=64)], announced=True), 0, 1)


@mujoco
def test_every_change_of_every_robot_is_one_of_its_model():
    from selftune.envs.drift.gymnasium_wrapper import Drifting

    for robot in robots.ROBOTS.values():
        for kind in robots.CHANGES[robot.env]:
            drift = what_happens(robot, kind, 0 + 1)
            assert drift is not None
            env = Drifting(gymnasium.make(robot.env), drift, begin=robots.GUST)
            env.reset(seed=0)
            env.step(env.action_space.sample())
            env.close()


@mujoco
def test_the_tutorials_change_to_a_robot_of_ones_own(tmp_path, capsys, monkeypatch):
    folder = tmp_path / "own"
    eject("robotics", folder)
    page = DOCS.read_text()
    (model,), (own, lines) = (re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL) for language in ("xml", "py"))
    assert len((model + own + lines).splitlines()) <= 20
    (folder / "robot.xml").write_text(model)
    (folder / "robot.py").write_text(own)
    monkeypatch.syspath_prepend(folder)
    main = (folder / "main.py").read_text()
    (named,) = re.findall(r"instead of the lines that name (.*):", page)
    heads = tuple(f"{name} =" for name in re.findall(r"`(\w+)`", named))
    kept = [line for line in main.splitlines() if not line.startswith(heads)]
    place = next(number for number, line in enumerate(kept) if line.startswith("HERE =")) + 1
    changed = "\n".join([*kept[:place], lines, *kept[place:]])
    changed = changed.replace('"num_envs": 16, "rollout_length": 128', '"num_envs": 4, "rollout_length": 32')
    changed = changed.replace("AFTER = 49_152", "AFTER = 256").replace("range(2)", "range(1)")
    drift = (folder / "drift.json").read_text()
    (folder / "drift.json").write_text(drift.replace("16384", "128"))
    (folder / "main.py").write_text(changed)
    names = runpy.run_path(str(folder / "main.py"))
    assert (names["EPISODE"], names["BEGIN"]) == (200, None)
    assert not capsys.readouterr().out, "who imports it runs nothing"
    names["main"]()
    told = capsys.readouterr().out
    assert "meta_gradient, seed 0: " in told
    assert "stood nearly still before" in told
