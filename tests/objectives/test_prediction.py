"""The TD loss has the semi-gradient as its gradient, and tells a rule what it needs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from selftune.objectives.prediction import Moment, td_error, td_loss

ETA = {"discount": 0.5, "trace_decay": 0.8}
PARAMS = jnp.array([1.0, 2.0])


def _value(params, observation):
    return jnp.sum(params**2 * observation)


def _moment(terminated=False, first=False):
    flags = (jnp.array(terminated), jnp.array(first))
    return Moment(jnp.array([1.0, 1.0]), jnp.array(3.0), *flags, jnp.array([2.0, 0.0]))


def test_the_td_error():
    assert td_error(1.0, 2.0, 0.5, 4.0) == 3.0
    assert td_error(1.0, 2.0, 0.0, 4.0) == 1.0


@pytest.mark.parametrize(
    ("terminated", "first", "error", "decay"),
    # v = 1 + 4 = 5, v' = 2: δ = 3 + .5 · 2 − 5 = −1, without a future −2; γλ = .4, and 0 where an episode begins
    [(False, False, -1.0, 0.4), (True, False, -2.0, 0.4), (False, True, -1.0, 0.0)],
)
def test_one_step_by_hand(terminated, first, error, decay):
    gradient, said = jax.grad(td_loss(_value), has_aux=True)(PARAMS, PARAMS, ETA, _moment(terminated, first))
    np.testing.assert_allclose(said.prediction, 5.0)
    np.testing.assert_allclose(said.td_error, error)
    np.testing.assert_allclose(said.decay, decay)
    np.testing.assert_allclose(said.features, [2.0, 4.0])
    # −δ times the gradient of v alone: the value of the successor is held still
    np.testing.assert_allclose(gradient, [-2.0 * error, -4.0 * error])


def test_nothing_is_cut():
    def loss(frozen, eta):
        return td_loss(_value)(PARAMS, frozen, eta, _moment())[0]

    frozen, eta = jax.grad(loss, argnums=(0, 1))(PARAMS, ETA)
    # δ γ ∂v'/∂w = −1 · .5 · [4, 0], and δ v' = −1 · 2
    np.testing.assert_allclose(frozen, [-2.0, 0.0])
    np.testing.assert_allclose(eta["discount"], -2.0)
