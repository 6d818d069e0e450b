import inspect

import jax
import jax.numpy as jnp
import pytest

from selftune.errors import EstimatorError, UnknownMetaParamError
from selftune.estimators import hoof, undifferentiated
from selftune.estimators.searching import select
from selftune.guards import measured
from selftune.learning import Acted

from .setting import UPDATES, loss, make

RANGES = {"learning_rate": (jnp.log(1e-3), jnp.log(1.0))}


def fit(before, after, batch):
    """How well the new parameters fit the batch of the update."""
    return -loss(after.params, before.params, {"discount": 0.9, "penalty": 0.1}, batch)[0]


def test_the_best_within_the_bound_is_chosen():
    distances = jnp.array([0.005, 0.02, 0.01, 0.001])
    assert int(select(jnp.array([1.0, 9.0, 3.0, 2.0]), distances, 0.01)) == 2
    assert int(select(jnp.array([1.0, 9.0, jnp.nan, 2.0]), distances, 0.01)) == 3
    assert int(select(jnp.array([1.0, 9.0, 3.0, 2.0]), distances, 1e-4)) == 3, "all too far: the nearest"
    assert int(select(jnp.ones(2), jnp.array([jnp.nan, 5.0]), 0.01)) == 1


def measuring(setting):
    """Every update tells the square of the way that it went."""
    guard = measured(lambda old, new, batch: jnp.square(new["w"] - old["w"]).sum())
    return setting._replace(problem=setting.problem._replace(learner=guard.equip(setting.problem.learner)))


def test_a_learner_that_measures_nothing_is_refused_and_so_is_a_range_of_nothing():
    with pytest.raises(EstimatorError, match="tell no distance"):
        make().estimate(hoof(fit, RANGES, 0.01))
    with pytest.raises(UnknownMetaParamError, match="did you mean 'learning_rate'"):
        measuring(make()).estimate(hoof(fit, {"learning_rat": RANGES["learning_rate"]}, 0.01))


def test_the_state_is_that_of_the_chosen_settings_which_beat_the_present_ones():
    setting = measuring(make())
    step, state, _, info = setting.estimate(hoof(fit, RANGES, 1.0, candidates=16))
    chosen = jax.tree.map(lambda now, way: now - way, setting.meta_params, step)
    batch = jax.tree.map(lambda leaf: leaf[0], setting.batches)
    again, _ = setting.problem.step(chosen, setting.state, batch)
    present, _ = setting.problem.step(setting.meta_params, setting.state, batch)
    assert again.params["w"].tolist() == pytest.approx(state.params["w"].tolist(), rel=1e-4)
    assert float(fit(setting.state, state, batch)) > float(fit(setting.state, present, batch))
    assert float(info.meta_loss) == pytest.approx(-float(fit(setting.state, state, batch)), rel=1e-4)


def test_the_chosen_update_went_no_further_than_the_bound():
    setting = measuring(make())
    _, state, _, info = setting.estimate(hoof(fit, RANGES, 0.01, candidates=16))
    moved = float(jnp.square(state.params["w"] - setting.state.params["w"]).sum())
    assert 0.0 < moved <= 0.01
    assert float(info.steps.distance[0]) == pytest.approx(moved, rel=1e-5)


def test_of_an_update_that_was_taken_each_candidate_is_measured():
    setting = measuring(make())
    plain = setting.estimate(hoof(fit, RANGES, 0.01, candidates=16))
    taken = Acted(setting.batches, jnp.ones(UPDATES), jnp.zeros(UPDATES))
    replayed = setting._replace(batches=taken).estimate(hoof(fit, RANGES, 0.01, candidates=16))
    for one, other in zip(jax.tree.leaves(plain), jax.tree.leaves(replayed), strict=True):
        assert jnp.asarray(one).tolist() == jnp.asarray(other).tolist()


def test_a_range_for_more_than_one_number_is_refused():
    setting = measuring(make())
    many = setting.meta_params | {"learning_rate": jnp.zeros(2)}
    with pytest.raises(EstimatorError, match=r"'learning_rate' has a range, and numbers of the shape \(2,\)"):
        setting.estimate(hoof(fit, RANGES, 0.01), meta_params=many)


def test_without_differentiation_the_updates_are_the_same_and_the_judge_is_never_asked():
    def never(*arguments):
        raise AssertionError("the judge was asked")

    setting = make()
    silent = setting._replace(problem=setting.problem._replace(meta_loss=never))
    gradient, state, _, info = silent.estimate(undifferentiated(3))
    expected = setting.state
    for k in range(3):
        batch = jax.tree.map(lambda leaf, k=k: leaf[k], setting.batches)
        expected, _ = setting.problem.step(setting.meta_params, expected, batch)
    assert state.params["w"].tolist() == pytest.approx(expected.params["w"].tolist(), rel=1e-6)
    assert all(float(leaf) == 0.0 for leaf in jax.tree.leaves(gradient))
    assert info.steps.loss.shape == (3,)


def test_what_makes_no_sense_is_refused():
    for odd in ({"candidates": 1}, {"candidates": 2.5}, {"spread": float("inf")}):
        with pytest.raises(EstimatorError, match="candidates"):
            inspect.unwrap(hoof)(fit, {}, 0.01, **odd)
    for unroll in (0, 1.5):
        with pytest.raises(EstimatorError, match="unroll"):
            inspect.unwrap(undifferentiated)(unroll)
