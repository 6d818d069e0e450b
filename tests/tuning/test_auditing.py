"""The audit names the first broken link between a metaparameter and the outer loss."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from selftune.errors import EstimatorError, SettingError
from selftune.learning import Memory, learner
from selftune.metaparams import MetaParam, simplex, unit, values
from selftune.optim import lion, sgd
from selftune.tuning import audit, tuner
from selftune.tuning.auditing import _finding, _Links

from .setting import PARAMS, batches, loss, meta_loss, start

NEITHER = "neither the loss nor the update rule"
FLAT = "its constraint is flat"
DISCARDED = "the update rule discards the change"
CARRIED = "it moves what the learner carries"
NOT_LOOKED_AT = "it moves only what the outer loss does not look at"


def findings(spec, inner, move=lambda meta_params: meta_params, meta_loss=meta_loss):
    tuning = tuner(spec, inner, meta_loss)
    state = inner.init(PARAMS, values(spec))
    meta = tuning.init(state)
    report = audit(tuning, meta._replace(meta_params=move(meta.meta_params)), state, batches(1, 2, 3, 4))
    return {finding.name: finding for finding in report.findings}, report


def test_a_metaparameter_that_is_reached():
    found, report = findings(
        {"learning_rate": MetaParam(0.05), "cost": MetaParam(0.1)}, learner(loss, lambda eta: sgd(eta["learning_rate"]))
    )
    rate = found["learning_rate"]
    assert rate.reached
    assert rate.reason == ""
    np.testing.assert_allclose(rate.value, 0.05, rtol=1e-5)
    assert rate.size > 1e-4
    assert 0.5 <= rate.sign_stability <= 1.0
    assert rate.signal_to_noise > 0.0
    assert str(report).splitlines()[1].startswith("learning_rate ")


def test_its_figures_are_those_of_single_meta_gradients():
    tuning, meta, state = start()
    grads = []
    for seed in (1, 2, 3):
        judge = jax.tree.map(lambda leaf: leaf[0], batches(seed + 1))
        grads.append(tuning.update(meta, state, batches(seed), judge, jax.random.key(0))[2].meta_grad["cost"])
    report = audit(tuning, meta, state, batches(1, 2, 3, 4))
    cost = next(finding for finding in report.findings if finding.name == "cost")
    np.testing.assert_allclose(cost.size, np.abs(grads).mean(), rtol=1e-4)
    np.testing.assert_allclose(cost.signal_to_noise, abs(np.mean(grads)) / np.std(grads), rtol=1e-3)


def test_what_nothing_depends_on():
    found, _ = findings(
        {"learning_rate": 0.05, "cost": 0.1, "idle": MetaParam(0.5)},
        learner(loss, lambda eta: sgd(eta["learning_rate"])),
    )
    assert not found["idle"].reached
    assert NEITHER in found["idle"].reason


def test_what_stands_at_a_flat_end():
    found, _ = findings(
        {"learning_rate": 0.05, "cost": MetaParam(0.5, unit)},
        learner(loss, lambda eta: sgd(eta["learning_rate"])),
        lambda meta_params: {"cost": jnp.asarray(200.0)},
    )
    assert FLAT in found["cost"].reason


def signs(eta):
    def update(updates, state, params=None, **extra_args):
        return jax.tree.map(lambda g: -eta["learning_rate"] * jnp.sign(g), updates), state

    return optax.GradientTransformationExtraArgs(optax.init_empty_state, update)


@pytest.mark.parametrize(
    ("rule", "reason"), [(signs, DISCARDED), (lambda eta: lion(eta["learning_rate"]), CARRIED)], ids=["signs", "lion"]
)
def test_what_a_sign_hides(rule, reason):
    found, _ = findings({"learning_rate": MetaParam(0.05), "cost": MetaParam(0.1)}, learner(loss, rule))
    assert found["learning_rate"].reached
    assert reason in found["cost"].reason


def test_what_only_moves_the_memory():
    memory = Memory(
        lambda params, eta: params,
        lambda eta, slow, params, batch: jax.tree.map(lambda a, b: a + eta["mix"] * (b - a), slow, params),
    )
    found, _ = findings(
        {"learning_rate": 0.05, "cost": 0.1, "mix": MetaParam(0.5, unit)},
        learner(loss, lambda eta: sgd(eta["learning_rate"]), memory=memory),
    )
    assert CARRIED in found["mix"].reason


def test_what_the_outer_loss_does_not_look_at():
    found, _ = findings(
        {"learning_rate": 0.05, "cost": MetaParam(0.1)},
        learner(loss, lambda eta: sgd(eta["learning_rate"])),
        meta_loss=lambda params, frozen, eta, data: (jnp.square(params["bias"]).sum(), None),
    )
    assert NOT_LOOKED_AT in found["cost"].reason  # the cost is on the weights alone


def test_what_is_no_number_is_not_called_zero():
    found, report = findings(
        {"learning_rate": 0.05, "cost": MetaParam(0.1)},
        learner(loss, lambda eta: sgd(eta["learning_rate"])),
        meta_loss=lambda params, frozen, eta, data: (jnp.nan * params["weight"].sum(), None),
    )
    assert not found["cost"].reached
    assert found["cost"].reason.startswith("not finite")
    assert "not finite" in str(report)


def test_a_simplex_that_nothing_depends_on_is_not_called_flat():
    """A softmax is blind to a shift of all its coordinates."""
    found, _ = findings(
        {"learning_rate": 0.05, "cost": 0.1, "mix": MetaParam([0.2, 0.3, 0.5], simplex)},
        learner(loss, lambda eta: sgd(eta["learning_rate"])),
    )
    assert NEITHER in found["mix"].reason


def test_what_cannot_be_audited_is_refused():
    tuning, meta, state = start()
    with pytest.raises(SettingError, match="got 2 batches; expected at least 3"):
        audit(tuning, meta, state, batches(1, 2))
    bare = tuner({"rate": MetaParam(0.1)}, lambda eta, state, data: (state, None), meta_loss)
    with pytest.raises(EstimatorError, match="got a bare step function, or nothing tuned"):
        audit(bare, bare.init(PARAMS), PARAMS, batches(1, 2, 3))


def test_equal_batches_have_no_noise():
    tuning, meta, state = start()
    report = audit(tuning, meta, state, batches(1, 1, 1, 1))
    assert [finding.signal_to_noise for finding in report.findings] == [np.inf, np.inf]
    assert " inf" in str(report)


def test_what_no_batch_moves_agrees_with_nothing():
    """Of 200 batches of noise about half agree in the one entry that moves; the 99 that do not move say nothing."""
    noise = np.zeros((200, 100))
    noise[:, 0] = np.random.default_rng(0).normal(size=200)
    found = _finding("cost", jnp.zeros(100), jnp.asarray(noise), _Links(*[jnp.ones(())] * 5))
    assert found.sign_stability < 0.65
