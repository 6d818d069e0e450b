import jax
import jax.numpy as jnp
import pytest

from selftune import _tree
from selftune.agents.q_lambda import QLambdaSettings, q_lambda
from selftune.agents.q_learner import NAMES
from selftune.errors import UnsupportedSpaceError
from selftune.spaces import Box, Discrete
from selftune.types import Transitions

SMALL = QLambdaSettings(num_envs=4, rollout_length=8, hidden=(16,))
SPACES = Box((3,)), Discrete(2)


def batch(seed, ends=0.1):
    """Random transitions [8, 4] of a world with 3 numbers to see, where action 1 pays 1."""
    keys = jax.random.split(jax.random.key(seed), 5)
    shape = (8, 4)
    action = jax.random.randint(keys[1], shape, 0, 2)
    return Transitions(
        jax.random.normal(keys[0], (*shape, 3)),
        action,
        action.astype(jnp.float32),
        jax.random.bernoulli(keys[2], ends, shape),
        jax.random.bernoulli(keys[3], 0.1, shape),
        jax.random.normal(keys[4], (*shape, 3)),
    )


def learn(agent, updates, **kind):
    step, state, info = jax.jit(agent.learn), jax.jit(agent.init)(jax.random.key(0)), None
    for update in range(updates):
        state, info = step(state, batch(update, **kind), jax.random.key(update))
    return step, state, info


def test_nothing_recompiles_and_all_but_the_target_network_is_reached():
    """One update is judged: how fast the target network follows shows only in the next."""
    agent = q_lambda(*SPACES, tune=NAMES, init={"max_grad_norm": 0.01}, settings=SMALL)
    step, state, info = learn(agent, 4)
    assert step._cache_size() == 1
    assert _tree.finite(state)
    assert {name for name, grad in info.meta_grad.items() if float(grad) == 0.0} == {"target_mix"}
    assert float(agent.actor(state).epsilon) == pytest.approx(float(info.eta["epsilon"]))


def test_it_finds_the_action_that_pays_and_values_it_right():
    """Every step terminates: the values are 0 and 1."""
    agent = q_lambda(*SPACES, tune=[], init={"learning_rate": 1e-2}, settings=SMALL)
    _, state, info = learn(agent, 200, ends=1.0)
    actor, seen = agent.actor(state), jax.random.normal(jax.random.key(9), (4, 3))
    assert agent.decide(actor, (), seen, jnp.zeros(4, bool)).action.tolist() == [1, 1, 1, 1]
    assert float(info.steps.loss[-1]) < 0.02


def test_continuous_actions_are_refused():
    with pytest.raises(UnsupportedSpaceError, match="q_lambda got the action space"):
        q_lambda(Box((3,)), Box((2,)))


def test_what_is_no_number_costs_no_rollout():
    agent = q_lambda(*SPACES, settings=SMALL)
    step, state, _ = learn(agent, 2)
    whole = batch(5)
    broken = whole._replace(
        reward=whole.reward.at[1, 0].set(jnp.nan), observation=whole.observation.at[1, 2, 0].set(jnp.inf)
    )
    none = whole._replace(reward=whole.reward.at[1, 0].set(0.0), observation=whole.observation.at[1, 2, 0].set(0.0))
    (after, info), (expected, _) = (step(state, each, jax.random.key(9)) for each in (broken, none))
    assert int(info.guards["numeric/experience"]) == 1
    assert all(map(jnp.array_equal, jax.tree.leaves(after), jax.tree.leaves(expected)))
    assert not jax.tree.all(jax.tree.map(jnp.array_equal, after.learner.params, state.learner.params))
