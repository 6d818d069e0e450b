"""A2C, V-trace and PPO, with and without memory, with choices and with forces."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import pytest

from selftune import _tree
from selftune.agents import VOCABULARY, ActorCriticSettings, PPOSettings, a2c, impala, ppo
from selftune.agents.body import Actor, body
from selftune.agents.recipe import clipped_adam
from selftune.agents.senses import senses
from selftune.agents.tuners import OWN
from selftune.agents.updating import COMMON, actor_critic_rule
from selftune.errors import SettingError, UnsupportedSpaceError
from selftune.networks import include, lift, statistics
from selftune.spaces import Box, Discrete
from selftune.types import Transitions

from .setting import CHOICES, FORCES, SEEN, learned, rollout

SMALL = ActorCriticSettings(num_envs=4, rollout_length=8, hidden=(16,))
SMALL_PPO = PPOSettings(num_envs=4, rollout_length=8, hidden=(16,), epochs=2, minibatches=2)

AGENTS = {
    "a2c": (a2c, SMALL),
    "impala": (impala, SMALL),
    "ppo": (ppo, SMALL_PPO),
}
KINDS = {
    "plain": (CHOICES, {}),
    "everything": (
        FORCES,
        {
            "memory": 5,
            "contextual": ("entropy_cost", "learning_rate"),
            "see_horizons": True,
            "normalise_observations": True,
            "scale_rewards": True,
        },
    ),
}


def build(name, actions=CHOICES, changes=None, **options):
    make, settings = AGENTS[name]
    return make(SEEN, actions, settings=replace(settings, **(changes or {})), **options)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", AGENTS)
def test_nothing_recompiles_types_are_stable_and_the_recipe_moves_what_it_names(name, kind):
    actions, changes = KINDS[kind]
    agent = build(name, actions, changes)
    start = jax.jit(agent.init)(jax.random.key(0))
    learn, state, info = learned(agent, 4)
    assert learn._cache_size() == 1
    assert jax.tree.map(jnp.result_type, start) == jax.tree.map(jnp.result_type, state)
    assert _tree.finite((state, info.meta_grad))
    for metaparameter, gradient in info.meta_grad.items():
        sizes = jnp.stack([jnp.abs(leaf).max() for leaf in jax.tree.leaves(gradient)])
        assert float(sizes.max()) > 0.0, metaparameter
        stood = float(info.eta[metaparameter]) == pytest.approx(VOCABULARY[metaparameter].value, rel=1e-7)
        assert stood == (metaparameter in OWN[name].homing and metaparameter not in changes.get("contextual", ()))


@pytest.mark.parametrize("name", AGENTS)
def test_a_fixed_agent_learns_and_keeps_its_settings(name):
    agent = build(name, tune=[], init={"discount": 0.8})
    start = jax.jit(agent.init)(jax.random.key(0))
    _, state, info = learned(agent, 2)
    assert info.meta_grad == {}
    assert float(info.eta["discount"]) == pytest.approx(0.8)
    old, new = (jax.tree.leaves(s.learner.params["policy"])[0] for s in (start, state))
    assert not jnp.array_equal(old, new)


def test_every_metaparameter_is_reached_but_the_inner_critics_weight():
    """The outer loss looks at the policy and the outer critic, not at the inner one: `value_cost` moves only that."""
    agent = build("impala", tune=[*COMMON, "rho_mix", "c_mix"], init={"max_grad_norm": 0.01, "rho_mix": 0.5})
    _, _, info = learned(agent, 3)
    zero = {name for name, grad in info.meta_grad.items() if float(grad) == 0.0}
    assert zero == {"value_cost", "rho_mix", "c_mix"}, "on-policy, no ratio is clipped"


def test_ppo_judges_its_last_update_by_the_next_rollout_only():
    """Before the second rollout there is nothing to judge, and no metaparameter has moved."""
    agent = build("ppo")
    learn = jax.jit(agent.learn)
    state = jax.jit(agent.init)(jax.random.key(0))
    once, _ = learn(state, rollout(agent, state, 0), jax.random.key(0))
    assert jax.tree.all(jax.tree.map(jnp.array_equal, once.meta, state.meta))
    twice, _ = learn(once, rollout(agent, once, 1), jax.random.key(1))
    assert float(twice.meta.updates) == 1
    assert not jnp.array_equal(once.meta.meta_params["learning_rate"], twice.meta.meta_params["learning_rate"])


def test_the_replayed_update_of_ppo_is_the_one_that_acted():
    agent = build("ppo", changes={"epochs": 1, "minibatches": 1})
    learn = jax.jit(agent.learn)
    state = jax.jit(agent.init)(jax.random.key(0))
    after, _ = learn(state, rollout(agent, state, 0), jax.random.key(0))
    start = after.experience.own.last.start
    assert jax.tree.all(jax.tree.map(jnp.array_equal, start.params, state.learner.params))


@pytest.mark.parametrize("name", AGENTS)
def test_a_reward_that_is_no_number_costs_no_rollout(name):
    """It counts as 0, for the alarm and the scale of rewards too, and is told."""
    agent = build(name)
    learn, state, _ = learned(agent, 2)
    batch, key = rollout(agent, state, 5), jax.random.key(9)
    outcomes = []
    for value in (jnp.nan, jnp.inf, 0.0):
        after, info = learn(state, batch._replace(reward=batch.reward.at[3, 1].set(value)), key)
        outcomes.append(after)
        assert int(info.guards["numeric/experience"]) == (value != 0.0)
        assert not any(int(count) for guard, count in info.guards.items() if guard.startswith("numeric/l"))
        assert not jax.tree.all(jax.tree.map(jnp.array_equal, after.learner.params, state.learner.params))
    for broken in outcomes[:2]:
        assert all(map(jnp.array_equal, jax.tree.leaves(broken), jax.tree.leaves(outcomes[2])))


@pytest.mark.parametrize("name", ["a2c", "ppo"])
def test_a_reading_that_is_no_number_is_counted(name):
    """Nobody would know of a dead sensor. What is seen next is what is acted upon then: it counts once."""
    agent = build(name, FORCES)
    learn, state, _ = learned(agent, 1)
    batch, key = rollout(agent, state, 5), jax.random.key(9)
    last = batch.reward.shape[0] - 1
    for ticks in ((), (2,), (2, 3), (last,)):
        rows = jnp.array(ticks, int)
        seen = batch.observation.at[rows + 1, 1, 0].set(jnp.nan, mode="drop")
        following = batch.next_observation.at[rows, 1, 0].set(jnp.nan)
        after, info = learn(state, batch._replace(observation=seen, next_observation=following), key)
        assert int(info.guards["numeric/experience"]) == len(ticks)
        assert _tree.finite(after.learner.params)
    both = batch._replace(reward=batch.reward.at[0, 1].set(jnp.nan), observation=batch.observation.at[2].set(jnp.nan))
    assert int(learn(state, both, key)[1].guards["numeric/experience"]) == 2, "different steps add up"


@pytest.mark.parametrize("name", ["impala", "ppo"])
def test_a_rollout_that_is_not_finite_changes_nothing_that_was_learned(name):
    agent = build(name)
    learn, state, _ = learned(agent, 2)
    batch = rollout(agent, state, 5)
    probability = batch.notes["log_probability"].at[3, 1].set(jnp.nan)
    broken = batch._replace(notes={**batch.notes, "log_probability": probability})
    after, info = learn(state, broken, jax.random.key(9))
    assert jax.tree.all(jax.tree.map(jnp.array_equal, after.learner.params, state.learner.params))
    if name == "impala":  # PPO's judge looks at no probability of the past: it judges the round before
        assert jax.tree.all(jax.tree.map(jnp.array_equal, after.meta.meta_params, state.meta.meta_params))
    else:
        assert not bool(after.experience.own.last.ready), "an update is judged once"
    assert sum(int(count) for name, count in info.guards.items() if name.startswith("numeric")) > 0
    healed, _ = learn(after, batch, jax.random.key(10))
    assert _tree.finite(healed)


def test_observations_that_are_not_finite_do_not_reach_the_actions():
    agent = build("a2c", FORCES)
    state = agent.init(jax.random.key(0))
    seen = jnp.array([[jnp.nan, 1.0, jnp.inf]] * 4)
    choice = agent.act(agent.actor(state), agent.rest(4), seen, jnp.ones(4, bool), jax.random.key(1))
    assert jnp.isfinite(choice.action).all()


def test_tiny_observations_are_lifted_as_one_and_what_is_no_vector_of_numbers_is_left_alone():
    agent = build("a2c", FORCES)
    state = agent.init(jax.random.key(0))
    batch = rollout(agent, state, 5)
    tiny = {name: 1e-3 * getattr(batch, name) for name in ("observation", "next_observation")}
    actor = agent.actor(agent.learn(state, batch._replace(**tiny), jax.random.key(1))[0])
    seen, first = tiny["observation"][0], jnp.ones(4, bool)
    lifted = lift(actor.observation, seen)
    assert float(jnp.abs(lifted).max()) > 20 * float(jnp.abs(seen).max())
    action = agent.decide(actor, agent.rest(4), seen, first).action
    assert jnp.array_equal(action, agent.decide(actor._replace(observation=()), agent.rest(4), lifted, first).action)
    for space in (Box((4, 4, 1), "float32"), Box((4, 4), "uint8", 0, 255), Discrete(3)):
        assert senses(space, SMALL).observation == ()


def test_a_recurrent_policy_forgets_at_an_episodes_first_observation():
    agent = build("a2c", changes={"memory": 5})
    state = agent.init(jax.random.key(0))
    actor, seen = agent.actor(state), jnp.ones((2, 3))
    full = jnp.ones((2, 5))
    first = jnp.array([True, False])
    after = agent.decide(actor, full, seen, first).carry
    empty = agent.decide(actor, agent.rest(2), seen, first).carry
    assert jnp.array_equal(after[0], empty[0])
    assert not jnp.array_equal(after[1], empty[1])


def test_the_critics_rate_begins_at_the_policys():
    agent = build("a2c", init={"learning_rate": 1e-5})
    assert float(agent.spec["critic_learning_rate"].value) == pytest.approx(1e-5)


def test_act_draws_from_the_policy_and_decide_does_not():
    agent = a2c(SEEN, Discrete(5), settings=SMALL)
    state = agent.init(jax.random.key(0))
    seen, first = jnp.zeros((1000, 3)), jnp.ones(1000, bool)
    action = agent.act(agent.actor(state), (), seen, first, jax.random.key(1)).action
    counts = jnp.bincount(action, length=5)
    assert (counts > 130).all(), "the first policy is near uniform: 200 of 1000 each, standard deviation 13"
    assert len(set(agent.decide(agent.actor(state), (), seen, first).action.tolist())) == 1


@pytest.mark.parametrize("end", ["lowest", "highest"])
def test_no_single_initial_value_at_its_bound_makes_a_nan(end):
    """One compiled program for all names: the initial values are its arguments."""
    names = [*COMMON]
    defaults = {name: VOCABULARY[name].value for name in names}
    starts = [{**defaults, name: getattr(VOCABULARY[name], end)} for name in names]
    example = build("a2c", tune=names)
    begun = jax.jit(example.init)(jax.random.key(0))
    batches = jax.tree.map(lambda *leaves: jnp.stack(leaves), *(rollout(example, begun, update) for update in range(4)))

    @jax.jit
    def run(init):
        agent = build("a2c", tune=names, init=init)

        def update(state, seen):
            state, info = agent.learn(state, *seen)
            return state, sum(count for name, count in info.guards.items() if name.startswith("numeric"))

        state, fired = jax.lax.scan(
            update, agent.init(jax.random.key(0)), (batches, jax.random.split(jax.random.key(0), 4))
        )
        return _tree.finite(state), fired.sum()

    stacked = {name: jnp.array([start[name] for start in starts]) for name in names}
    finite, fired = jax.lax.map(run, stacked)
    assert dict(zip(names, finite.tolist(), strict=True)) == dict.fromkeys(names, True)
    assert dict(zip(names, fired.tolist(), strict=True)) == dict.fromkeys(names, 0)


def test_the_judges_divergence_term_speaks_for_a_smaller_rate():
    """It is zero before the second update, and grows with the square of the step that the rate scales."""
    grads = []
    for cost in (0.0, 1e3):
        agent = build(
            "a2c", tune=["learning_rate"], init={"learning_rate": 1e-2}, changes={"outer_divergence_cost": cost}
        )
        _, _, info = learned(agent, 2)
        grads.append(float(info.meta_grad["learning_rate"]))
    assert grads[1] > max(grads[0], 0.0)


@pytest.mark.parametrize("size", [4, 400])
def test_short_gradients_of_the_policy_make_short_steps_at_any_width_and_the_critics_do_not(size):
    """The first Adam step of an even gradient g is rate g / (g + floor / sqrt(size)): a norm of a third of the floor
    makes a quarter of a full step, and three times the floor three quarters."""
    eta = {
        **{name: VOCABULARY[name].value for name in COMMON},
        "learning_rate": 1.0,
        "critic_learning_rate": 1.0,
        "adam_eps": 1e-12,
        "gradient_floor": 0.03,
    }
    rule = actor_critic_rule(clipped_adam, size)(eta)
    params = dict.fromkeys(("policy", "critic", "outer_critic"), jnp.zeros(size))
    for norm, share in ((0.01, 0.25), (0.09, 0.75)):
        even = jax.tree.map(lambda leaf, norm=norm: jnp.full_like(leaf, norm / size**0.5), params)
        step, _ = rule.update(even, rule.init(params), params)
        assert step["policy"].tolist() == pytest.approx([-share] * size, rel=1e-4)
        assert step["critic"].tolist() == pytest.approx([-1.0] * size, rel=1e-4)


def test_vectors_of_whole_numbers_reach_the_losses_as_they_were_measured():
    parts = body(Box((3,), "int32"), CHOICES, replace(SMALL, normalise_observations=True))
    whole = jax.random.randint(jax.random.key(0), (8, 4, 3), 900, 1100)
    reward, flag = jnp.zeros((8, 4)), jnp.zeros((8, 4), bool)
    batch = Transitions(whole, flag.astype(int), reward, flag, flag, whole, {"log_probability": reward})
    known = parts.senses()._replace(observation=include(statistics((3,)), whole))
    _, seen = parts.prepare(known, Actor((), known.observation, ()), batch)
    assert jnp.allclose(seen.observation.std((0, 1)), 1.0, atol=1e-3)


def test_no_guard_of_ppo_fires_before_there_is_anything_to_judge():
    agent = build("ppo", tune=None, init={"learning_rate": 1e-5})
    state = jax.jit(agent.init)(jax.random.key(0))
    for update, fired in enumerate((0, 1)):
        state, info = jax.jit(agent.learn)(state, rollout(agent, state, update), jax.random.key(update))
        assert int(info.guards["within_reach/learning_rate"]) == fired


def test_what_does_not_fit_is_refused():
    with pytest.raises(SettingError, match="divide"):
        build("ppo", changes={"minibatches": 3})
    with pytest.raises(SettingError, match="see_horizons"):
        a2c(Box((4, 4)), CHOICES, settings=replace(SMALL, see_horizons=True))
    with pytest.raises(SettingError, match="see_horizons tells the networks the discount before"):
        a2c(SEEN, CHOICES, settings=replace(SMALL, see_horizons=True, contextual=("discount",)))
    with pytest.raises(SettingError, match="not tuned"):
        build("a2c", tune=["learning_rate"], changes={"contextual": ("discount",)})
    with pytest.raises(SettingError, match="not tuned"):
        build("ppo", tune=[], changes={"contextual": ("discount",)})
    with pytest.raises(UnsupportedSpaceError, match="one axis"):
        a2c(SEEN, Box((2, 2)), settings=SMALL)


@pytest.mark.parametrize("name", AGENTS)
def test_where_episodes_begin_anew_nothing_has_been_earned_in_them(name):
    agent = build(name, changes={"scale_rewards": True})
    _, state, _ = learned(agent, 2)
    earned = [state.experience.so_far, state.experience.own.senses.reward.returns]
    assert all((each != 0.0).any() for each in earned)
    after = jax.jit(agent.cut)(state)
    assert all((each == 0.0).all() for each in (after.experience.so_far, after.experience.own.senses.reward.returns))
    senses = state.experience.own.senses
    reward = senses.reward._replace(returns=jnp.zeros_like(senses.reward.returns))
    own = state.experience.own._replace(senses=senses._replace(reward=reward))
    before = state.experience
    watched = before._replace(own=own, so_far=jnp.zeros_like(before.so_far), unknown=jnp.ones_like(before.unknown))
    expected = state._replace(experience=watched)
    assert all(map(jnp.array_equal, jax.tree.leaves(after), jax.tree.leaves(expected))), "and nothing else"
