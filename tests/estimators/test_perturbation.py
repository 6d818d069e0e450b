"""Evolution strategies: the smoothed gradient, the lives of particles, steps that nothing can differentiate."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from selftune.errors import EstimatorError
from selftune.estimators import evolution, truncated
from selftune.learning import BareStep

from .setting import make

pytestmark = pytest.mark.usefixtures("float64")

SIGMA = 0.8


def test_es_estimates_the_gradient_of_the_smoothed_outer_loss():
    # d/dx E f(x + sigma e) by central differences of the expectation, itself by a grid of Gauss-Hermite nodes.
    this = make()
    flat, unravel = ravel_pytree(this.meta_params)
    nodes, weights = np.polynomial.hermite_e.hermegauss(12)
    grid = jnp.asarray(np.stack(np.meshgrid(nodes, nodes, nodes, indexing="ij"), axis=-1).reshape(-1, 3))
    mass = jnp.asarray((weights[:, None, None] * weights[None, :, None] * weights[None, None, :]).ravel())
    outcome = jax.jit(jax.vmap(lambda x: this.outcome(unravel(x), 2)))

    def smoothed(x):
        return mass @ outcome(x[None] + SIGMA * grid) / mass.sum()

    step = 1e-3
    expected = jnp.stack([smoothed(flat + step * e) - smoothed(flat - step * e) for e in jnp.eye(3)]) / (2 * step)
    plain = ravel_pytree(jax.grad(lambda m: this.outcome(m, 2))(this.meta_params))[0]

    estimator = evolution("es", unroll=2, population=400, sigma=SIGMA)
    keys = jax.random.split(jax.random.key(3), 40)
    found = jax.jit(jax.vmap(lambda key: ravel_pytree(this.estimate(estimator, key)[0])[0]))(keys)
    mean, error = found.mean(axis=0), found.std(axis=0, ddof=1) / 40**0.5
    assert jnp.linalg.norm(error) < 0.2 * jnp.linalg.norm(expected)
    assert (abs(mean - expected) < 4.0 * error).all()
    assert (abs(mean - plain) > 4.0 * error).any()  # the loss is not smooth at this scale: smoothing shows


def windows(kind: str, count: int, **arguments):
    """Particles after each of so many windows."""
    this = make()
    estimator, carried, lives = evolution(kind, population=3, **arguments), None, []
    for key in jax.random.split(jax.random.key(1), count):
        _, state, carried, _ = this.estimate(estimator, key, carried)
        this = this._replace(state=state)
        lives.append((carried, state))
    return lives


def test_pes_adds_fresh_perturbations_up():
    (first, _), (second, _), (third, _) = windows("pes", 3)
    np.testing.assert_allclose(first.total, first.noise)
    assert (first.noise != second.noise).all()
    np.testing.assert_allclose(third.total, first.noise + second.noise + third.noise)
    assert third.age == 3


def test_nres_keeps_one_perturbation_for_a_life():
    (first, _), (second, _), (born, state), (next_life, _) = windows("nres", 4, lifetime=3)
    np.testing.assert_array_equal(first.noise, second.noise)
    np.testing.assert_array_equal(second.total, second.noise)
    assert born.age == 0
    np.testing.assert_array_equal(born.states.params["w"], jnp.broadcast_to(state.params["w"], (2, 3, 3)))
    assert (next_life.noise != first.noise).all()


def test_particles_live_apart_from_the_learner_until_they_are_born_again():
    (first, state), (second, _) = windows("pes", 2)
    assert (first.states.params["w"] != state.params["w"][None, None]).any()
    assert (first.states.params["w"] != second.states.params["w"]).any()


def test_es_carries_nothing_and_the_learner_itself_is_not_perturbed():
    this = make()
    _, state, carried, info = this.estimate(evolution("es", unroll=2, population=2))
    eta = this.problem.resolve(this.meta_params, None)
    alone = this.state
    for k in range(2):
        alone, _ = this.problem.learner.step(eta, alone, jax.tree.map(lambda leaf, k=k: leaf[k], this.batches))
    np.testing.assert_allclose(state.params["w"], alone.params["w"], rtol=1e-12)
    assert carried == ()
    np.testing.assert_allclose(info.meta_loss, this.outcome(this.meta_params, 2), rtol=1e-12)
    assert info.steps.loss.shape == (2,)


def test_a_step_that_nothing_can_differentiate():
    # One coin a step, in whole coins: the state is an integer, and the outer loss is its distance from 7.
    this = make()

    def step(eta, state, batch):
        return state + jnp.floor(50.0 * eta["learning_rate"]).astype(int), None

    def meta_loss(state, frozen, eta, batch):
        return jnp.abs(state - 7.0), None

    problem = this.problem._replace(learner=BareStep(step), meta_loss=meta_loss)
    this = this._replace(problem=problem, state=jnp.asarray(0))  # floor(50 * 0.2) = 10 > 7: the rate must fall
    meta_grad, state, *_ = this.estimate(evolution("es", population=200, sigma=0.3))
    assert state == 10
    assert meta_grad["learning_rate"] > 1.0


@pytest.mark.parametrize(
    "arguments",
    [
        {"kind": "cma"},
        {"unroll": 0},
        {"unroll": 1.5},
        {"population": 0},
        {"population": 2.5},
        {"sigma": 0.0},
        {"sigma": float("inf")},
        {"lifetime": 0},
        {"lifetime": 2.5},
    ],
)
def test_settings_out_of_range_are_refused(arguments):
    with pytest.raises(EstimatorError, match="expected a kind in"):
        inspect.unwrap(evolution)(**arguments)
    with pytest.raises(EstimatorError, match="born again with every window"):
        evolution("es", lifetime=5)


@pytest.mark.parametrize("kind", ["es", "pes", "nres"])
def test_a_metaparameter_keeps_its_precision(kind):
    this = make()
    halves = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), this.meta_params)
    gradient, _, carried, _ = this.estimate(evolution(kind, 1, 2), meta_params=halves)
    assert {leaf.dtype for leaf in jax.tree.leaves(gradient)} == {jnp.dtype("float32")}
    assert kind == "es" or carried.total.dtype == jnp.float32


def self_serving(params, frozen, eta, batch):
    """A judge that metaparameters could improve, with a target that parameters could."""
    x, y = batch
    target = y + eta["discount"] * x @ frozen["w"]
    return eta["penalty"] * jnp.square(target - x @ params["w"]).mean(), None


@pytest.mark.parametrize(
    ("kind", "through"),
    [("es", ()), ("es", ("eta",)), ("es", ("frozen",)), ("es", ("eta", "frozen")), ("pes", ()), ("nres", ())],
)
def test_what_the_judge_holds_still_no_perturbation_moves(kind, through):
    """Where nothing curves over so short a way both estimate the same; a life begins with its first window."""
    this = make()
    this = this._replace(problem=this.problem._replace(meta_loss=self_serving, through=frozenset(through)))
    plain = ravel_pytree(this.estimate(truncated(2))[0])[0]
    estimator = evolution(kind, unroll=2, population=400, sigma=1e-3)
    keys = jax.random.split(jax.random.key(3), 40)
    found = jax.jit(jax.vmap(lambda key: ravel_pytree(this.estimate(estimator, key)[0])[0]))(keys)
    mean, error = found.mean(axis=0), found.std(axis=0, ddof=1) / 40**0.5
    assert (abs(mean - plain) < 4.0 * error).all()
    others = [w for w in ((), ("eta",), ("frozen",), ("eta", "frozen")) if w != through]
    for other in others:  # which the same figures could tell apart
        that = this._replace(problem=this.problem._replace(through=frozenset(other)))
        assert (abs(mean - ravel_pytree(that.estimate(truncated(2))[0])[0]) > 8.0 * error).any()
