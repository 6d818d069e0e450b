"""Sweeps and populations: one small program for all tests of this module."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from selftune.agents.settings import ActorCriticSettings
from selftune.agents.synchronous import a2c, impala
from selftune.agents.tuners import recipe_for
from selftune.envs import HostEnv, make
from selftune.envs.worlds import world
from selftune.errors import SettingError
from selftune.experiments import host_fleet as host_fleets
from selftune.experiments.drawing_settings import draw
from selftune.experiments.fleet import Fleet, Told, fleet
from selftune.experiments.host_fleet import host_fleet
from selftune.experiments.population import (
    PB2,
    PBT,
    RANDOM_SEARCH,
    Group,
    History,
    _levels,
    _turned,
    between_comparisons,
    copied,
    populations,
    quarters,
)
from selftune.experiments.sweep import filled, keys, plan, runs
from selftune.runner.native_experiment import native_experiment
from selftune.runner.rollouts import Rollout
from selftune.runner.session import Session

ENV = world("cartpole")
SETTINGS = ActorCriticSettings(num_envs=4, rollout_length=16, hidden=(4,))
SHORT = ActorCriticSettings(num_envs=2, rollout_length=4, hidden=(4,))


def _agent(init):
    recipe = recipe_for("fixed", "a2c")
    return a2c(ENV.observation_space, ENV.action_space, init=init, settings=SETTINGS, recipe=recipe)


@pytest.fixture(scope="module")
def small():
    return fleet(_agent, ENV)


def _physics(step):
    return ENV.params


def test_a_run_among_others_is_the_run_alone(small):
    starts = {"learning_rate": np.array([1e-3, 1e-1, 1e-3, 1e-3]), "critic_learning_rate": np.array([1e-3] * 4)}
    curves = runs(small, _physics, starts, [3, 3, 4, 3], 512, points=4, width=4)
    single = native_experiment(_agent({"learning_rate": 1e-3}), ENV)
    session, totals = single.begin(3), []
    for _ in range(4):
        session, told = single.advance(session, 2)
        totals.append((told.returns.sum(), len(told.returns)))
    assert curves.steps.tolist() == [128, 256, 384, 512]
    assert np.stack([curves.returns[0], curves.episodes[0]], axis=1) == pytest.approx(np.array(totals), rel=1e-4)
    assert curves.returns[0].tolist() == curves.returns[3].tolist()
    assert curves.returns[0].tolist() != curves.returns[2].tolist(), "seeds matter"
    assert curves.returns[0].tolist() != curves.returns[1].tolist(), "settings matter"
    assert curves.reward == pytest.approx(np.full((4, 4), 128.0)), "every step of cartpole pays 1"
    assert curves.eta["learning_rate"][:, -1] == pytest.approx(starts["learning_rate"])


def test_runs_that_are_too_few_or_too_many_use_the_same_program(small):
    before = small.advance._cache_size()  # pyright: ignore
    curves = runs(small, _physics, {}, [0, 1, 2, 3, 4], 256, points=2, width=3)
    alone = runs(small, _physics, {}, [4], 256, points=2, width=3)
    assert curves.returns.shape == (5, 2)
    assert curves.returns[4].tolist() == alone.returns[0].tolist()
    assert small.advance._cache_size() == before + 1  # pyright: ignore


@pytest.mark.parametrize("strategy", [RANDOM_SEARCH, PBT, PB2])
def test_a_population_takes_the_steps_of_all_members(small, strategy):
    names = ["learning_rate", "discount"]
    curves = populations(small, _physics, strategy, names, [0], 512 * 8, members=4, points=8)
    assert curves.steps[-1] == 512 * 8
    assert curves.reward.sum() == pytest.approx(512 * 8)
    assert curves.level(continuing=True) == pytest.approx(1.0), "every step of cartpole earns 1"
    learned = np.unique(curves.eta["learning_rate"][0])
    assert len(learned) >= 2, "the member in use changes"
    again = populations(small, _physics, strategy, names, [0], 512 * 8, members=4, points=8)
    assert again.returns.tolist() == curves.returns.tolist()


def test_the_worst_quarter_copies_the_best_quarter_whole(small):
    sources = quarters(np.array([3.0, -np.inf, 9, 1, 5, 2, 8, 4]), np.ones(8, bool), np.random.default_rng(0))
    assert [place for place in range(8) if sources[place] != place] == [1, 3]
    assert set(sources[[1, 3]]) <= {2, 6}
    sessions = small.begin({}, keys([0, 1, 2]))
    then = copied(sessions, np.array([0, 2, 2]))
    for old, new in zip(
        jax.tree.leaves(sessions._replace(key=())), jax.tree.leaves(then._replace(key=())), strict=True
    ):
        assert np.array_equal(_plain(new)[1], _plain(old)[2])
        assert np.array_equal(_plain(new)[0], _plain(old)[0])
    assert np.array_equal(_plain(then.key), _plain(sessions.key)), "or copies would do the same for ever"


def test_who_is_not_known_is_not_copied_and_who_was_not_seen_goes_on():
    nan, chance, seen = np.nan, np.random.default_rng(0), np.ones(6, bool)
    three = np.array([nan, 1.0, nan, nan, 2.0, 3.0])
    assert quarters(three, seen, chance).tolist() == [0, 1, 2, 3, 4, 5], "a quarter of three is nobody"
    four = np.array([nan, 1.0, 4.0, nan, 2.0, 3.0])
    for _ in range(20):
        assert quarters(four, seen, chance).tolist() == [0, 2, 2, 3, 4, 5]
    assert quarters(four, np.arange(6) != 1, chance).tolist() == [0, 1, 2, 3, 4, 5]


def _in_long_episodes(earned):
    """A fleet whose episodes all end in every third chunk and make `earned(learning_rate)`."""

    def advance(settings, sessions, physics, updates):
        ended = (sessions.update % 3 == 2).astype(float)
        told = ended, ended * earned(settings["learning_rate"]), jnp.full(ended.shape, jnp.nan), dict(settings), {}
        return sessions._replace(update=sessions.update + 1), Told(*told, jnp.ones(ended.shape, bool))

    nothing: Any = ()
    return Fleet(
        lambda settings, keys: Session(nothing, (), (), (), keys, jnp.zeros(len(keys), jnp.int32)), advance, 10
    )


@pytest.mark.parametrize("strategy", [RANDOM_SEARCH, PBT])
def test_where_no_episode_ended_a_level_is_the_last_that_was_known(strategy):
    """Episodes of Pendulum outlast an interval: where nothing was seen, 0 was in use, and 0 and 1 were overwritten."""
    fleet = _in_long_episodes(lambda rate: rate)
    curves = populations(fleet, lambda step: step, strategy, ["learning_rate"], [3], 8 * 10 * 24, members=8, points=24)
    drawn = draw(["learning_rate"], 8, 3)["learning_rate"]
    used = curves.eta["learning_rate"][0].reshape(8, 3)
    assert used[0] == pytest.approx(np.full(3, drawn[0])), "nothing is known, the first is as good as any"
    assert used[1] == pytest.approx(np.full(3, drawn.max()))
    assert (used == used[:, :1]).all(), "nothing is seen between two ends of episodes"
    assert (np.diff(used[1:, 0]) >= 0).all(), "the best goes on, until a copy is seen to be better"
    assert (used[-1, 0] > used[1, 0]) == (strategy is PBT)


def test_who_was_not_seen_since_is_still_the_best_that_is_known():
    nothing = History(np.zeros((0, 1)), np.zeros(0), np.zeros(0))
    level = np.array([9.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0])
    group = Group(np.zeros((8, 1)), 0, level, level, nothing, np.random.default_rng(0))
    seen = np.full(8, np.nan)
    seen[1] = 8.0
    source, then = _turned(group, seen, 1, None)
    assert (then.best, then.level.tolist()) == (0, [9.0, 8.0, *level[2:]])
    assert source.tolist() == list(range(8))
    seen[1], moved = 1.5, lambda settings, history, chance: settings + 0.5
    source, then = _turned(group, seen, 1, moved)
    assert [place for place in range(8) if source[place] != place] == [1], "2 is in the worst quarter, and was not seen"
    assert np.isnan(then.level[1])
    assert then.base[1] == level[source[1]], "what its rise is counted from"
    assert then.history.y.tolist() == [0.5]


def test_no_number_is_less_than_any_and_no_episode_is_not_known():
    """A best member that breaks is in use no longer."""
    told = Told(np.array([[1.0, 0.0]]), np.array([[np.nan, 0.0]]), np.array([[np.nan, 1.0]]), {}, {}, np.ones((1, 2)))
    assert str(_levels([told], 10, False).tolist()) == "[[-inf, nan]]"
    assert _levels([told], 10, True).tolist() == [[-np.inf, 0.1]]


def test_who_earned_no_number_is_the_worst():
    fleet = _in_long_episodes(lambda rate: jnp.where(rate == rate.max(), jnp.nan, rate))
    given = ["learning_rate"], [3], 8 * 10 * 9
    curves = populations(fleet, lambda step: step, RANDOM_SEARCH, *given, members=8, points=9)
    drawn = np.sort(draw(["learning_rate"], 8, 3)["learning_rate"])
    assert curves.eta["learning_rate"][0, 3:] == pytest.approx([drawn[-2]] * 6)


def test_chunks_are_equally_long():
    assert plan(100, 1000, 5) == (2, 5)
    assert plan(100, 1001, 5) == (3, 4)
    assert plan(100, 1, 5) == (1, 1)


def test_members_are_compared_twenty_five_times_at_most():
    assert [between_comparisons(chunks) for chunks in (1, 25, 26, 98)] == [1, 1, 2, 4]


def test_gaps_are_filled_from_before_or_else_from_after():
    nan = np.nan
    assert filled(np.array([[nan, 1, nan, 2], [3, nan, nan, nan]])).tolist() == [[1, 1, 1, 2], [3, 3, 3, 3]]
    assert np.isnan(filled(np.array([[nan, nan]]))).all()


def test_settings_that_do_not_fit_the_seeds_are_refused(small):
    with pytest.raises(SettingError, match="one value a seed"):
        runs(small, _physics, {"learning_rate": np.ones(2)}, [0, 1, 2], 100)
    with pytest.raises(SettingError, match="at least 4"):
        populations(small, _physics, PBT, ["learning_rate"], [0], 100, members=2)


def _plain(leaf):
    return np.asarray(jax.random.key_data(leaf) if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf)


def test_runs_on_the_host_tell_what_runs_inside_the_program_do():
    settings = ActorCriticSettings(num_envs=2, rollout_length=16, hidden=(4,))
    recipe = recipe_for("kl_adaptive", "a2c")

    def agent(init):
        return a2c(ENV.observation_space, ENV.action_space, init=init, settings=settings, recipe=recipe)

    outside = host_fleet(agent, lambda: make("CartPole-v1", 2))
    sessions = outside.begin({}, keys([0, 1]))
    for _ in range(2):
        sessions, told = outside.advance({}, sessions, 0.0, 3)
    inside = fleet(agent, ENV)
    other = inside.advance({}, inside.begin({}, keys([0, 1])), ENV.params, 3)[1]
    assert told.reward.tolist() == other.reward.tolist() == [96.0, 96.0], "every step of cartpole pays 1"
    assert told.finite.tolist() == [True, True]
    assert told.eta.keys() == other.eta.keys()
    assert {name: value.shape for name, value in told.guards.items()} == dict.fromkeys(other.guards, (2,))
    outside.close()


@pytest.mark.parametrize(("make_agent", "late"), [(a2c, False), (impala, True)], ids=["a2c", "impala"])
def test_runs_on_the_host_act_as_a_training_does_and_let_go_of_their_environments(monkeypatch, make_agent, late):
    acted, closed = [], []

    class Watched(Rollout):
        def collect(self, actor, *rest):
            acted.append(_plain(jax.tree.leaves(actor)[0]))
            return super().collect(actor, *rest)

    def opened():
        env = make("CartPole-v1", 2)
        monkeypatch.setattr(env, "close", lambda: closed.append(HostEnv.close(env)))
        return env

    def agent(init):
        return make_agent(ENV.observation_space, ENV.action_space, init=init, settings=SHORT)

    monkeypatch.setattr(host_fleets, "Rollout", Watched)
    runs(host_fleet(agent, opened), lambda step: step, {"learning_rate": np.full(2, 1e-2)}, [0, 1], 3 * 8, points=1)
    first, second, third = acted[:3]
    assert (first == second).all() == late, "V-trace acts one update behind"
    assert (second != third).any()
    assert len(closed) == 2
