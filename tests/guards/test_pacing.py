import jax.numpy as jnp
import optax
import pytest

from selftune.errors import SettingError
from selftune.estimators import undifferentiated
from selftune.guards import adaptive_rate
from selftune.learning import BareStep, learner

from .setting import KEY, PARAMS, batch, distance, loss, start, window


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
    guard = adaptive_rate(lambda old, new, data: jnp.asarray(far), 0.01, ["learning_rate"], limits=(1e-3, 0.06))
    tuning, meta, state = start([guard], estimator=undifferentiated())
    meta, _, info = tuning.update(meta, state, window(1), None, KEY)
    assert float(info.eta["learning_rate"]) == pytest.approx(rate, rel=1e-5)
    assert float(info.eta["cost"]) == pytest.approx(0.1, rel=1e-5)
    assert (int(info.guards["adaptive_rate/down"]), int(info.guards["adaptive_rate/up"])) == fired


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


def test_what_makes_no_sense_is_refused():
    with pytest.raises(SettingError, match="factor"):
        adaptive_rate(distance, factor=1.0)
