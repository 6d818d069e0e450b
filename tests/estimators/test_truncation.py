"""What the gradient matrix leaves out: rules with extras, projections, what the judge may see, and refusals."""

import dataclasses
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from selftune.errors import EstimatorError
from selftune.estimators import truncated
from selftune.learning import BareStep, Projection, learner
from selftune.metaparams import MetaParam, values
from selftune.optim import sgd

from .setting import UPDATES, assemble, loss, make, meta_loss

pytestmark = pytest.mark.usefixtures("float64")


def close(left, right):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12), left, right)


def louder_where_wrong(eta):
    """A rule whose step grows with the mean of the loss's errors: an extra that depends on everything."""

    def update(updates, state, params=None, *, error, **extra_args):
        factor = -eta["learning_rate"] * (1.0 + jnp.square(error).mean())
        return jax.tree.map(lambda g: factor * g, updates), state

    return optax.GradientTransformationExtraArgs(optax.init_empty_state, update)


def half_way(params, updates, batch):
    """A projection that depends on parameters and updates, and must be a constant all the same."""
    return 0.5 / (1.0 + jnp.sum(updates["w"] ** 2)), jnp.ones(())


@pytest.mark.parametrize("remat", [False, True])
@pytest.mark.parametrize("arguments", [{"rule": louder_where_wrong, "extras": ["error"]}, {}], ids=["extras", "plain"])
@pytest.mark.parametrize("projection", [None, Projection(half_way)], ids=["free", "projected"])
def test_mixed_mode_equals_reverse_mode(arguments, projection, remat):
    this = make(**arguments)
    inner = dataclasses.replace(this.problem.learner, projection=projection)
    this = this._replace(problem=this.problem._replace(learner=inner))
    reverse, mixed = (this.estimate(truncated(UPDATES, mode, remat)) for mode in ("reverse", "mixed"))
    close(reverse[0], mixed[0])
    close(reverse[1], mixed[1])
    assert (reverse[3].steps.scale is None) == (projection is None)


def test_extras_reach_the_meta_gradient():
    this = make(louder_where_wrong, extras=["error"])
    step = 1e-5

    def outcome(sign):
        return this.outcome(this.meta_params | {"discount": this.meta_params["discount"] + sign * step}, 2)

    expected = (outcome(1.0) - outcome(-1.0)) / (2 * step)
    np.testing.assert_allclose(this.estimate(truncated(2))[0]["discount"], expected, rtol=1e-5)


def test_the_factor_of_a_projection_is_a_constant_to_the_meta_gradient():
    # Every step is projected onto length 1: w <- w - r g/|g|, whatever the rate. Differentiated through, the projection
    # would hide the rate altogether; held still, the meta-gradient is that of w - c (a g) with c = 1/(a |g|).
    this = make()

    def unit_length(params, updates, batch):
        return jax.lax.rsqrt(jnp.sum(updates["w"] ** 2)), jnp.ones(())

    inner = dataclasses.replace(this.problem.learner, projection=Projection(unit_length))
    this = this._replace(problem=this.problem._replace(learner=inner))
    eta = this.problem.resolve(this.meta_params, None)
    batch = jax.tree.map(lambda leaf: leaf[0], this.batches)
    gradient = inner.gradient(eta, this.state, batch)[0]["w"]
    moved = this.state.params["w"] - gradient / jnp.linalg.norm(gradient)
    slope = jax.grad(lambda w: meta_loss({"w": w}, None, None, this.validation)[0])(moved)
    expected = -slope @ gradient / jnp.linalg.norm(gradient)
    assert abs(expected) > 0.01
    for estimator in (truncated(1), truncated(1, "mixed")):
        np.testing.assert_allclose(this.estimate(estimator)[0]["learning_rate"], expected, rtol=1e-9)


def test_the_judge_is_held_still_unless_it_is_asked_for():
    # meta_loss = penalty + frozen: after one step from w, d/d log(rate) of both parts is known.
    spec = {"learning_rate": MetaParam(0.5), "penalty": MetaParam(2.0)}
    inner = learner(loss, lambda eta: sgd(eta["learning_rate"]))
    with_discount = {**spec, "discount": 0.9}
    this = assemble(with_discount, inner)

    def meta_loss(params, frozen, eta, batch):
        return eta["penalty"] + frozen["w"].sum(), None

    def meta_grad(*through):
        problem = this.problem._replace(meta_loss=meta_loss, through=frozenset(through))
        return this._replace(problem=problem).estimate(truncated(1))[0]

    gradient = inner.gradient(values(with_discount), this.state, jax.tree.map(lambda leaf: leaf[0], this.batches))[0]
    nothing, eta, frozen = meta_grad(), meta_grad("eta"), meta_grad("frozen")
    assert nothing == {"learning_rate": 0.0, "penalty": 0.0}
    assert eta == {"learning_rate": 0.0, "penalty": 2.0}  # d penalty / d log(penalty)
    np.testing.assert_allclose(frozen["learning_rate"], -0.5 * gradient["w"].sum(), rtol=1e-12)


def test_infos_have_one_entry_for_each_update():
    _, state, _, info = make().estimate(truncated(3))
    assert info.steps.loss.shape == (3,)
    assert info.ready
    assert state.params["w"].shape == (3,)


@pytest.mark.parametrize("arguments", [{"unroll": 0}, {"unroll": 1.5}, {"mode": "backward"}])
def test_settings_out_of_range_are_refused(arguments):
    with pytest.raises(EstimatorError, match="expected a whole unroll >= 1 and mode in"):
        inspect.unwrap(truncated)(**arguments)  # without the annotations, which only the tests check


def test_a_longer_window_cannot_wait_for_its_judge():
    this = make()._replace(validation=None)
    with pytest.raises(EstimatorError, match=r"truncated\(2\) got validation=None"):
        this.estimate(truncated(2))


def test_the_shared_form_wants_an_example_of_the_batches():
    with pytest.raises(EstimatorError, match=r"tuner.init\(state, batches\)"):
        make()._replace(validation=None).estimate(truncated(1))


def test_mixed_mode_refuses_a_bare_step_and_reverse_mode_takes_it():
    this = make()
    bare = BareStep(lambda eta, state, batch: this.problem.learner.step(eta, state, batch))
    judge = this.problem._replace(learner=bare, meta_loss=lambda state, *rest: meta_loss(state.params, *rest))
    with pytest.raises(EstimatorError, match="got a bare step function"):
        this._replace(problem=judge).estimate(truncated(2, "mixed"))
    close(this._replace(problem=judge).estimate(truncated(2))[0], this.estimate(truncated(2))[0])
