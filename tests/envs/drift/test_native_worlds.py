"""Worlds written in JAX follow their schedule; without one they are bitwise what they were."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import selftune as st
from selftune.envs import native, open_env
from selftune.envs.drift import Change, Drift, drifting, fields_of, from_json, held, to_json
from selftune.envs.worlds import world
from selftune.errors import SettingError
from selftune.runner import evaluating
from selftune.runner.native_experiment import native_functions
from selftune.runner.run_folder import RunFolder
from selftune.runner.training import resume
from selftune.spaces import Box

CLOCK = {"wall_time", "steps_per_second"}
SMALL = {"num_envs": 4, "rollout_length": 8, "hidden": (8,)}


def train(path, env="cartpole", **options):
    return st.train(env, **({"steps": 320, "progress": False, "out": path, "settings": SMALL} | options))


def told(run):
    """Rows without the fields that a clock makes, or that tell of the drift."""
    return [{key: value for key, value in row.items() if key not in CLOCK and key[:6] != "drift/"} for row in run.rows]


def physics(env, step):
    return env.physics(env.params, jnp.int32(step))


def play(env, action, step, key=0):
    """Observation and reward of one step of the world as it is at a step."""
    params = jax.tree.map(jnp.asarray, physics(env, step))
    _, state = env.reset(jax.random.key(key), params)
    observation, _, reward, *_ = env.step(jax.random.key(1), state, action, params)
    return np.asarray(observation), float(reward)


def test_fields_follow_the_schedule_in_their_own_types():
    drift = Drift(
        [
            Change("gravity", factors=[1.0, 2.0], kind="gradual", every=10),
            Change("max_steps", values=[500, 21], kind="gradual", every=10),
            Change("force", values=[10.0, -5.0], every=10),
        ]
    )
    env = drifting(world("cartpole", gravity=4.0), drift)
    assert isinstance(env.params, type(world("cartpole").params)), "no map is named: nothing is wrapped"
    now = physics(env, 5)
    # Half of the way from 4 to 8; from 500 to 21: 260.5, which rounds to the even 260.
    assert (float(now.gravity), int(now.max_steps), float(now.force)) == (6.0, 260, 10.0)
    assert now.max_steps.dtype == jnp.int32
    assert float(physics(env, 10).force) == -5.0
    assert float(held(env, 10).params.force) == -5.0


def test_two_colors_flips_and_keeps_its_switches():
    drift = Drift([Change("blue_reward", values=[1.0, -1.0], every=100_000)])
    env = drifting(world("two_colors", respawn_all=True, step_cost=0.0), drift)
    for step, worth in [(0, 1.0), (99_999, 1.0), (100_000, -1.0), (200_000, 1.0)]:
        assert float(physics(env, step).blue_reward) == worth
    assert env.params.respawn_all is True
    assert env.params.step_cost == 0.0
    switched = drifting(world("two_colors"), Drift([Change("respawn_all", values=[0, 1], every=5)]))
    assert physics(switched, 5).respawn_all.dtype == bool
    assert [bool(physics(switched, step).respawn_all) for step in (0, 5)] == [False, True]


def test_rewards_and_observations_are_mapped():
    plain = world("pendulum")
    tables = {"reward_factor": 2.0, "reward_shift": 0.5, "observation_factor": -1.0, "observation_shift": 3.0}
    env = drifting(plain, Drift([Change(name, values=[1.0, value], every=5) for name, value in tables.items()]))
    observation, reward = play(plain, jnp.array([1.0]), 0)
    seen, earned = play(env, jnp.array([1.0]), 5)
    np.testing.assert_allclose(seen, 3.0 - observation, rtol=1e-6)
    assert earned == pytest.approx(2.0 * reward + 0.5)
    assert seen.dtype == np.float32


def test_actions_are_mapped():
    turned = drifting(world("pendulum"), Drift([Change("action_factor", values=[1.0, -0.5], every=5)]))
    np.testing.assert_array_equal(
        play(turned, jnp.array([1.0]), 5)[0], play(world("pendulum"), jnp.array([-0.5]), 0)[0]
    )
    rotated = drifting(world("catch"), Drift([Change("action_rotation", values=[0, 2], every=5)]))
    for action in range(3):
        expected = play(world("catch"), jnp.int32((action + 2) % 3), 0)[0]
        np.testing.assert_array_equal(play(rotated, jnp.int32(action), 5)[0], expected)


def test_announced_changes_are_appended_to_the_observation():
    drift = Drift([Change("gravity", factors=[1.0, 2.0], every=5), Change("force", values=[5.0, 9.0], every=10)])
    env = drifting(world("cartpole"), Drift(drift.changes, announced=True))
    assert env.observation_space == Box((6,))
    np.testing.assert_array_equal(play(env, jnp.int32(0), 15)[0][4:], [1.0, 1.0])
    np.testing.assert_array_equal(play(env, jnp.int32(0), 10)[0][4:], [-1.0, 1.0])
    np.testing.assert_array_equal(
        play(env, jnp.int32(0), 15)[0][:4], play(drifting(world("cartpole"), drift), jnp.int32(0), 15)[0]
    )
    assert env.render is not None
    assert env.render(env.reset(jax.random.key(0), env.params)[1], env.params).shape[-1] == 3
    with pytest.raises(SettingError, match="vector of floats"):
        drifting(world("catch"), Drift([Change("wind", values=[0.0, 0.5])], announced=True))


def test_what_is_announced_is_in_force_in_the_step_that_is_taken_upon_it():
    drift = Drift([Change("reward_factor", values=[1.0, 5.0], every=6)], announced=True)
    env, key = open_env("cartpole", 2, drift), jax.random.key(0)

    @jax.jit
    def advance(worlds, step):
        now = env.physics(env.params, step)
        return native.advance(env, now, worlds, jnp.zeros(2, jnp.int32), jax.random.fold_in(key, step))

    worlds, ended = native.begin(env, physics(env, 0), key, 2), 0
    for number in range(40):
        told = worlds.observation[:, -1]
        worlds, step = advance(worlds, jnp.int32(2 * number))
        np.testing.assert_array_equal(step.reward, 3.0 + 2.0 * told)
        np.testing.assert_array_equal(step.next_observation[:, -1], worlds.observation[:, -1])
        ended += int(step.finished.sum())
    assert ended >= 4, "the first observations of new episodes are among them"
    still = held(env, 5)
    moved, _ = native.advance(still, still.params, worlds, jnp.zeros(2, jnp.int32), key)
    assert moved.observation[:, -1].tolist() == [-1.0, -1.0], "where the world stands still, so does what is announced"


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        (
            "cartpole",
            Change("gravitty", factors=[1.0]),
            r"did you mean 'gravity'\? Known: .*action_rotation.*half_length",
        ),
        ("cartpole", Change("action_factor", values=[1.0]), "action_rotation"),
        ("chain", Change("observation_factor", values=[1.0]), "small_reward"),
        ("two_colors", Change("respawn_all", factors=[1.0]), "Give values"),
        ("catch", Change("wind", factors=[1.0, 2.0]), "Give values"),
    ],
)
def test_a_wrong_field_is_refused_with_the_list_of_those_that_exist(name, change, message):
    with pytest.raises(SettingError, match=message):
        drifting(world(name), Drift([change]))


def test_every_listed_field_can_change():
    for name, own in fields_of(world("cartpole")).items():
        drifting(world("cartpole"), Drift([Change(name, values=[float(own)])]))


def test_without_a_change_the_run_is_bitwise_the_original(tmp_path):
    assert drifting(world("cartpole"), Drift()).step is world("cartpole").step
    original = train(tmp_path / "original")
    assert told(train(tmp_path / "empty", drift={"changes": []})) == told(original)
    assert "drift" not in original.config["settings"]


def test_a_schedule_that_changes_nothing_gives_the_physics_bitwise_and_the_run_to_rounding(tmp_path):
    """Another program computes the run: some compiler flags round it otherwise."""
    still = Drift([Change("gravity", factors=[1, 1], every=64)])
    for step in (0, 63, 64, 1000):
        moved, params = physics(drifting(world("cartpole"), still), step), world("cartpole").params
        assert [np.float32(number) for number in moved] == [np.float32(number) for number in params], step
    runs = told(train(tmp_path / "original")), told(train(tmp_path / "still", drift=still))
    for original, row in zip(*runs, strict=True):
        known = {name: number for name, number in original.items() if number is not None}
        assert {name: row[name] for name in known} == pytest.approx(known, rel=1e-2, abs=1e-3), row["step"]


FLIP = Drift([Change("force", factors=[1.0, -1.0], every=96), Change("reward_factor", values=[1, 2], every=96)])


def test_a_drift_is_recorded_reproduced_and_resumed_bitwise(tmp_path, monkeypatch):
    alone = train(tmp_path / "alone", drift=FLIP)
    # Each row tells of its last step: 96 steps are three updates of 32.
    assert [row["drift/force"] for row in alone.rows] == [1.0] * 3 + [-1.0] * 3 + [1.0] * 3 + [-1.0]
    assert "--drift" in alone.config["command"]
    schedule = tmp_path / "schedule.json"
    schedule.write_text(to_json(FLIP))
    log = RunFolder.log

    def stop(self, row):
        log(self, row)
        if row["update"] == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(RunFolder, "log", stop)
        stopped = train(tmp_path / "stopped", drift=schedule)
    assert len(stopped.rows) == 2
    assert told(resume(stopped.path, progress=False)) == told(alone)
    assert alone.rows[5]["loss"] != train(tmp_path / "calm").rows[5]["loss"]
    assert from_json(to_json(FLIP)) == FLIP
    page = alone.report(tmp_path / "page.html").read_text()
    assert "The world" in page
    assert '"x0":96' in page


def test_nothing_is_compiled_anew_as_the_physics_drift():
    from selftune.runner.plan import Plan

    env = drifting(world("cartpole"), FLIP)
    agent, _, _ = Plan("cartpole", settings=SMALL).build(env)
    pure = native_functions(agent, env)
    advance = jax.jit(pure.advance, static_argnums=2)
    session = jax.jit(pure.begin)(jax.random.key(0))
    base = jax.tree.map(jnp.asarray, env.params)
    for _ in range(4):
        session, _ = advance(session, base, 2)
    assert int(session.update) == 8
    assert advance._cache_size() == 1
    assert native.unchanged(env.params, 3) is env.params


def test_all_copies_take_a_step_at_once_so_the_last_clock_is_that_of_the_last_round(tmp_path, monkeypatch):
    # 32 steps in 4 copies: the clock stood at 0, 4, ..., 28, and never in what begins at 30.
    turned = Drift([Change("force", factors=[1.0, -1.0], every=30)])
    run = train(tmp_path / "run", steps=32, drift=turned)
    assert [row["drift/force"] for row in run.rows] == [1.0]
    asked = []
    monkeypatch.setattr(evaluating, "open_env", lambda *args, held: asked.append(held) or open_env(*args, held=held))
    evaluating.evaluate_run(run.path, episodes=1)
    assert asked == [28]
