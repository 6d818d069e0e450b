"""Every tuner moves what it should, and nothing else."""

import math
from dataclasses import replace

import jax
import jax.numpy as jnp
import optax
import pytest

from selftune import _tree
from selftune.agents import TUNERS, ActorCriticSettings, PPOSettings, Recipe, a2c, impala, ppo, q_lambda, recipe_for
from selftune.agents.alarms import Alarm
from selftune.agents.catalogue import AGENTS
from selftune.agents.recipe import by_sgd, clipped_sgd
from selftune.agents.restarting import rescued, restart_on
from selftune.agents.synchronous import updates_in_one
from selftune.agents.tuners import OWN
from selftune.errors import ConstraintError, SettingError, UnknownMetaParamError
from selftune.guards import numeric, range as within, trust_region
from selftune.metaparams import tuned, values
from selftune.optim import adam, clip_by_global_norm

from .setting import CHOICES, FORCES, SEEN, learned, rollout

ALWAYS = Alarm(tuple, lambda past, level, share: (past, jnp.asarray(True)))
SMALL = ActorCriticSettings(num_envs=4, rollout_length=8, hidden=(16,))
SMALL_PPO = PPOSettings(num_envs=4, rollout_length=8, hidden=(16,), epochs=2, minibatches=2)


def build(tuner, **options):
    return a2c(SEEN, CHOICES, **{"recipe": recipe_for(tuner, "a2c"), "settings": SMALL} | options)


def test_the_meta_gradient_is_each_agents_own_recipe():
    assert set(OWN) == set(AGENTS)
    for name, recipe in OWN.items():
        assert recipe_for("meta_gradient", name) is recipe


def test_the_default_composition_is_spelled_out_the_same_to_the_last_bit():
    def guards(recipe, case):
        assert case.distance is not None
        trust = trust_region(case.distance, 0.003, case.part, rates=["learning_rate"])
        return [trust, within(case.bounds, 0.03, case.priors), numeric()]

    def descend(rate, eta):
        rule = adam(rate, eta["adam_b1"], eta["adam_b2"], eta["adam_eps"])
        return optax.flatten(optax.chain(clip_by_global_norm(eta["max_grad_norm"]), rule))

    home = {"learning_rate": 3e-3, "critic_learning_rate": 3e-3, "gradient_floor": 0.02}
    start = {"learning_rate": 1.2e-2, "critic_learning_rate": 1.2e-2}
    five = ("learning_rate", "critic_learning_rate", "discount", "trace_decay", "entropy_cost")
    held = {name: name in ("discount", "trace_decay") for name in five}
    spelled = Recipe(
        home=home,
        start=start,
        optimizer=lambda *_: optax.chain(optax.adam(0.02, eps=1e-15), optax.masked(optax.set_to_zero(), held)),
        guards=guards,
        descend=descend,
        around=rescued,
    )
    told = [learned(a2c(SEEN, CHOICES, settings=SMALL, **chosen), 3)[1:] for chosen in ({}, {"recipe": spelled})]
    assert jax.tree.all(jax.tree.map(jnp.array_equal, *told))


def test_by_sgd_takes_longer_steps_by_hand_and_the_weight_of_the_value_loss_goes_home():
    """A gradient (3, 4) clipped at .5 is (.3, .4); 300 * 1e-3 of it is (.09, .12). A leak of .03 from 4 to .5."""
    rule = clipped_sgd(1e-3, {"max_grad_norm": jnp.float32(0.5)})
    step, _ = rule.update({"w": jnp.array([3.0, 4.0])}, rule.init({"w": jnp.zeros(2)}))
    assert step["w"].tolist() == pytest.approx([-0.09, -0.12], rel=1e-6)
    still = replace(by_sgd(OWN["a2c"]), optimizer=lambda *_: optax.set_to_zero())
    _, _, info = learned(a2c(SEEN, CHOICES, settings=SMALL, recipe=still, init={"value_cost": 4.0}), 1)
    assert float(info.eta["value_cost"]) == pytest.approx(4.0 * (0.5 / 4.0) ** 0.03, rel=1e-4)
    assert still.descend is clipped_sgd
    assert by_sgd(still).tune == still.tune == (*OWN["a2c"].tune, "value_cost")
    fixed = build("fixed", recipe=by_sgd(recipe_for("fixed", "a2c")))
    assert not tuned(fixed.spec), "an agent that tunes nothing goes on tuning nothing"


def test_what_a_recipe_tunes_begins_at_its_start_and_leaks_home_and_rivals_begin_at_the_literatures():
    """Leak of one half, no other step: what began at x goes to the geometric mean of x and 3e-3."""
    rates, floor, start = {"learning_rate": 3e-3}, {"gradient_floor": 0.02}, {"learning_rate": 1.2e-2}
    home = rates | floor
    own = replace(
        OWN["a2c"], home=rates, home_of_choices=floor, start=start, leak=0.5, optimizer=lambda *_: optax.set_to_zero()
    )
    begun = values(a2c(SEEN, CHOICES, settings=SMALL, recipe=own).spec)
    assert {name: begun[name] for name in home} == home | start
    for init, first in (({}, 1.2e-2), ({"learning_rate": 1e-4}, 1e-4)):
        _, _, info = learned(a2c(SEEN, CHOICES, settings=SMALL, recipe=own, init=init), 1)
        assert float(info.eta["learning_rate"]) == pytest.approx((first * 3e-3) ** 0.5, rel=1e-4)
    for tuner in ("fixed", "held", "annealed", "kl_adaptive", "hoof", "prodigy", "reset_on_change"):
        told = values(a2c(SEEN, CHOICES, settings=SMALL, recipe=TUNERS[tuner].of(own)).spec)
        assert {name: told[name] for name in home} == {"learning_rate": 7e-4, "gradient_floor": 1e-6}


def test_what_is_homing_only_its_leak_moves_unless_the_user_names_it():
    recipe = replace(OWN["a2c"], homing=("discount",), leak=0.0, reach=math.inf)

    def discount(own=recipe, settings=SMALL):
        begun = a2c(SEEN, CHOICES, recipe=own, settings=settings, init={"discount": 0.9})
        return float(learned(begun, 3)[2].eta["discount"])

    assert discount() == pytest.approx(0.9, abs=1e-6)
    assert 0.91 < discount(replace(recipe, leak=0.5)) < 0.99, "the leak leads it to .99"
    assert abs(discount(settings=replace(SMALL, contextual=("discount",))) - 0.9) > 1e-4
    assert abs(discount(recipe.for_agent(CHOICES, ["learning_rate", "discount"])) - 0.9) > 1e-4
    assert recipe.for_agent(CHOICES, list(recipe.tune)).homing == ("discount",), "as a run's config.json names them"


def test_what_a_draw_put_beyond_its_reach_comes_back_to_it():
    """A far leak of one half, no other step. Three rounds are two judged ones: the excess over the reach is quartered.

    The entropy cost begins at home times exp(3), two beyond a reach of 1: exp(1 + 2 / 4). The rate begins at its start
    times exp(3), two beyond as well.
    """
    still = replace(OWN["ppo"], leak=0.0, far_leak=0.5, optimizer=lambda *_: optax.set_to_zero(), policy_bound=1e6)
    assert (still.reach, still.start["learning_rate"]) == (1.0, 3e-3)
    far = {"learning_rate": 3e-3 * math.exp(3.0), "entropy_cost": 3e-3 * math.exp(3.0), "trace_decay": 0.94}
    names = [*still.tune, "kl_cost"]

    def after(recipe, init, tune=None, settings=SMALL_PPO):
        _, _, info = learned(ppo(SEEN, CHOICES, settings=settings, recipe=recipe, init=init, tune=tune), 3)
        return {name: float(info.eta[name]) for name in init}, info.guards

    came = {"learning_rate": 3e-3 * math.exp(1.5), "entropy_cost": 3e-3 * math.exp(1.5), "trace_decay": 0.94}
    values, guards = after(still, far)
    assert values == pytest.approx(came, rel=1e-4)
    assert guards["within_reach/learning_rate"] == 1
    named = {"kl_cost": 1.0, "learning_rate": 0.05}
    values, guards = after(still, named, tune=["kl_cost"])
    assert values["kl_cost"] == pytest.approx(1.0, rel=1e-4), "what the recipe does not tune has no home that was found"
    assert not [name for name in guards if name.startswith("within_reach/")]
    contextual = replace(SMALL_PPO, contextual=("entropy_cost",))
    values, _ = after(still, far, tune=names, settings=contextual)
    assert values["entropy_cost"] == pytest.approx(far["entropy_cost"], rel=1e-4), "a function of the context may go"
    assert still.scaled(2.0).far_leak == 0.75
    with pytest.raises(SettingError, match="within_reach"):
        ppo(SEEN, CHOICES, settings=SMALL_PPO, recipe=replace(still, reach=math.nan))


def test_an_agent_from_its_recipes_start_is_within_reach():
    """Its metaparameters move as they would without the guard, to the last bit."""
    recipes = OWN["ppo"], replace(OWN["ppo"], reach=math.inf)
    told = [learned(ppo(SEEN, CHOICES, settings=SMALL_PPO, recipe=recipe), 4)[2] for recipe in recipes]
    assert jax.tree.all(jax.tree.map(jnp.array_equal, told[0].eta, told[1].eta))
    assert not any(int(fired) for name, fired in told[0].guards.items() if name.startswith("within_reach/"))


@pytest.mark.parametrize("agent", [a2c, impala])
def test_an_update_of_many_steps_goes_as_far_home_as_the_updates_it_stands_for(agent):
    """256 environments and rollouts of 8 steps: 2048, four times 512. A leak of one half, four times: 15/16 of it."""
    wide = ActorCriticSettings(num_envs=256, hidden=(4,))
    assert (wide.length, updates_in_one(wide)) == (8, 4.0)
    still = replace(OWN["a2c"], leak=0.5, start={}, optimizer=lambda *_: optax.set_to_zero())
    _, _, info = learned(agent(SEEN, CHOICES, settings=wide, recipe=still, init={"learning_rate": 3e-5}), 1)
    assert float(info.eta["learning_rate"]) == pytest.approx(3e-3 * (3e-5 / 3e-3) ** (1 / 16), rel=1e-3)
    assert OWN["a2c"].scaled(4.0).policy_bound == pytest.approx(0.012)
    assert OWN["a2c"].scaled(1.0) is OWN["a2c"]
    assert updates_in_one(SMALL) == updates_in_one(ActorCriticSettings()) == 1.0
    assert updates_in_one(replace(wide, num_envs=4096)) == 4.0, "no more was measured"


@pytest.mark.parametrize("agent", sorted(set(OWN) - {"a2c"}))
def test_every_agent_begins_at_its_recipes_start_if_it_tunes(agent):
    make, _ = AGENTS[agent]
    actions = FORCES if agent == "sac" else CHOICES
    recipe = replace(OWN[agent], home={"learning_rate": 0.0045}, start={"learning_rate": 0.0123})
    for tune, rate in ((None, 0.0123), ([], 0.0045)):
        begun = values(make(SEEN, actions, tune=tune, recipe=recipe).spec)
        assert begun["learning_rate"] == pytest.approx(rate), "what stands still stands at home"
    assert make(SEEN, actions, recipe=recipe).home == {"learning_rate": 0.0045}
    assert make(SEEN, actions, recipe=recipe, init={"learning_rate": 1e-3}).home == {}


def test_an_agent_tells_the_home_of_what_begins_at_its_recipes_start():
    def home(**chosen):
        return a2c(SEEN, CHOICES, settings=SMALL, **chosen).home

    assert home() == {"learning_rate": 3e-3, "critic_learning_rate": 3e-3}
    assert home(init={"critic_learning_rate": 1e-3}) == {"learning_rate": 3e-3}
    assert home(init={"learning_rate": 1e-3}) == {}, "the critic's rate begins with it"
    assert home(tune=["discount"]) == {}


def test_a_start_that_makes_no_sense_is_refused():
    for wrong, error in (({"lerning_rate": 1e-3}, UnknownMetaParamError), ({"discount": 1.5}, ConstraintError)):
        with pytest.raises(error, match=next(iter(wrong))):
            a2c(SEEN, CHOICES, settings=SMALL, recipe=replace(OWN["a2c"], start=wrong))
        with pytest.raises(error, match=next(iter(wrong))):
            a2c(SEEN, CHOICES, settings=SMALL, recipe=replace(OWN["a2c"], home=wrong, start={"discount": 0.9}))
    recipe = replace(OWN["a2c"], start={"learning_rate": -5.0})
    with pytest.raises(ConstraintError, match="learning_rate = -5"):
        a2c(SEEN, CHOICES, settings=SMALL, recipe=recipe, init={"learning_rate": 1e-3})


def test_kl_adaptive_moves_both_rates_by_the_rule_and_draws_may_be_traced():
    """Tiny steps: both rates grow by 1.5 an update, 2 times: 2.25; nothing else is tuned."""

    @jax.jit
    def run(rate):
        agent = build("kl_adaptive", init={"learning_rate": rate})
        state = agent.init(jax.random.key(0))
        for update, batch in enumerate(batches):
            state, info = agent.learn(state, batch, jax.random.key(update))
        return info.eta, info.meta_grad

    example = build("kl_adaptive")
    state = jax.jit(example.init)(jax.random.key(0))
    batches = [rollout(example, state, update) for update in (0, 1)]
    eta, meta_grad = jax.vmap(run)(jnp.array([1e-5, 1e-4]))
    assert set(meta_grad) == {"learning_rate", "critic_learning_rate"}
    for name in meta_grad:
        assert eta[name].tolist() == pytest.approx([2.25e-5, 2.25e-4], rel=1e-4)
    assert eta["discount"].tolist() == pytest.approx([0.99, 0.99])


def test_kl_adaptive_sees_a_whole_round_of_ppo():
    rate = 3e-3
    recipe = recipe_for("kl_adaptive", "ppo")
    agent = ppo(SEEN, CHOICES, settings=SMALL_PPO, recipe=recipe, init={"learning_rate": rate})
    start = jax.jit(agent.init)(jax.random.key(0))
    _, state, info = learned(agent, 1)
    far = float(info.steps.distance[-1])
    factor = 1 / 1.5 if far > 0.02 else 1.5 if far < 0.005 else 1.0
    assert far > 0.0
    assert float(info.eta["learning_rate"]) == pytest.approx(rate * factor, rel=1e-4)
    counts = [leaf for leaf in jax.tree.leaves(state.learner.opt_state) if leaf.dtype == jnp.int32]
    assert {int(count) for count in counts} == {4}, "two epochs of two minibatches"
    assert jax.tree.structure(start) == jax.tree.structure(state)


def test_annealing_ends_with_the_lifetime():
    """Four updates of 32 steps: half of the rate is left after two."""
    agent = build("annealed", settings=replace(SMALL, lifetime=128), init={"learning_rate": 1e-2})
    _, _, info = learned(agent, 2)
    assert set(info.meta_grad) == {"learning_rate", "critic_learning_rate"}
    assert float(info.eta["learning_rate"]) == pytest.approx(5e-3, rel=1e-4)


def test_hoof_searches_what_the_policys_update_depends_on():
    agent = build("hoof")
    _, _, info = learned(agent, 2)
    assert set(info.meta_grad) == {"learning_rate", "discount", "trace_decay", "entropy_cost"}
    assert float(info.steps.distance[-1]) <= 0.01
    assert any(float(info.eta[name]) != pytest.approx(float(build("hoof").spec[name].value)) for name in info.meta_grad)
    assert float(info.eta["critic_learning_rate"]) == pytest.approx(7e-4)


def test_hoof_judges_rewards_on_the_scale_that_its_critics_know():
    """A world that pays a 64th, at a scale of 64, is the same world, to the last bit."""

    def judged(scale):
        agent = build("hoof", init={"reward_scale": scale}, settings=replace(SMALL, scale_rewards=False))
        state, learn = jax.jit(agent.init)(jax.random.key(0)), jax.jit(agent.learn)
        for update in (0, 1, 2):
            batch = rollout(agent, state, update)
            state, info = learn(state, batch._replace(reward=batch.reward / scale), jax.random.key(update))
        return {name: float(info.eta[name]) for name in info.meta_grad}, float(info.meta_loss)

    assert judged(64.0) == judged(1.0)


def test_another_rule_learns_and_tunes_nothing():
    agent = build("prodigy")
    start = jax.jit(agent.init)(jax.random.key(0))
    _, state, info = learned(agent, 2)
    assert info.meta_grad == {}
    assert _tree.finite(state)
    old, new = (jax.tree.leaves(s.learner.params["policy"])[0] for s in (start, state))
    assert not jnp.array_equal(old, new)


def test_held_settings_are_state_that_can_be_moved_from_outside_without_compiling_again():
    agent = build("held")
    start = jax.jit(agent.init)(jax.random.key(0))
    learn, state, info = learned(agent, 1)
    assert set(info.meta_grad) == set(OWN["a2c"].tune)
    assert jax.tree.all(jax.tree.map(jnp.array_equal, start.meta.meta_params, state.meta.meta_params))
    coordinates = state.meta.meta_params["learning_rate"]
    moved = state.meta.meta_params | {"learning_rate": jnp.full_like(coordinates, jnp.log(1e-2))}
    state = state._replace(meta=state.meta._replace(meta_params=moved))
    _, info = learn(state, rollout(agent, state, 1), jax.random.key(1))
    assert float(info.eta["learning_rate"]) == pytest.approx(1e-2)
    assert learn._cache_size() == 1


def test_a_detected_change_starts_everything_anew():
    recipe = replace(recipe_for("reset_on_change", "a2c"), around=restart_on(ALWAYS))
    agent = a2c(SEEN, CHOICES, settings=SMALL, recipe=recipe)
    _, state, info = learned(agent, 2)
    counts = {int(leaf) for leaf in jax.tree.leaves(state.learner.opt_state) if leaf.dtype == jnp.int32}
    assert counts == {0}
    assert int(info.guards["restart"]) == 1


def test_a_restart_keeps_what_was_learned_about_learning_and_nothing_else():
    """At a change in every update, networks are a beginner's each time; metaparameters move on as long as they live."""
    own = replace(OWN["a2c"], start={}, around=restart_on(ALWAYS))
    agent = a2c(SEEN, CHOICES, settings=SMALL, recipe=own, init={"learning_rate": 1e-5})
    _, state, info = learned(agent, 3)
    counts = {int(leaf) for leaf in jax.tree.leaves(state.learner.opt_state) if leaf.dtype == jnp.int32}
    assert counts == {0}
    assert int(state.meta.updates) == 3
    assert not bool(state.meta.estimator_state.ready), "no update waits for its judge"
    assert float(info.eta["learning_rate"]) == pytest.approx(1e-5 * 300 ** (1 - 0.97**3), rel=1e-3)


def test_a_beginner_has_the_start_of_its_recipe_whatever_the_agent_before_began_with():
    own = replace(OWN["a2c"], start={"learning_rate": 1.2e-2}, around=restart_on(ALWAYS))
    agent = a2c(SEEN, CHOICES, settings=SMALL, recipe=own, init={"learning_rate": 1e-5})
    _, state, info = learned(agent, 2)
    assert float(jnp.exp(state.meta.meta_params["learning_rate"])) == pytest.approx(1.2e-2, rel=1e-5)
    assert float(info.eta["learning_rate"]) == pytest.approx(1.2e-2, rel=1e-5), "what is told is in force"
    assert float(info.eta["critic_learning_rate"]) < 1e-4, "what has no start goes on"


def test_what_does_not_fit_is_refused_with_what_would():
    with pytest.raises(SettingError, match="kl_adaptive"):
        recipe_for("kl_adaptiv", "a2c")
    with pytest.raises(SettingError, match=r"suits the agents a2c, impala, ppo.*fixed"):
        recipe_for("hoof", "dqn")
    with pytest.raises(SettingError, match=r"discount.*can tune learning_rate, critic_learning_rate"):
        build("kl_adaptive", tune=["discount"])
    with pytest.raises(SettingError, match="tunes nothing"):
        build("fixed", tune=["discount"])
    with pytest.raises(SettingError, match="contextual"):
        build("held", settings=replace(SMALL, contextual=("discount",)))


def test_every_choice_can_be_built_for_every_agent_it_suits():
    for name, choice in TUNERS.items():
        assert choice.effect
        for agent in choice.agents:
            assert isinstance(recipe_for(name, agent), Recipe)
    agent = q_lambda(SEEN, CHOICES, recipe=recipe_for("fixed", "q_lambda"))
    assert agent.spec["learning_rate"] == 2e-3


@pytest.mark.parametrize("agent", sorted(OWN))
def test_some_homes_are_of_choices_alone(agent):
    recipe = replace(OWN[agent], home={}, home_of_choices={"learning_rate": 0.0045}, start={})
    choices, forces = agent != "sac", agent not in ("dqn", "q_lambda")
    for actions in [CHOICES] * choices + [FORCES] * forces:
        begun = values(AGENTS[agent][0](SEEN, actions, recipe=recipe).spec)
        assert (begun["learning_rate"] == pytest.approx(0.0045)) == (actions == CHOICES)


def test_no_floor_under_the_gradients_of_a_policy_over_forces():
    floors = [values(a2c(SEEN, actions, settings=SMALL).spec)["gradient_floor"] for actions in (CHOICES, FORCES)]
    assert floors == [0.02, 1e-6]


@pytest.mark.parametrize("make", [a2c, impala, ppo])
def test_an_agent_that_tunes_nothing_differentiates_nothing(make):
    state = make(SEEN, CHOICES, tune=[], settings=SMALL_PPO if make is ppo else SMALL).init(jax.random.key(0))
    assert state.meta.estimator_state == (), "no update waits for its judge"
    assert make is not ppo or state.experience.last == (), "nor to be taken again"


def test_ppo_counts_every_update_that_its_trust_region_shortens():
    agent = ppo(SEEN, CHOICES, settings=SMALL_PPO, recipe=replace(OWN["ppo"], policy_bound=1e-12))
    state = agent.init(jax.random.key(0))
    _, info = jax.jit(agent.learn)(state, rollout(agent, state, 0), jax.random.key(0))
    assert int(info.guards["trust_region"]) == 4, "two epochs of two minibatches"
