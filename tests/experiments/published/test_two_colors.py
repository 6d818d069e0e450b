import functools
import runpy
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import selftune as st
from selftune.envs.worlds.grid import MOVES, SIDE
from selftune.experiments.published import two_colors_runs
from selftune.experiments.published.two_colors import (
    FULL_SEEDS,
    TUNING_SEEDS,
    Line,
    bootstrapped,
    contextual_cost,
    lines,
    measured,
    scalar_cost,
)
from selftune.experiments.published.two_colors_agent import Life, Method, Settings, agent
from selftune.experiments.published.two_colors_flips import RATES, flip_rate_rows
from selftune.experiments.published.two_colors_runs import Outcome, run
from selftune.experiments.published.two_colors_stream import Stream, begin, best_return, rollout
from selftune.experiments.records import Records

TINY = Settings(Stream(flip_every=320), hidden=(16,), history=3)
NUMBERS: dict[str, float] = {
    "entropy_cost": 0.3,
    "learning_rate": 0.1,
    "critic_learning_rate": 0.1,
    "max_grad_norm": 0.5,
    "critic_max_grad_norm": 0.5,
    "meta_learning_rate": 1e-2,
    "trace_decay": 0.0,
}


def norm(tree):
    return float(sum(jnp.abs(leaf).sum() for leaf in jax.tree.leaves(tree)))


class Window(NamedTuple):
    before: Life
    after: Life
    replayed: st.LearnerState
    info: st.TunerInfo


@pytest.fixture(scope="module")
def window():
    """One window of contextual BMG, some windows into a life: as it was acted, and replayed."""
    method = Method(("reward",), contextual_cost(("reward",), TINY), bootstrapped(2, 2, TINY))
    made = agent(method, TINY, NUMBERS)

    @jax.jit
    def one(life):
        after, acted, _ = made.live(life, life.key)
        meta, replayed, info = made.tuner.update(life.meta, life.policy, acted, after.pending, life.key)
        return after._replace(meta=meta, key=jax.random.split(life.key)[0]), replayed, info

    life = jax.jit(made.init)(jax.random.key(0))
    for _ in range(3):
        before = life
        life, replayed, info = one(life)
    return Window(before, life, replayed, info)


def test_the_meta_gradient_reaches_the_context_network(window):
    gradient = window.info.meta_grad["entropy_cost"]
    assert all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(gradient))
    assert norm(gradient["output"]) > 0
    assert norm(gradient["hidden"]) > 0  # the output's weights have left 0 by now
    assert not any(int(fired) for fired in window.info.guards.values())


def test_the_replayed_window_is_the_acted_one(window):
    assert norm(jax.tree.map(jnp.subtract, window.replayed.params, window.before.policy.params)) > 1e-3
    for acted, replayed in zip(
        jax.tree.leaves(window.after.policy.params), jax.tree.leaves(window.replayed.params), strict=True
    ):
        np.testing.assert_allclose(acted, replayed, atol=1e-5)


def test_the_context_is_what_was_experienced_last(window):
    np.testing.assert_array_equal(window.after.pending.context, window.after.features[:, 0])
    assert window.after.place.world.time == (3 * 3 + 1) * TINY.length  # windows of three, and the first rollout


@pytest.mark.parametrize("line", lines(TINY), ids=lambda line: line.name)
def test_every_line_lives_windows_of_one_shape(line):
    made = agent(line.method, TINY, line.numbers)
    life = jax.eval_shape(made.init, jax.random.key(0))
    after, told = jax.eval_shape(made.window, life)
    assert jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), after) == jax.tree.map(
        lambda leaf: (leaf.shape, leaf.dtype), life
    )
    assert told.reward.shape == told.entropy_cost.shape == ()


@pytest.mark.parametrize(("number", "held"), [("max_grad_norm", "policy"), ("critic_max_grad_norm", "critic")])
def test_each_network_is_clipped_by_its_own_norm(number, held):
    made = agent(Method(window=2), TINY, {**NUMBERS, number: 1e-9})
    life = jax.jit(made.init)(jax.random.key(0))
    after, _ = jax.jit(made.window)(life)
    moved = {
        "policy": norm(jax.tree.map(jnp.subtract, after.policy.params, life.policy.params)),
        "critic": norm(jax.tree.map(jnp.subtract, after.critic, life.critic)),
    }
    assert moved.pop(held) < 1e-6
    assert min(moved.values()) > 1e-3


def test_rewards_change_their_sign_at_the_flip_and_not_before():
    stream = Stream(flip_every=50, respawn_all=False, step_cost=0.25)
    _, lived = jax.jit(lambda key: rollout(stream, lambda _: jnp.zeros(4), begin(stream, key), key, 600))(
        jax.random.key(3)
    )
    where = np.asarray(lived.observation).reshape(-1, 3, 2, SIDE).argmax(axis=-1)
    moved = np.clip(where[:, 0] + MOVES[np.asarray(lived.action)], 0, SIDE - 1)
    blue, red = ((where[:, index] == moved).all(axis=1) for index in (1, 2))
    sign = np.where(np.arange(600) // 50 % 2 == 0, 1.0, -1.0)
    assert blue.sum() > 5
    assert red.sum() > 5
    np.testing.assert_array_equal(lived.reward, np.where(blue, sign, np.where(red, -sign, -0.25)))


def test_ceilings_of_the_conventions():
    # 0.289 - 0.04 * 0.711 = 0.2606; without a cost a step is worth its collections.
    assert float(best_return(False, 0.04)) == pytest.approx(0.2606, abs=1e-4)
    assert float(best_return(True, 0.0)) == pytest.approx(0.298)


def test_a_run_that_was_interrupted_goes_on(tmp_path, monkeypatch):
    build = functools.partial(agent, Method(window=2), TINY)
    varied = {name: np.array([value, value]) for name, value in NUMBERS.items()}
    monkeypatch.setattr(two_colors_runs, "CHUNK", 96)  # 7 chunks of 3 windows: one window more than 640 steps
    whole = run(build, varied, (0, 1), 640)
    monkeypatch.setattr(two_colors_runs, "CHUNK", 160)
    run(build, varied, (0, 1), 320, tmp_path / "state")
    heard = []
    resumed = run(build, varied, (0, 1), 640, tmp_path / "state", heard.append)
    assert len(heard) == 2
    assert whole.reward.shape == (2, 20)
    np.testing.assert_array_equal(resumed.reward, whole.reward)
    assert not np.array_equal(whole.reward[0], whole.reward[1])


def test_a_row_is_measured_once_and_says_what_was_measured(tmp_path, monkeypatch):
    records, ran = Records(tmp_path / "published.json"), []

    def fake(build, varied, seeds, steps, keep, say):
        ran.append((set(varied), tuple(seeds), steps))
        return Outcome(np.array([[0.1, 0.2], [0.3, 0.2]]), np.array([[0.5, 0.4], [0.3, 0.4]]), window=320)

    monkeypatch.setattr(two_colors_runs, "run", fake)
    line = Line("AC", Method(window=2), NUMBERS, (1.24, 0.09))
    row = measured(line, TINY, 640, (0, 1), "what measures it", records, print)
    assert ran == [(set(NUMBERS), (0, 1), 640)]
    assert row.ours == pytest.approx(2.0)  # ten times the mean of .15 and .25
    assert row.details["returns"] == [1.5, 2.5]
    assert row.details["reward_curve"] == [0.2, 0.2]
    assert row.details["standard_deviation"] == pytest.approx(0.5**0.5, abs=1e-4)
    assert row.ci_low <= row.ours <= row.ci_high
    assert not row.details["within_two_deviations"]
    [written] = Records(records.path).rows
    assert written.command == "what measures it"
    assert "jax" in written.details["versions"], "also where the bench is interrupted before it hears of the row"
    said = []
    again = Records(records.path)
    assert measured(line, TINY, 640, (0, 1), "what measures it", again, said.append).ours == row.ours
    assert not said
    dearer = line._replace(numbers={**NUMBERS, "entropy_cost": 0.9}, method=line.method._replace(features=("error",)))
    measured(dearer, TINY, 640, (0, 1), "what measures it", again, said.append)
    assert said[0].startswith("AC: kept, but its row tells of other numbers, features, or not of them;")
    measured(line, TINY._replace(hidden=(8,)), 640, (0, 1), "what measures it", again, said.append)
    assert "tells of other shared," in said[1]
    assert len(ran) == 1


def test_another_method_does_not_go_on_with_what_a_row_of_that_name_has_lived(tmp_path, monkeypatch):
    kept = []

    def fake(build, varied, seeds, steps, keep, say):
        kept.append(keep)
        return Outcome(np.array([[0.1, 0.2]]), np.array([[0.5, 0.4]]), window=320)

    monkeypatch.setattr(two_colors_runs, "run", fake)
    first, later = (st.MetaParam(value, st.unit) for value in (0.5, 0.2))
    methods = (
        Method(),
        Method(("error",)),
        Method(judge_entropy=0.1),
        Method(estimator=st.truncated(15)),
        Method(learned={"entropy_cost": first}),
        Method(learned={"entropy_cost": later}),
    )
    for number, method in enumerate(methods):
        records = Records(tmp_path / str(number) / "published.json")
        measured(Line("AC", method, NUMBERS), TINY, 640, (0,), "", records, print)
    assert len({keep.name for keep in kept}) == len(methods)


def test_values_around_flips_are_aligned_with_them():
    told = np.tile([1.0, 2.0, 3.0, 4.0], 4)[None]
    outcome = Outcome(told, told, window=10)
    assert outcome.around_flips(outcome.told, flip_every=40, bins=4) == [1.0, 2.0, 3.0, 4.0]
    assert outcome.curve(2) == [2.5, 2.5]


def test_the_table_has_the_published_rows_in_order_of_importance():
    told = {line.name: line.published for line in lines() if line.published}
    assert told["AC"] == (1.24, 0.09)
    assert told["BMG-rich"] == (1.79, 0.07)
    assert set(told) == {"AC", "MG", "BMG", "MG-context", "BMG-context", "BMG-rich"}
    assert set(scalar_cost()) == {"entropy_cost"}


def test_the_rows_of_swaps_differ_in_nothing_but_their_rate(tmp_path, monkeypatch):
    def fake(build, varied, seeds, steps, keep, say):
        return Outcome(np.full((len(seeds), 4), 0.1), np.full((len(seeds), 4), 0.5), window=240)

    monkeypatch.setattr(two_colors_runs, "run", fake)
    rows = list(flip_rate_rows(True, Records(tmp_path / "published.json"), print, TINY, steps=960, seeds=(0, 1)))
    assert len({row.row for row in rows}) == len(rows) == 2 * len(RATES)
    assert [row.details["stream"]["flip_every"] for row in rows] == [rate for rate in RATES for _ in range(2)]
    numbers = [row.details["numbers"] for row in rows]
    assert all(numbers[i] == numbers[i % 2] for i in range(len(rows)))
    assert ["entropy_cost" in told for told in numbers[:2]] == [True, False], "what is learned is no setting"
    assert {row.details["numbers"]["max_grad_norm"] for row in rows} == {1.0}, "both lines are clipped alike"


def test_the_tuning_program_has_a_sweep_for_every_line_and_stays_off_the_tests_seeds():
    tuning = runpy.run_path(str(Path(__file__).parents[3] / "benchmarks" / "two_colors_tuning.py"))
    sweeps = {sweep.name: sweep for sweep in tuning["sweeps"]()}
    assert {line.name for line in lines()} <= sweeps.keys()
    assert all(
        set(names.split("+")) <= sweep.fixed.keys() | {"anew"} for sweep in sweeps.values() for names in sweep.grid
    )
    assert not set(TUNING_SEEDS) & set(FULL_SEEDS)
