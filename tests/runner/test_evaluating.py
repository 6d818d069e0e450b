"""What comes of a run afterwards: evaluation, films, exports."""

import json
from types import SimpleNamespace

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file

import selftune as st
from selftune.envs import make, open_env
from selftune.errors import MissingExtraError, SettingError
from selftune.runner import evaluating, exporting, filming
from selftune.runner.evaluating import evaluate, evaluate_run, learned
from selftune.runner.exporting import export_policy
from selftune.runner.plan import Plan
from selftune.runner.telling import outcome
from selftune.spaces import Box

SMALL = {"num_envs": 4, "rollout_length": 8, "hidden": (16,), "memory": 3}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "one"
    return st.train("cartpole", steps=300, settings=SMALL, out=path, progress=False)


def test_returns_are_whole_episodes_without_chance(run):
    returns = evaluate_run(run.path, episodes=5, seed=1)
    assert returns.shape == (5,)
    assert (returns >= 8).all(), "a pole takes 8 steps to fall at least"
    assert np.array_equal(returns, evaluate_run(run.path, episodes=5, seed=1))
    assert not np.array_equal(returns, evaluate_run(run.path, episodes=5, seed=2))


def test_worlds_of_both_kinds_agree(run):
    """The same physics: the mean return of a policy hardly differs, 40 episodes each."""
    agent, actor, _ = learned(run.path)
    host = make("CartPole-v1", 40)
    both = evaluate(agent, actor, host, 40, 0), evaluate(agent, actor, open_env("cartpole", 40), 40, 0)
    for seen in both:
        assert seen.ended.all()
        assert seen.lengths.tolist() == seen.returns.tolist(), "a reward of 1 a step"
    outside, inside = (seen.returns for seen in both)
    spread = np.sqrt(outside.var() / 40 + inside.var() / 40)
    assert abs(outside.mean() - inside.mean()) < 5 * spread + 1
    host.close()


def test_no_episodes_are_refused(run):
    with pytest.raises(SettingError, match="episodes = 0: expected a whole number from 1 on"):
        evaluate_run(run.path, episodes=0)
    with pytest.raises(SettingError, match="seed = -1: expected a whole number from 0 on"):
        evaluate_run(run.path, seed=-1)
    with pytest.raises(SettingError, match=r"seed = 4294967296: .* below 2\^32"):  # 0 to JAX's random numbers
        evaluate_run(run.path, seed=2**32)


def test_a_film_is_an_animated_gif(run, tmp_path):
    image = pytest.importorskip("PIL.Image")
    evaluate_run(run.path, episodes=1, video=tmp_path / "film.gif")
    with image.open(tmp_path / "film.gif") as film:
        assert film.n_frames >= 8
    with pytest.raises(SettingError, match=r"\.gif"):
        evaluate_run(run.path, episodes=1, video=tmp_path / "film.mp4")


def test_what_draws_and_is_missing_is_named_with_its_extra(run, tmp_path, monkeypatch):
    pytest.importorskip("PIL.Image")
    host = make("CartPole-v1", 1)
    error = gymnasium.error.DependencyNotInstalled("pygame is not installed, run ...")
    monkeypatch.setattr(type(host), "frame", lambda self: (_ for _ in ()).throw(error))
    monkeypatch.setattr(filming, "open_for_filming", lambda *args, **options: host)
    agent, actor, _ = learned(run.path)
    with pytest.raises(MissingExtraError, match=r"pygame.*selftune\[film\]"):
        filming.film(agent, actor, "CartPole-v1", 0, tmp_path / "film.gif")


def test_an_exported_policy_runs_without_selftune_and_decides_alike(run, tmp_path):
    out = export_policy(run.path, tmp_path / "export")
    agent, actor, _ = learned(run.path)
    program = jax.export.deserialize(bytearray((out / "policy.stablehlo").read_bytes()))
    for batch in (1, 7):
        observation = np.random.default_rng(0).normal(size=(batch, 4)).astype(np.float32)
        first = np.arange(batch) % 2 == 0
        carry = np.ones((batch, 3), np.float32)
        action, after = program.call(observation, carry, first)
        choice = agent.decide(actor, *map(jnp.asarray, (carry, observation, first)))
        assert action.tolist() == choice.action.tolist()
        np.testing.assert_allclose(after, choice.carry, rtol=1e-5)
    told = json.loads((out / "policy.json").read_text())
    assert told["inputs"]["observation"] == ["batch", 4]
    assert {name: list(array.shape) for name, array in load_file(out / "policy.safetensors").items()} == told["weights"]


@pytest.mark.parametrize("low", [(-2.0,), None])
def test_exported_actions_are_within_the_range_that_is_told(tmp_path, monkeypatch, low):
    """The mean of a Gaussian policy may lie anywhere; a Box without bounds takes it as it is."""
    agent = SimpleNamespace(
        decide=lambda actor, carry, seen, first: SimpleNamespace(action=actor * seen, carry=carry),
        rest=lambda batch: (),
    )
    monkeypatch.setattr(exporting, "learned", lambda folder: (agent, jnp.asarray(3.0), Plan("pendulum")))
    spaces = Box((1,)), Box((1,), low=low, high=low and (4.0,))
    monkeypatch.setattr(exporting, "spaces_of", lambda env, drift: spaces)
    out = export_policy(tmp_path, tmp_path / "export")
    program = jax.export.deserialize(bytearray((out / "policy.stablehlo").read_bytes()))
    action, _ = program.call(np.array([[-1.0], [0.1], [2.0]], np.float32), (), np.zeros(3, bool))
    told = json.loads((out / "policy.json").read_text())["outputs"]["action"]
    expected, ends = ([-3.0, 0.3, 6.0], None) if low is None else ([-1.0, 0.3, 1.0], [-1.0, 1.0])
    np.testing.assert_allclose(action[:, 0], expected, rtol=1e-6)
    assert told["range"] == ends


@pytest.mark.parametrize(
    ("returns", "ended", "told"),
    [
        ([1.0, 2.0, 6.0], [True] * 3, "return 3 on average of 3 episodes, 1 at worst, 6 at best"),
        (
            [1.0, np.nan, 6.0],
            [True] * 3,
            "return 3.5 on average of 2 episodes, 1 at worst, 6 at best (1 of 3 earned no number, and are left out)",
        ),
        (
            [1.0, 2.0, 6.0],
            [True, False, True],
            "return 3 on average of 3 episodes, 1 at worst, 6 at best (1 of 3 did not end within 10 steps)",
        ),
        ([5.0, 5.0, 20.0], [False] * 3, "reward 1 a step, on average of 10 steps in each of 3 copies"),
        ([np.nan, np.inf, np.nan], [True] * 3, "none of 3 episodes earned a number: a reward in each was not finite"),
    ],
)
def test_what_came_of_the_episodes_in_one_line(returns, ended, told):
    assert outcome(np.array(returns), np.array([5, 10, 3]) if any(ended) else np.full(3, 10), np.array(ended)) == told


def test_a_world_without_episodes_is_told_as_one(monkeypatch):
    monkeypatch.setattr(evaluating, "LONGEST", 400)
    world = open_env("two_colors", 2)
    agent, _, _ = Plan("two_colors", settings={"num_envs": 2, "hidden": (8,)}).build()
    actor = agent.actor(agent.init(jax.random.key(0)))
    seen = evaluate(agent, actor, world, 2, 0)
    assert seen.lengths.tolist() == [400, 400]
    assert not seen.ended.any()
