import jax
import jax.numpy as jnp
import pytest

from selftune import _tree
from selftune.agents.dqn import DQNSettings, dqn
from selftune.agents.q_learner import NAMES
from selftune.agents.vocabulary import VOCABULARY
from selftune.errors import NotDifferentiableError, SettingError, UnsupportedSpaceError
from selftune.metaparams import tuned
from selftune.spaces import Box, Discrete
from selftune.types import Transitions

SMALL = DQNSettings(
    num_envs=4, rollout_length=8, updates=3, hidden=(16,), batch_size=8, replay_capacity=256, warm_up=32
)
SPACES = Box((3,)), Discrete(2)
FIRST = jnp.zeros(4, bool)


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


def test_learning_waits_for_the_warm_up_then_every_metaparameter_is_reached_and_nothing_recompiles():
    """A rollout is 32 steps: beside the one that judges, a stretch of 3 needs another one."""
    agent = dqn(*SPACES, tune=NAMES, init={"max_grad_norm": 0.01}, settings=SMALL)
    start = jax.jit(agent.init)(jax.random.key(0))
    step, waiting, info = learn(agent, 1)
    assert jax.tree.all(jax.tree.map(jnp.array_equal, waiting.learner.params, start.learner.params))
    assert float(info.eta["epsilon"]) == pytest.approx(0.1)
    assert (int(waiting.experience.size), int(waiting.meta.updates)) == (8, 0)
    state = waiting
    for update in range(1, 4):
        state, info = step(state, batch(update), jax.random.key(update))
    assert step._cache_size() == 1
    assert _tree.finite((state.learner, state.meta))
    assert int(state.meta.updates) == 3
    assert [name for name in NAMES if float(info.meta_grad[name]) == 0.0] == []
    assert [name for name in NAMES if info.eta[name] == start.meta.meta_params[name]] == []


def test_the_recipe():
    assert set(tuned(dqn(*SPACES).spec)) == {"learning_rate", "epsilon", "target_mix", "discount"}


def test_it_finds_the_action_that_pays_and_values_it_right():
    """Every step terminates: the values are 0 and 1."""
    settings = DQNSettings(4, 8, 8, hidden=(16,), batch_size=16, replay_capacity=256, warm_up=32)
    agent = dqn(*SPACES, tune=[], init={"learning_rate": 1e-2}, settings=settings)
    _, state, info = learn(agent, 40, ends=1.0)
    actor, seen = agent.actor(state), jax.random.normal(jax.random.key(9), (4, 3))
    assert agent.decide(actor, (), seen, FIRST).action.tolist() == [1, 1, 1, 1]
    assert float(info.steps.aux["value"][-1]) == pytest.approx(0.5, abs=0.25), "half the actions drawn pay"


def test_it_acts_at_random_as_often_as_epsilon_says():
    agent = dqn(*SPACES, init={"epsilon": 0.4}, settings=SMALL)
    actor = agent.actor(jax.jit(agent.init)(jax.random.key(0)))
    seen, many = jnp.ones((4000, 3)), jnp.zeros(4000, bool)
    greedy = agent.decide(actor, (), seen, many).action
    other = (agent.act(actor, (), seen, many, jax.random.key(1)).action != greedy).mean()
    assert float(other) == pytest.approx(0.2, abs=0.025), "half of the random actions are the greedy one"


def test_two_streams_and_one_hot_observations():
    settings = DQNSettings(4, 8, 2, hidden=(8, 8), dueling=True, batch_size=4, replay_capacity=64, warm_up=0)
    agent = dqn(Discrete(3), Discrete(2), settings=settings)
    state = jax.eval_shape(agent.init, jax.random.key(0))
    learned, _ = jax.eval_shape(agent.learn, state, batch(0), jax.random.key(0))
    assert learned.learner.params.advantage[-1].bias.shape == (2,)


def test_no_initial_value_at_its_bound_makes_a_nan():
    """One compiled program for all names: the initial values are its arguments."""
    defaults = {name: VOCABULARY[name].value for name in NAMES}
    cases = [(name, end) for name in NAMES for end in ("lowest", "highest")]
    starts = [{**defaults, name: getattr(VOCABULARY[name], end)} for name, end in cases]
    batches = jax.tree.map(lambda *leaves: jnp.stack(leaves), *(batch(seed) for seed in range(4)))

    @jax.jit
    def run(init):
        agent = dqn(*SPACES, tune=NAMES, init=init, settings=SMALL)

        def step(state, data):
            state, info = agent.learn(state, *data)
            return state, sum(count for name, count in info.guards.items() if name.startswith("numeric"))

        keys = jax.random.split(jax.random.key(1), 4)
        state, fired = jax.lax.scan(step, agent.init(jax.random.key(0)), (batches, keys))
        return _tree.finite((state.learner, state.meta)) & (fired.sum() == 0)

    healthy = jax.lax.map(run, {name: jnp.array([start[name] for start in starts]) for name in NAMES})
    assert [case for case, well in zip(cases, healthy.tolist(), strict=True) if not well] == []


def test_what_it_cannot_do_is_refused():
    with pytest.raises(UnsupportedSpaceError, match="'sac'"):
        dqn(Box((3,)), Box((2,)))
    with pytest.raises(SettingError, match="replay_capacity=16"):
        dqn(*SPACES, settings=DQNSettings(replay_capacity=16))
    with pytest.raises(SettingError, match="unroll=2"):
        dqn(*SPACES, settings=DQNSettings(updates=1))
    with pytest.raises(NotDifferentiableError):
        dqn(*SPACES, tune=["batch_size"])
