"""Predictors learn what they should, find which inputs matter, and do not break where the plain rule does."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from selftune.agents.prediction import RULES, td_lambda
from selftune.errors import ConstraintError, NotDifferentiableError, SettingError, UnknownMetaParamError
from selftune.estimators import truncated
from selftune.metaparams import MetaParam, one_minus, positive
from selftune.objectives.prediction import Moment, td_loss
from selftune.spaces import Box, Discrete
from selftune.tuning import tuner

STATES = 19
TRUE_VALUES = np.arange(1, STATES + 1) / 10.0 - 1.0  # -0.9 … 0.9


@pytest.fixture(scope="module")
def walk():
    """Sutton and Barto's walk of 19 states, from the middle, with reward -1 at the left end and 1 at the right."""
    rng, moments = np.random.default_rng(0), []
    one_hot = np.vstack([np.eye(STATES, dtype=np.float32), np.zeros(STATES, np.float32)])
    for _ in range(200):
        state, first = STATES // 2, True
        while 0 <= state < STATES:
            successor = state + rng.choice([-1, 1])
            ended = not 0 <= successor < STATES
            reward = float(np.sign(successor - STATES // 2)) if ended else 0.0
            moments.append((one_hot[state], reward, ended, first, one_hot[-1 if ended else successor]))
            state, first = successor, False
    return Moment(*(jnp.asarray(np.array(column)) for column in zip(*moments, strict=True)))


def _follow(predictor, stream):
    """The state after the stream, and what was said along the way."""
    state = predictor.init(predictor.eta, jax.random.key(0))
    return jax.lax.scan(partial(predictor.learn, predictor.eta), state, stream)


def _values(rule, walk, **init):
    predictor = td_lambda(Discrete(STATES), rule=rule, init={"discount": 1.0, "trace_decay": 0.8, **init})
    state, _ = jax.jit(partial(_follow, predictor))(walk)
    return predictor.predict(state, jnp.eye(STATES))


@pytest.mark.parametrize(
    ("rule", "init"),
    [
        ("sgd", {"learning_rate": 0.02}),
        ("true_online", {"learning_rate": 0.02}),
        ("tidbd", {"initial_step_size": 0.02}),
        ("autostep_tidbd", {"initial_step_size": 0.02}),
        ("swift", {"initial_step_size": 0.02}),
    ],
)
def test_the_values_of_a_random_walk(walk, rule, init):
    values = _values(rule, walk, **init)
    # The initial prediction, 0, is 0.55 away from the truth in the root mean square.
    assert np.sqrt(np.mean((values - TRUE_VALUES) ** 2)) < 0.12


RELEVANT, INPUTS, PERIOD, LENGTH = 5, 20, 50, 5_000
HORIZONS = {"discount": 0.3, "trace_decay": 0.5}


def _changing_stream(key):
    """Twenty inputs; the cumulant is a signed sum of the first five, one sign of which flips every fifty steps.

    Inputs to come are independent of the present ones and have mean 0, so that the value of an observation is the
    expected cumulant alone.
    """
    input_key, flip_key = jax.random.split(key)
    inputs = jax.random.normal(input_key, (LENGTH + 1, INPUTS))
    flips = jax.random.randint(flip_key, (LENGTH // PERIOD,), 0, RELEVANT)
    signs = jnp.cumprod(1.0 - 2.0 * jax.nn.one_hot(flips, RELEVANT), axis=0)
    values = (inputs[:-1, :RELEVANT] * jnp.repeat(signs, PERIOD, axis=0)).sum(1)
    never = jnp.zeros(LENGTH, bool)
    return Moment(inputs[:-1], values, never, never.at[0].set(True), inputs[1:]), values


def _tracked(rule, **init):
    """Mean squared error of the values over the second half, and the last step sizes."""
    predictor = td_lambda(Box((INPUTS,)), rule=rule, init={**HORIZONS, **init})
    stream, values = _changing_stream(jax.random.key(0))
    state, info = _follow(predictor, stream)
    return ((info.prediction - values) ** 2)[LENGTH // 2 :].mean(), getattr(state.opt_state, "step_size", None)


@pytest.fixture(scope="module")
def best_fixed_error():
    grid = jnp.array([0.003, 0.01, 0.02, 0.03, 0.04, 0.06, 0.1])
    errors = jax.jit(jax.vmap(lambda rate: _tracked("sgd", learning_rate=rate)[0]))(grid)
    assert 0 < jnp.nanargmin(errors) < len(grid) - 1
    return jnp.nanmin(errors)


@pytest.mark.parametrize(
    ("rule", "init"),
    [
        ("tidbd", {"initial_step_size": 0.01, "meta_step_size": 0.01}),
        ("autostep_tidbd", {"initial_step_size": 0.01, "meta_step_size": 0.03}),
        ("swift", {"initial_step_size": 0.01, "rate_bound": 1.0}),
    ],
)
def test_what_matters_learns_faster_than_any_single_step_size_allows(rule, init, best_fixed_error):
    error, step_size = jax.jit(lambda: _tracked(rule, **init))()
    assert step_size[:RELEVANT].min() > 2.0 * step_size[RELEVANT:].mean()
    assert error < 0.9 * best_fixed_error


@pytest.mark.parametrize(("rule", "survives"), [("tidbd", False), ("autostep_tidbd", True), ("swift", True)])
def test_an_absurd_initial_step_size(rule, survives):
    error, _ = jax.jit(lambda: _tracked(rule, initial_step_size=10.0))()
    assert bool(error < RELEVANT) == survives  # the prediction 0 costs 5


def _moment(observation, cumulant, next_observation, terminated=False, first=False):
    return Moment(jnp.array(observation), jnp.array(cumulant), *map(jnp.array, (terminated, first, next_observation)))


def test_episodes_end_in_two_ways():
    predictor = td_lambda(Box((2,)), rule="sgd", init={"discount": 0.5, "trace_decay": 0.5, "learning_rate": 0.1})
    learn = jax.jit(partial(predictor.learn, predictor.eta))
    state = predictor.init(predictor.eta, jax.random.key(0))
    a, b = [1.0, 0.0], [0.0, 1.0]
    state, info = learn(state, _moment(a, 2.0, b, first=True))
    # δ = 2, w = [.2, 0]
    state, info = learn(state, _moment(b, 1.0, a, terminated=True))
    # nothing follows, so δ = 1; z = [.25, 1], w = [.225, .1]
    np.testing.assert_allclose(info.td_error, 1.0, rtol=1e-6)
    np.testing.assert_allclose(state.params, [0.225, 0.1], rtol=1e-6)
    state, info = learn(state, _moment(b, 0.0, a, first=True))
    # a time limit: δ = .5 · .225 − .1 = .0125; no trace from before, so w₀ stays and w₁ = .1 + .00125
    np.testing.assert_allclose(info.td_error, 0.0125, rtol=1e-5)
    np.testing.assert_allclose(state.params, [0.225, 0.10125], rtol=1e-6)


@pytest.mark.parametrize("rule", ["sgd", "tidbd", "autostep_tidbd"])
def test_a_network_learns_what_no_line_can(rule):
    inputs = jax.random.normal(jax.random.key(0), (3_001, 2))
    target = jnp.tanh(inputs[:-1, 0] * inputs[:-1, 1])
    never = jnp.zeros(3_000, bool)
    stream = Moment(inputs[:-1], target, never, never, inputs[1:])
    start = {"learning_rate": 0.03} if rule == "sgd" else {"initial_step_size": 0.03}
    predictor = td_lambda(Box((2,)), rule=rule, hidden=(16,), init={"discount": 0.2, "trace_decay": 0.3, **start})
    state, info = jax.jit(partial(_follow, predictor))(stream)
    error = ((info.prediction - target) ** 2)[-500:].mean()
    assert error < 0.5 * jnp.var(target)
    assert predictor.predict(state, inputs[:5]).shape == (5,)


def _short_stream(steps=6):
    keys = jax.random.split(jax.random.key(3), 3)
    inputs = jax.random.normal(keys[0], (steps + 1, 2))
    ends = jax.random.bernoulli(keys[1], 0.2, (steps,))
    return Moment(inputs[:-1], jax.random.normal(keys[2], (steps,)), ends, jnp.roll(ends, 1), inputs[1:])


@pytest.mark.parametrize("rule", RULES)
def test_every_metaparameter_has_a_gradient(rule):
    # the bound is low, so that it is active and has an effect
    predictor = td_lambda(Box((2,)), rule=rule, init={"rate_bound": 0.02} if rule == "swift" else None)

    def loss(eta):
        return (_follow(predictor._replace(eta=eta), _short_stream())[1].td_error ** 2).mean()

    gradient = jax.jit(jax.grad(loss))({name: jnp.asarray(value) for name, value in predictor.eta.items()})
    assert gradient.keys() == predictor.eta.keys()
    for name, value in gradient.items():
        assert jnp.isfinite(value), name
        assert name == "initial_step_size" or value != 0.0, name


def test_nothing_recompiles_when_a_metaparameter_moves():
    predictor = td_lambda(Box((2,)))
    learn, state = jax.jit(predictor.learn), predictor.init(predictor.eta, jax.random.key(0))
    for step, discount in enumerate((0.9, 0.8, 0.7)):
        moment = jax.tree.map(lambda leaf, step=step: leaf[step], _short_stream())
        state, _ = learn({**predictor.eta, "discount": discount}, state, moment)
    assert learn._cache_size() == 1


def test_a_tuner_moves_its_metaparameters():
    predictor = td_lambda(Box((2,)), rule="tidbd")
    spec = {
        **predictor.eta,
        "trace_decay": MetaParam(0.5, one_minus(1e-3, 1.0)),
        "meta_step_size": MetaParam(0.01, positive),
    }
    judge = td_loss(lambda weights, observation: weights @ observation)
    tuning = tuner(spec, predictor.learner, judge, estimator=truncated(3), optimizer=optax.sgd(1.0))
    state = predictor.init(predictor.eta, jax.random.key(0))
    stream = _short_stream()
    batches = jax.tree.map(lambda leaf: leaf[:3], stream)
    unseen = jax.tree.map(lambda leaf: leaf[3], stream)
    _, _, info = jax.jit(tuning.update)(tuning.init(state), state, batches, unseen, jax.random.key(1))
    assert all(jnp.isfinite(value) and value != 0.0 for value in info.meta_grad.values())


@pytest.mark.parametrize(
    ("settings", "error", "advice"),
    [
        ({"rule": "swif"}, SettingError, "did you mean 'swift'"),
        ({"rule": "swift", "hidden": (8,)}, SettingError, "Choose one of autostep_tidbd, sgd, tidbd"),
        ({"rule": "sgd", "init": {"meta_step_size": 0.1}}, UnknownMetaParamError, "learning_rate"),
        ({"init": {"rule": 1.0}}, NotDifferentiableError, "no gradient can move it"),
        ({"init": {"discount": True}}, NotDifferentiableError, "is not a number"),
        ({"init": {"discount": 1.1}}, ConstraintError, "expected 0 to 1"),
        ({"init": {"initial_step_size": 0.0}}, ConstraintError, "out of range"),
    ],
)
def test_what_makes_no_sense_is_refused_with_advice(settings, error, advice):
    with pytest.raises(error, match=advice):
        td_lambda(Box((2,)), **settings)
