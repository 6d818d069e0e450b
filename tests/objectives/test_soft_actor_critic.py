import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from selftune.objectives.distributions import Gaussian
from selftune.objectives.soft_actor_critic import (
    SoftActorCritic,
    SoftBatch,
    soft_actor_critic_loss,
    soft_actor_critic_meta_loss,
    soft_policy_divergence,
)
from selftune.types import Transitions

MODEL = SoftActorCritic(
    policy=lambda params, seen: Gaussian(params[0] * seen, jnp.broadcast_to(params[1], seen.shape)),
    critics=lambda params, seen, action: params[:, :1] * seen[:, 0][None] + params[:, 1:] * action[:, 0][None],
)
"""Mean `p0 * s` and log deviation `p1`; each critic `c0 * s + c1 * a`."""

LOSS = jax.jit(soft_actor_critic_loss(MODEL))
GRADIENT = jax.jit(jax.grad(soft_actor_critic_loss(MODEL), has_aux=True))
META_LOSS = jax.jit(soft_actor_critic_meta_loss(MODEL, outer_discount=0.5))
PARAMS = {
    "policy": jnp.array([0.5, 0.0]),
    "critics": jnp.array([[1.0, 2.0], [3.0, 1.0]]),
    "log_temperature": jnp.asarray(math.log(0.4)),
}
FROZEN = {**PARAMS, "target_critics": jnp.array([[1.0, 0.0], [0.0, 2.0]])}
SETTINGS = {"discount": 0.9, "reward_scale": 2.0, "temperature": 0.5, "target_entropy": -1.0}
ETA = {name: jnp.asarray(value) for name, value in SETTINGS.items()}
ELSEWHERE = {
    "policy": jnp.array([-0.3, 0.4]),
    "critics": jnp.array([[0.2, -1.0], [0.5, 0.7]]),
    "log_temperature": jnp.asarray(1.3),
}


def batch(noise=(0.0, 0.0), terminated=False, truncated=False):
    """One row: s = 1, a = 0.5, r = 1, s' = 2."""
    flags = jnp.array([terminated]), jnp.array([truncated])
    rows = Transitions(jnp.ones((1, 1)), jnp.full((1, 1), 0.5), jnp.ones(1), *flags, jnp.full((1, 1), 2.0))
    return SoftBatch(rows, jnp.array(noise).reshape(2, 1, 1))


def test_golden_values():
    """The coefficient is 0.5 * 0.4 = 0.2. At s: u = 0.5, a = tanh(0.5) = 0.462117, log(1 - a^2) = -0.240229, so that
    log p = -0.918939 + 0.240229 = -0.678710. At s': u = 1, a' = 0.761594, log p' = -0.918939 + 0.867562 = -0.051377.

    Targets: worth min(2, 2 * 0.761594) = 1.523188; soft value 1.523188 + 0.2 * 0.051377 = 1.533463; target
    2 * 1 + 0.9 * 1.533463 = 3.380117. The critics say 1 + 2 * 0.5 = 2 and 3 + 0.5 = 3.5: errors 1.380117 and -0.119883,
    half their squares 0.952361 + 0.007186 = 0.959547.
    Policy: 0.2 * -0.678710 - min(1 + 2 * 0.462117, 3 + 0.462117) = -0.135742 - 1.924234 = -2.059976.
    Temperature: log(0.4) * (0.678710 + 1) = -0.916291 * 1.678710 = -1.538187.
    """
    total, aux = LOSS(PARAMS, FROZEN, ETA, batch())
    np.testing.assert_allclose(aux["entropy_coefficient"], 0.2, rtol=1e-5)
    np.testing.assert_allclose(aux["entropy"], 0.678710, rtol=1e-5)
    np.testing.assert_allclose(aux["td_loss"], 0.959547, rtol=1e-5)
    np.testing.assert_allclose(aux["policy_loss"], -2.059976, rtol=1e-5)
    np.testing.assert_allclose(total, 0.959547 - 2.059976 - 1.538187, rtol=1e-5)


def test_golden_judgement():
    """Target 2 + 0.5 * 1.533463 = 2.766732; errors 0.766732 and -0.733268, half their squares 0.293939 + 0.268841 =
    0.562780. Worth at the squashed mean 1.924234, whatever the noise of the policy's draw."""
    total, aux = META_LOSS(PARAMS, FROZEN, ETA, batch(noise=(1.7, 0.0)))
    np.testing.assert_allclose(aux["outer_td_loss"], 0.562780, rtol=1e-5)
    np.testing.assert_allclose(aux["outer_worth"], 1.924234, rtol=1e-5)
    np.testing.assert_allclose(total, 0.562780 - 1.924234, rtol=1e-5)


@pytest.mark.parametrize(
    ("terminated", "truncated", "target"), [(True, False, 2.0), (True, True, 2.0), (False, True, 3.380117)]
)
def test_only_an_end_for_good_has_no_future(terminated, truncated, target):
    _, aux = LOSS(PARAMS, FROZEN, ETA, batch(terminated=terminated, truncated=truncated))
    expected = 0.5 * ((target - 2.0) ** 2 + (target - 3.5) ** 2)
    np.testing.assert_allclose(aux["td_loss"], expected, rtol=1e-5)


@pytest.mark.parametrize("part", PARAMS)
def test_each_part_is_moved_by_its_own_term_alone(part):
    """The gradient of a part is not zero, and stays what it is when the other two parts are elsewhere."""
    data = batch(noise=(0.8, -0.6))
    gradient = GRADIENT(PARAMS, FROZEN, ETA, data)[0][part]
    elsewhere = {**ELSEWHERE, part: PARAMS[part]}
    again = GRADIENT(elsewhere, FROZEN, ETA, data)[0][part]
    assert jnp.abs(gradient).max() > 0.0
    np.testing.assert_allclose(again, gradient, rtol=1e-6)


def test_the_critics_gradient_is_a_semi_gradient():
    """-error * (s, a) for each critic: errors 1.380117 and -0.119883 at s = 1, a = 0.5."""
    gradient = GRADIENT(PARAMS, FROZEN, ETA, batch())[0]["critics"]
    np.testing.assert_allclose(gradient, [[-1.380117, -0.690059], [0.119883, 0.059942]], rtol=1e-4)


@pytest.mark.parametrize(("target_entropy", "sign"), [(-1.0, 1.0), (2.0, -1.0)])
def test_the_temperature_falls_where_there_is_more_entropy_than_asked_for(target_entropy, sign):
    eta = ETA | {"target_entropy": jnp.asarray(target_entropy)}
    gradient = GRADIENT(PARAMS, FROZEN, eta, batch())[0]["log_temperature"]
    np.testing.assert_allclose(gradient, 0.678710 - target_entropy, rtol=1e-5)
    assert jnp.sign(gradient) == sign


REACHES = {
    "policy": {"temperature"},
    "critics": {"discount", "reward_scale", "temperature"},
    "log_temperature": {"target_entropy"},
}


def test_each_metaparameter_of_the_loss_reaches_the_gradients_it_should():
    def gradient(eta):
        return GRADIENT(PARAMS, FROZEN, eta, batch(noise=(0.8, -0.6)))[0]

    for part, by_name in jax.jit(jax.jacfwd(gradient))(ETA).items():
        for name, derivative in by_name.items():
            reached = bool(jnp.abs(derivative).max() > 1e-3)
            assert reached == (name in REACHES[part]), f"{name} in the gradient of {part}"


def test_the_judge_does_not_hear_of_the_agents_discount():
    one, other = (META_LOSS(PARAMS, FROZEN, ETA | {"discount": jnp.asarray(g)}, batch())[0] for g in (0.0, 0.99))
    assert one == other


def test_the_judge_gives_no_bonus_for_entropy():
    """A wider policy with the same mode is worth the same."""
    wide = {**PARAMS, "policy": jnp.array([0.5, 1.0])}
    one, other = (META_LOSS(params, FROZEN, ETA, batch(noise=(0.8, -0.6)))[0] for params in (PARAMS, wide))
    assert one == other


def test_divergence_is_that_before_the_squashing():
    """Means 0.5 and 0.7, deviations 1: half of 0.2 squared."""
    moved = {**PARAMS, "policy": jnp.array([0.7, 0.0])}
    np.testing.assert_allclose(soft_policy_divergence(MODEL)(PARAMS, moved, batch()), 0.02, rtol=1e-4)
