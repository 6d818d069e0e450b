import jax
import jax.numpy as jnp
import pytest

from selftune import _tree
from selftune.agents import VOCABULARY, A2CSettings, a2c
from selftune.types import Transitions

SMALL = A2CSettings(num_envs=4, rollout_length=8, hidden=(16,))


def batch(seed):
    """Random transitions [8, 4] of a world with 3 numbers to see and 2 actions; some episodes end, in both ways."""
    keys = jax.random.split(jax.random.key(seed), 6)
    shape = (8, 4)
    return Transitions(
        jax.random.normal(keys[0], (*shape, 3)),
        jax.random.randint(keys[1], shape, 0, 2),
        jax.random.normal(keys[2], shape),
        jax.random.bernoulli(keys[3], 0.1, shape),
        jax.random.bernoulli(keys[4], 0.1, shape),
        jax.random.normal(keys[5], (*shape, 3)),
    )


def learn(agent, updates, seed=0):
    step, state, info = jax.jit(agent.learn), jax.jit(agent.init)(jax.random.key(seed)), None
    for update in range(updates):
        state, info = step(state, batch(update), jax.random.key(update))
    return step, state, info


def test_nothing_recompiles_after_the_first_update_and_types_are_stable():
    agent = a2c((3,), 2, settings=SMALL)
    step, state, info = learn(agent, 4)
    assert step._cache_size() == 1
    assert _tree.finite(state)
    assert info.eta.keys() == VOCABULARY.keys()


def test_the_recipe_moves_every_metaparameter_it_names():
    agent = a2c((3,), 2, settings=SMALL)
    _, _, info = learn(agent, 3)
    assert set(info.meta_grad) == {"learning_rate", "critic_learning_rate", "discount", "trace_decay", "entropy_cost"}
    for name, grad in info.meta_grad.items():
        assert float(grad) != 0.0, name
        assert float(info.eta[name]) != pytest.approx(VOCABULARY[name].value, rel=1e-6), name


def test_every_metaparameter_of_the_vocabulary_is_reached_but_the_inner_critics_weight():
    """The outer loss looks at the policy and the outer critic, not at the inner one: `value_cost` moves only that."""
    agent = a2c((3,), 2, tune=list(VOCABULARY), settings=SMALL, init={"max_grad_norm": 0.01})
    _, _, info = learn(agent, 3)
    zero = {name for name, grad in info.meta_grad.items() if float(grad) == 0.0}
    assert zero == {"value_cost"}


def test_a_fixed_agent_learns_and_keeps_its_settings():
    agent = a2c((3,), 2, tune=[], init={"discount": 0.8}, settings=SMALL)
    _, state, info = learn(agent, 3)
    start = agent.init(jax.random.key(0))
    assert info.meta_grad == {}
    assert float(info.eta["discount"]) == pytest.approx(0.8)
    assert not jnp.array_equal(state.learner.params["policy"][0].weight, start.learner.params["policy"][0].weight)


def test_the_critics_rate_begins_at_the_policys():
    agent = a2c((3,), 2, init={"learning_rate": 1e-5}, settings=SMALL)
    assert float(agent.spec["critic_learning_rate"].value) == pytest.approx(1e-5)


@pytest.mark.parametrize("end", ["lowest", "highest"])
def test_no_single_initial_value_at_its_bound_makes_a_nan(end):
    """One compiled program for all names: the initial values are its arguments."""
    defaults = {name: entry.value for name, entry in VOCABULARY.items()}
    names = list(VOCABULARY)
    starts = [{**defaults, name: getattr(VOCABULARY[name], end)} for name in names]

    @jax.jit
    def run(init):
        agent = a2c((3,), 2, tune=names, init=init, settings=SMALL)
        state, fired = agent.init(jax.random.key(0)), jnp.zeros((), jnp.int32)
        for update in range(4):
            state, info = agent.learn(state, batch(update), jax.random.key(update))
            fired += sum(count for name, count in info.guards.items() if name.startswith("numeric"))
        return _tree.finite(state), fired

    stacked = {name: jnp.array([start[name] for start in starts]) for name in names}
    finite, fired = jax.lax.map(run, stacked)
    assert dict(zip(names, finite.tolist(), strict=True)) == dict.fromkeys(names, True)
    assert dict(zip(names, fired.tolist(), strict=True)) == dict.fromkeys(names, 0)


def test_act_draws_from_the_policy():
    agent = a2c((3,), 5, settings=SMALL)
    state = agent.init(jax.random.key(0))
    action = agent.act(state.learner.params, jnp.zeros((1000, 3)), jax.random.key(1))
    assert action.shape == (1000,)
    counts = jnp.bincount(action, length=5)
    assert (counts > 130).all(), "the first policy is near uniform: 200 of 1000 each, standard deviation 13"


def test_the_judges_divergence_term_speaks_for_a_smaller_rate():
    """It is zero before the second update, and grows with the square of the step that the rate scales."""
    grads = []
    for cost in (0.0, 1e3):
        settings = A2CSettings(num_envs=4, rollout_length=8, hidden=(16,), outer_divergence_cost=cost)
        agent = a2c((3,), 2, tune=["learning_rate"], init={"learning_rate": 1e-2}, settings=settings)
        _, _, info = learn(agent, 2)
        grads.append(float(info.meta_grad["learning_rate"]))
    assert grads[1] > max(grads[0], 0.0)
