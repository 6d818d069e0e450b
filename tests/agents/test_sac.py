from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from selftune import _tree
from selftune.agents.beginning import begin_with, learned as known_by
from selftune.agents.sac import NAMES, RECIPE, SACSettings, sac
from selftune.errors import NotDifferentiableError, SettingError, UnsupportedSpaceError
from selftune.metaparams import values
from selftune.spaces import Box, Discrete
from selftune.types import Transitions

SMALL = SACSettings(
    num_envs=2, rollout_length=4, replay_ratio=0.5, hidden=(8,), batch_size=5, replay_capacity=64, warm_up=16
)
SEES, ACTS = Box((3,)), Box((2,), low=(-1.0,) * 2, high=(1.0,) * 2)


def build(**options):
    return sac(SEES, ACTS, **{"settings": SMALL, **options})


def rollout(seed):
    """Random transitions [4, 2] of a world with 3 numbers to see and 2 to give; some episodes end, in both ways."""
    keys = jax.random.split(jax.random.key(seed), 6)
    shape = (4, 2)
    return Transitions(
        jax.random.normal(keys[0], (*shape, 3)),
        jax.random.uniform(keys[1], (*shape, 2), minval=-1.0),
        jax.random.normal(keys[2], shape),
        jax.random.bernoulli(keys[3], 0.1, shape),
        jax.random.bernoulli(keys[4], 0.1, shape),
        jax.random.normal(keys[5], (*shape, 3)),
    )


def learn(agent, calls):
    """The states after each call, the last info, and the compiled function."""
    step, states, info = jax.jit(agent.learn), [jax.jit(agent.init)(jax.random.key(0))], None
    for call in range(calls):
        state, info = step(states[-1], rollout(call), jax.random.key(call))
        states.append(state)
    return states, info, step


@pytest.fixture(scope="module")
def everything():
    """An agent that tunes all it can, after four calls."""
    agent = build(tune=NAMES, init={"adam_eps": 1e-6})  # off its bound
    return agent, *learn(agent, 4)


def test_nothing_recompiles_and_types_are_stable(everything):
    _, states, _, step = everything
    assert step._cache_size() == 1
    first, last = (jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), state) for state in (states[0], states[-1]))
    assert first == last
    assert _tree.finite(states[-1])


def test_nothing_is_learned_before_the_warm_up_is_over(everything):
    """16 steps are two rollouts of 8: the first call only remembers, the second learns."""
    _, states, _, _ = everything
    before, waited, learned = ((s.learner.params, s.meta.meta_params) for s in states[:3])
    same = jax.tree.map(jnp.array_equal, before, waited)
    assert all(jax.tree.leaves(same))
    moved = jax.tree.map(lambda a, b: bool((a != b).any()), before, learned)
    assert all(jax.tree.leaves(moved)), moved
    assert int(states[1].experience.size) == 4


def test_actions_are_uniform_until_then_and_of_the_policy_afterwards(everything):
    agent, states, _, _ = everything
    seen, first = jnp.zeros((1000, 3)), jnp.zeros(1000, bool)
    act, decide = jax.jit(agent.act), jax.jit(agent.decide)

    def actions(state, shift=0.0):
        actor = agent.actor(state)
        actor["policy"] = jax.tree.map(lambda leaf: leaf + shift, actor["policy"])
        return act(actor, agent.rest(1000), seen, first, jax.random.key(1)).action

    random, drawn = actions(states[1]), actions(states[2])
    assert (actions(states[1], shift=1.0) == random).all(), "whatever the policy is"
    assert (actions(states[2], shift=1.0) != drawn).any()
    assert random.shape == drawn.shape == (1000, 2)
    counts = jnp.histogram(random, bins=4, range=(-1.0, 1.0))[0]
    assert (jnp.abs(counts - 500) < 100).all(), "2000 numbers in four bins, standard deviation 19"
    assert float(random.std()) == pytest.approx(1 / np.sqrt(3), abs=0.02)
    assert float(drawn.std()) == pytest.approx(0.595, abs=0.03), "tanh of a normal with deviation exp(-0.12)"
    decided = decide(agent.actor(states[2]), agent.rest(1000), seen, first).action
    assert (decided == decided[0][None]).all()
    assert jnp.abs(decided).max() < 0.2, "the first policy is centred"


def test_who_begins_with_what_another_was_taught_acts_by_it_at_once(everything):
    """At random it would throw a robot about that can already walk; it learns once its own replay is full enough."""
    agent, states, _, step = everything
    begun = begin_with(agent, states[0], known_by(states[-1]))
    seen, first = jnp.zeros((4, 3)), jnp.zeros(4, bool)
    for begins, taught in ((begun, states[-1]), (begin_with(agent, states[0], known_by(states[1])), states[1])):
        acted, meant = (agent.act(agent.actor(s), (), seen, first, jax.random.key(1)).action for s in (begins, taught))
        assert (acted == meant).all()
    after, _ = step(begun, rollout(0), jax.random.key(0))
    assert jax.tree.all(jax.tree.map(jnp.array_equal, after.learner, begun.learner))


def test_a_broken_sensor_does_not_break_actions(everything):
    agent, states, *_ = everything
    actor = agent.actor(states[-1])
    broken, mended = jnp.array([[jnp.nan, 1.0, jnp.inf]]), jnp.array([[0.0, 1.0, 0.0]])
    first, key = jnp.zeros(1, bool), jax.random.key(0)
    for choose in (agent.decide, lambda *seen: agent.act(*seen, key)):
        assert choose(actor, (), broken, first).action.tolist() == choose(actor, (), mended, first).action.tolist()


def test_a_body_of_many_joints_can_be_tuned():
    agent = sac(SEES, Box((120,), low=(-1.0,) * 120, high=(1.0,) * 120), settings=SMALL)
    assert float(values(agent.spec)["target_entropy"]) == -120.0


def test_every_metaparameter_is_reached(everything):
    agent, _, info, _ = everything
    assert set(info.meta_grad) == set(NAMES) >= set(RECIPE.tune)
    for name, grad in info.meta_grad.items():
        assert jnp.isfinite(grad), name
        assert float(grad) != 0.0, name
        assert float(info.eta[name]) != pytest.approx(float(agent.spec[name].value), rel=1e-6), name


@pytest.fixture(scope="module")
def fixed():
    """Agents that tune nothing and differ in their targets' mix, after two calls; the mix is the program's argument."""

    @jax.jit
    def run(mix):
        agent = build(tune=[], init={"target_mix": mix, "discount": 0.8})
        first = agent.init(jax.random.key(0))
        waited, told = agent.learn(first, rollout(0), jax.random.key(0))
        return first, told, *agent.learn(waited, rollout(1), jax.random.key(1))

    return [run(jnp.asarray(mix)) for mix in (1.0, 1e-5)]


def test_a_fixed_agent_learns_and_keeps_its_settings(fixed):
    first, told, last, info = fixed[0]
    assert info.meta_grad == {}
    for eta in (told.eta, info.eta):  # before anything is learned as well
        assert float(eta["discount"]) == pytest.approx(0.8)
        assert float(eta["target_entropy"]) == -2.0, "less the number of actions"
    assert float(told.meta_loss) == 0.0
    start, end = first.learner.params["policy"], last.learner.params["policy"]
    assert not jnp.array_equal(start[0].weight, end[0].weight)


def test_targets_follow_the_critics_by_the_mix(fixed):
    """At a mix of 1 they are the critics; at the smallest they have hardly left where the critics began."""
    (_, _, quick, _), (first, _, slow, _) = fixed
    began, quickly, slowly = (state.learner.params["critics"][0].weight for state in (first, quick, slow))
    at_once, hardly = (state.learner.memory.target_critics[0].weight for state in (quick, slow))
    np.testing.assert_array_equal(at_once, quickly)
    np.testing.assert_allclose(hardly, began, atol=1e-6)
    assert not np.allclose(hardly, slowly, atol=1e-4)


def test_the_critics_rate_begins_at_the_policys():
    agent = build(init={"learning_rate": 1e-5})
    assert float(agent.spec["critic_learning_rate"].value) == pytest.approx(1e-5)


def test_discrete_actions_are_refused_with_the_agents_that_take_them():
    with pytest.raises(UnsupportedSpaceError, match="'dqn', 'ppo' or 'a2c'"):
        sac(SEES, Discrete(4))
    with pytest.raises(UnsupportedSpaceError, match="one axis"):
        sac(SEES, Box((2, 2)))
    with pytest.raises(UnsupportedSpaceError, match=r"no bounds; expected some.*TransformAction.*'ppo' or 'a2c'"):
        sac(SEES, Box((2,)))


@pytest.mark.parametrize("change", [{"replay_ratio": 0.1}, {"unroll": 0}, {"replay_capacity": 15}])
def test_settings_that_do_not_fit_together_are_refused(change):
    with pytest.raises(SettingError, match=next(iter(change))):
        build(settings=replace(SMALL, **change))


def test_a_setting_cannot_be_tuned():
    with pytest.raises(NotDifferentiableError, match="batch_size"):
        build(tune=["batch_size"])


def test_every_update_that_the_trust_region_shortens_is_counted():
    _, info, _ = learn(build(recipe=replace(RECIPE, policy_bound=1e-12)), 2)
    assert int(info.guards["trust_region"]) == 4, "half an update for each of 8 steps"
