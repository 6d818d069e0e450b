from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
import pytest

from selftune.errors import EstimatorError, SettingError
from selftune.estimators import EstimateInfo, truncated
from selftune.estimators.problem import as_acted
from selftune.guards import Attempt, Position, adaptive_rate
from selftune.learning import Acted, BareStep, StepInfo, learner
from selftune.metaparams import MetaParam, values
from selftune.tuning import tuner

from .setting import KEY, PARAMS, batch, distance, loss, meta_loss


@pytest.mark.parametrize(
    ("far", "rate", "fired"),
    [
        (0.021, 0.05 / 1.5, (1, 0)),  # above 2 x 0.01
        (0.0049, 0.06, (0, 1)),  # below 0.01 / 2: 0.05 x 1.5 = 0.075, cut to the limit
        (0.0051, 0.05, (0, 0)),
        (0.019, 0.05, (0, 0)),
        (0.0, 0.06, (0, 1)),  # too small to be seen
        (float("nan"), 0.05, (0, 0)),
    ],
)
def test_the_rate_follows_the_distance(far, rate, fired):
    guard = adaptive_rate(distance, 0.01, ["learning_rate"], limits=(1e-3, 0.06))
    spec = {"learning_rate": MetaParam(0.05), "cost": MetaParam(0.1), "constant": 3.0}
    coordinates = {"learning_rate": jnp.log(jnp.float32(0.05)), "cost": jnp.log(jnp.float32(0.1))}
    number = jnp.zeros(1)
    steps = StepInfo(number, None, number, None, jnp.array([far]))
    here = Position(coordinates, (), (), ())
    info = EstimateInfo(number[0], {}, steps, jnp.asarray(True))
    after, told = guard.check(spec, Attempt(here, here, coordinates, info))
    assert float(jnp.exp(after.meta_params["learning_rate"])) == pytest.approx(rate, rel=1e-5)
    assert after.meta_params["cost"] is coordinates["cost"]
    assert (int(told["adaptive_rate/down"]), int(told["adaptive_rate/up"])) == fired


def test_the_distance_is_that_of_the_update_which_stays_whole():
    """The same for a learner and for a bare step: the update is not scaled, its distance is told."""
    plain = learner(loss, lambda eta: optax.sgd(eta["learning_rate"]))
    eta, guard = {"learning_rate": 0.1, "cost": 0.1}, adaptive_rate(distance)
    state = plain.init(PARAMS, eta)
    after, _ = plain.step(eta, state, batch(1))
    expected = float(distance(state.params, after.params, batch(1)))
    for inner in (plain, BareStep(plain.step)):
        moved, info = guard.equip(inner).step(eta, state, batch(1))
        assert float(info.distance) == pytest.approx(expected, rel=1e-5)
        assert moved.params["policy"].tolist() == pytest.approx(after.params["policy"].tolist(), rel=1e-6)


def test_a_bare_step_that_tells_of_no_parameters_is_refused():
    bare = BareStep(lambda eta, state, batch: (state, {"loss": state}))
    with pytest.raises(EstimatorError, match=r"need a Learner, got a bare step function.*use selftune.learner"):
        adaptive_rate(distance).equip(bare).step({}, jnp.zeros(2), batch(1))


def test_what_makes_no_sense_is_refused():
    with pytest.raises(SettingError, match="factor"):
        adaptive_rate(distance, factor=1.0)


@pytest.mark.parametrize(
    ("bare", "estimator"), [(False, truncated(1)), (False, truncated(1, "mixed")), (True, truncated(1))]
)
def test_an_update_that_was_taken_is_told_as_far_as_it_went(bare, estimator):
    """Replayed, its distance is the one that was measured: a rate that is too high does not rise for ever."""
    inner = learner(loss, lambda eta: optax.sgd(eta["learning_rate"]))
    spec, guard = {"learning_rate": MetaParam(0.05), "cost": MetaParam(0.1)}, adaptive_rate(distance, 1e-6)

    def judge(params, frozen, eta, data):
        return meta_loss(params.params if bare else params, frozen, eta, data)

    tuning = tuner(spec, inner.step if bare else inner, judge, estimator, optax.sgd(0.0), [guard])
    state = inner.init(PARAMS, values(spec))
    meta = tuning.init(state)
    _, acted, info = tuning.act(meta, state, batch(1))
    told = []
    for taken in (acted, batch(1)):
        after, _, update = tuning.update(meta, state, jax.tree.map(lambda leaf: leaf[None], taken), batch(2), KEY)
        told.append(float(update.steps.distance[-1]))
        assert int(update.guards["adaptive_rate/down"]) == 1
        assert float(after.meta_params["learning_rate"]) < float(meta.meta_params["learning_rate"])
    assert told == pytest.approx([float(info.distance)] * 2, rel=1e-5)
    assert told[0] > 2e-6


def test_only_what_was_taken_tells_its_distance():
    """A batch may have a field of that name, and a bare step's info need be no `StepInfo`."""

    class Sample(NamedTuple):
        x: jnp.ndarray
        distance: jnp.ndarray

    batch = Sample(jnp.ones(1), jnp.full(1, 77.0))
    for info in ({"distance": 1.0}, StepInfo(jnp.zeros(()), None, jnp.zeros(()), None, jnp.zeros(()))):
        assert as_acted(info, batch) is info
    assert as_acted({"distance": 1.0}, Acted(batch, None, jnp.ones(()))) == {"distance": 1.0}
    told = as_acted(StepInfo(jnp.zeros(()), None, jnp.zeros(()), None, jnp.zeros(())), Acted(batch, None, jnp.ones(())))
    assert float(told.distance) == 1.0
