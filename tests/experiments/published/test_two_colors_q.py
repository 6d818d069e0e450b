import jax
import jax.numpy as jnp
import numpy as np
import pytest

import selftune as st
from selftune import metaparams
from selftune.experiments.published.two_colors_q import Q_DEFAULTS, QSettings, peng_step, q_agent, q_lines
from selftune.experiments.published.two_colors_stream import Stream

TINY = QSettings(Stream(flip_every=40), hidden=(16,), target_steps=8, history=4)
NUMBERS = {"epsilon": 0.1, "learning_rate": 1e-2, "meta_learning_rate": 1e-2}


def test_a_window_moves_the_exploration_of_every_context():
    made = q_agent(st.MetaParam(0.5, st.unit, st.contextual(4, (8,))), TINY, NUMBERS)
    life = jax.jit(made.init)(jax.random.key(0))
    after, told = jax.jit(made.window)(life)
    assert told.epsilon == pytest.approx(0.5)
    assert after.place.world.time == 8
    moved = jax.tree.map(jnp.subtract, after.meta_params, life.meta_params)["epsilon"]["output"]
    assert float(jnp.abs(moved["bias"])) > 1e-4
    assert all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(after.meta_params))


def test_exploration_falls_where_the_target_agrees_and_rises_where_it_does_not():
    made = q_agent(st.MetaParam(0.5, st.unit), TINY, NUMBERS)
    life = made.init(jax.random.key(0))
    observations = jnp.eye(30)[:5]
    contexts = jnp.zeros((5, 4))
    slope = jax.grad(made.divergence)
    sharp = jax.tree.map(lambda leaf: 20.0 * leaf, life.q)
    opposite = (*sharp[:-1], jax.tree.map(jnp.negative, sharp[-1]))
    assert slope(life.meta_params, sharp, sharp, observations, contexts)["epsilon"] > 0
    assert slope(life.meta_params, opposite, sharp, observations, contexts)["epsilon"] < 0


@pytest.mark.parametrize("line", [line for line in q_lines() if line.epsilon is not None], ids=lambda line: line.name)
def test_there_is_a_way_back_from_no_exploration(line):
    made = q_agent(line.epsilon, Q_DEFAULTS._replace(hidden=(16,)), NUMBERS)
    life = made.init(jax.random.key(0))
    low = metaparams.placed({"epsilon": line.epsilon}, life.meta_params, {"epsilon": 2e-3})
    lower = jax.tree.map(lambda leaf: leaf - 10.0 * (leaf < -5.0), low)
    sharp = jax.tree.map(lambda leaf: 20.0 * leaf, life.q)
    opposite = (*sharp[:-1], jax.tree.map(jnp.negative, sharp[-1]))
    slope = jax.grad(made.divergence)(lower, opposite, sharp, jnp.eye(30)[:5], jnp.zeros((5, Q_DEFAULTS.history)))
    assert max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(slope)) > 1e-3


def test_peng_online_gives_the_offline_returns_to_a_table():
    # States 0, 1, 2 in a row with one action each, reward 1, then a fourth of value 0: with frozen values the
    # changes of a whole pass sum to G - q with G = r + g * ((1 - l) * max q + l * G').
    values, discount, decay = np.array([0.5, -0.2, 0.3, 0.0]), 0.9, 0.8
    trace, total = jnp.zeros(4), jnp.zeros(4)
    for now in range(3):
        error = 1.0 + discount * values[now + 1] - values[now]
        descent, trace = peng_step(jnp.eye(4)[now], trace, jnp.float32(error), jnp.float32(error), discount * decay)
        total = total - descent
    returns, expected = values[3], []
    for now in (2, 1, 0):
        mixed = returns if now == 2 else (1 - decay) * values[now + 1] + decay * returns
        returns = 1.0 + discount * mixed
        expected.insert(0, returns - values[now])
    np.testing.assert_allclose(total[:3], expected, rtol=1e-6)


def test_what_was_not_taken_greedily_changes_the_action_alone():
    descent, trace = peng_step(jnp.array([0.0, 1.0]), jnp.array([2.0, 0.0]), jnp.float32(3.0), jnp.float32(5.0), 0.5)
    np.testing.assert_allclose(descent, [-5.0, -3.0])  # 5 * 0.5 * 2 for the past, 3 * 1 for the present
    np.testing.assert_allclose(trace, [1.0, 1.0])


def test_the_table():
    assert [(line.name, line.published[0]) for line in q_lines()] == [
        ("Q", 0.58),
        ("Q-BMG", 1.78),
        ("Q-BMG-context", 1.93),
    ]
