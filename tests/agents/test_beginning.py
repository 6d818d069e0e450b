"""Beginning: with what another agent has learned, and with the rates that are told."""

import jax
import jax.numpy as jnp
import pytest

from selftune.agents import a2c, recipe_for
from selftune.agents.alarms import SETTLING, pages_test
from selftune.agents.beginning import begin_with, go_on_with, learned as known_by
from selftune.agents.catalogue import AGENTS
from selftune.agents.settings import ActorCriticSettings
from selftune.errors import SettingError

from .setting import CHOICES, FORCES, SEEN, rollout


@pytest.mark.parametrize("tuner", ["meta_gradient", "schedule_free", "dog"])
def test_the_optimizer_begins_where_the_known_networks_are(tuner):
    """Rules that keep a copy of the parameters would go back to networks that nobody trained."""
    agent = a2c(SEEN, CHOICES, recipe=recipe_for(tuner, "a2c"))
    known = known_by(agent.init(jax.random.key(1)))
    state = begin_with(agent, agent.init(jax.random.key(0)), known)
    honest = agent.start(known.params).opt_state
    assert jax.tree.all(jax.tree.map(jnp.array_equal, state.learner.opt_state, honest))
    assert jax.tree.all(jax.tree.map(jnp.array_equal, state.learner.params, known.params))


@pytest.mark.parametrize("other", [{"normalise_observations": True}, {"scale_rewards": False}])
def test_other_senses_are_refused_before_anything_is_taken_over(other):
    agent = a2c(SEEN, CHOICES)
    known = known_by(a2c(SEEN, CHOICES, settings=ActorCriticSettings(**other)).init(jax.random.key(1)))
    with pytest.raises(SettingError, match=r"senses .*normalise_observations, scale_rewards"):
        begin_with(agent, agent.init(jax.random.key(0)), known)


def test_the_lifetime_is_the_agents_own():
    agent = a2c(SEEN, CHOICES)
    known = known_by(agent.init(jax.random.key(1)))
    known = known._replace(senses=known.senses._replace(steps=jnp.int32(10**6)))
    assert int(begin_with(agent, agent.init(jax.random.key(0)), known).experience.own.senses.steps) == 0


@pytest.mark.parametrize("name", AGENTS)
def test_what_is_told_is_what_is_in_force(name):
    """From the first update on, also where its metaparameters cannot be judged yet."""
    small = {"hidden": (4,), "warm_up": 8, "replay_capacity": 200, "batch_size": 4, "num_envs": 2, "minibatches": 2}
    make, default = AGENTS[name]
    agent = make(SEEN, FORCES if name == "sac" else CHOICES, settings=_changed(default, small))
    for state, info in _life(agent, 3):
        for tuned in state.meta.meta_params:
            stands = agent.spec[tuned].constraint.forward(state.meta.meta_params[tuned])
            assert float(info.eta[tuned]) == pytest.approx(float(stands), rel=1e-6), tuned


def _life(agent, updates):
    """The state after each of some updates, and what it told."""
    learn, state, told = jax.jit(agent.learn), agent.init(jax.random.key(0)), []
    for update in range(updates):
        state, info = learn(state, rollout(agent, state, update), jax.random.key(update))
        told.append((state, info))
    return told


def _changed(default, changes):
    return type(default)(**{name: value for name, value in changes.items() if hasattr(default, name)})


@pytest.mark.parametrize("name", ["a2c", "ppo"])
def test_what_waits_for_its_judge_is_not_that_of_networks_that_are_gone(name):
    make, default = AGENTS[name]
    settings = _changed(default, {"hidden": (4,), "num_envs": 2, "minibatches": 2})
    agent = make(SEEN, CHOICES, settings=settings)
    state, _ = _life(agent, 2)[-1]
    known = known_by(agent.init(jax.random.key(9)))
    after = go_on_with(agent, state, known, jax.random.key(1))
    assert jax.tree.all(jax.tree.map(jnp.array_equal, after.learner.params, known.params))
    assert jax.tree.all(jax.tree.map(jnp.array_equal, after.meta.opt_state, state.meta.opt_state)), "its tuning stays"
    assert int(after.meta.updates) == int(state.meta.updates)
    waiting = after.meta.estimator_state if name == "a2c" else after.experience.own.last
    assert not bool(waiting.ready)
    assert float(state.experience.alarm.age) > 0.0
    assert float(after.experience.alarm.age) == -SETTLING, "how well it did is forgotten"
    assert bool((after.experience.so_far == 0.0).all())


def test_an_expert_is_given_time_to_settle():
    agent = a2c(SEEN, CHOICES)
    known = known_by(agent.init(jax.random.key(1)))
    fresh = agent.init(jax.random.key(0))
    assert float(fresh.experience.alarm.age) == 0.0
    assert float(begin_with(agent, fresh, known).experience.alarm.age) == -SETTLING
    on_change = a2c(SEEN, CHOICES, recipe=recipe_for("reset_on_change", "a2c"))
    begun = begin_with(on_change, on_change.init(jax.random.key(0)), known).experience.alarm
    assert jax.tree.map(float, begun) == jax.tree.map(float, pages_test().init()), "it compares with what was lately"
