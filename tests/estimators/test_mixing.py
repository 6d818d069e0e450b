"""Mixtures: a weighted mean of members whose windows end together."""

import jax
import numpy as np
import pytest

from selftune.errors import EstimatorError
from selftune.estimators import forward, mixture, truncated

from .setting import make

pytestmark = pytest.mark.usefixtures("float64")


@pytest.mark.parametrize(("weights", "shares"), [(None, (0.5, 0.5)), ((3.0, 1.0), (0.75, 0.25))])
def test_the_weighted_mean_of_members_that_end_at_the_same_state(weights, shares):
    this = make()
    meta_grad, last, _, info = this.estimate(mixture([truncated(1), truncated(3)], weights))
    long, expected_last, _, expected_info = this.estimate(truncated(3))
    batches = jax.tree.map(lambda leaf: leaf[2:3], this.batches)
    before = this.estimate(truncated(2))[1]
    short = this._replace(state=before, batches=batches).estimate(truncated(1))[0]
    for name, gradient in meta_grad.items():
        assert abs(short[name] - long[name]) > 1e-5
        np.testing.assert_allclose(gradient, shares[0] * short[name] + shares[1] * long[name], rtol=1e-10)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), last, expected_last)
    np.testing.assert_allclose(info.meta_loss, expected_info.meta_loss, rtol=1e-12)


def test_a_member_that_sees_every_update_may_carry_its_state():
    this = make()
    mixed = mixture([forward(unroll=2), truncated(2)])
    meta_grad, state, carried, _ = this.estimate(mixed)
    plain = this.estimate(truncated(2))[0]
    np.testing.assert_allclose(meta_grad["discount"], plain["discount"], rtol=1e-10)  # the first window: the same
    forward_again = this._replace(state=state).estimate(forward(unroll=2), carried=carried[0])[0]["discount"]
    plain_again = this._replace(state=state).estimate(truncated(2))[0]["discount"]
    assert abs(forward_again - plain_again) > 1e-6  # the second: forward mode remembers
    mixed_again = this._replace(state=state).estimate(mixed, carried=carried)[0]["discount"]
    np.testing.assert_allclose(mixed_again, 0.5 * (forward_again + plain_again), rtol=1e-10)


def test_a_member_that_would_miss_updates_is_refused():
    with pytest.raises(EstimatorError, match="Give it unroll=3"):
        make().estimate(mixture([forward(), truncated(3)]))


@pytest.mark.parametrize(
    ("members", "weights"),
    [
        ([], None),
        ([truncated(1)], [1.0, 2.0]),
        ([truncated(1)], [0.0]),
        ([truncated(1)], [-1.0]),
        ([truncated(1), truncated(2)], [1.0, float("inf")]),
        ([truncated(1), truncated(2)], [1e308, 1e308]),
    ],
)
def test_weights_that_do_not_fit_are_refused(members, weights):
    with pytest.raises(EstimatorError, match="a positive weight for each"):
        mixture(members, weights)
