"""The trust region: no step beyond the bound, the rate comes down, and the meta-gradient sees it all the same."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from selftune.errors import EstimatorError, SettingError, UnknownMetaParamError
from selftune.guards import adaptive_rate, numeric, trust_region
from selftune.guards.trust import SLACK
from selftune.learning import learner
from selftune.metaparams import MetaParam, per_layer, positive, values
from selftune.optim import sgd
from selftune.tuning import tuner

from .setting import KEY, PARAMS, batch, distance, loss, meta_loss, start, window

BOUND = 1e-3


def steep(old, new, data):
    """A distance that a square root misjudges: it grows with the fourth power."""
    return distance(old, new, data) ** 2


def log_cosh(old, new, data):
    """And one that grows more slowly than the square, as divergences of saturated policies do."""
    far = jnp.abs(data[0] @ (new["policy"] - old["policy"]))
    return (far + jnp.log1p(jnp.exp(-2.0 * far)) - jnp.log(2.0)).mean()


@pytest.mark.parametrize("rate", [1e-4, 0.05, 10.0, 1e4, 1e8])
@pytest.mark.parametrize("measure", [distance, steep, log_cosh])
def test_no_step_goes_beyond_the_bound(measure, rate):
    tuning, meta, state = start([trust_region(measure, BOUND)], rate)
    _, after, info = tuning.update(meta, state, window(1), batch(2), KEY)
    gone = measure(state.params, after.params, batch(1))
    assert gone <= 1.001 * SLACK * BOUND
    wanted = info.steps.distance[0]
    assert info.guards["trust_region"] == (wanted > SLACK * BOUND)
    assert (info.steps.scale[0] < 1.0) == (wanted > SLACK * BOUND)
    if wanted > BOUND and measure is not steep:  # a projected step uses the region that it has
        assert gone > 0.1 * BOUND


def test_the_rate_is_pulled_down_by_the_factor_of_the_step():
    tuning, _, state = start([trust_region(distance, BOUND)])
    still = tuner(tuning.spec, learner(loss, tuning.learner.rule), meta_loss, None, optax.set_to_zero(), tuning.guards)
    _, _, info = still.update(still.init(state), state, window(1), batch(2), KEY)
    assert 0.1 < info.steps.scale[0] < 1.0
    np.testing.assert_allclose(info.eta["learning_rate"], 0.05 * info.steps.scale[0], rtol=1e-5)
    np.testing.assert_allclose(info.eta["cost"], 0.1, rtol=1e-5)


def test_it_is_pulled_down_by_ten_at_most():
    tuning, meta, state = start([trust_region(distance, BOUND)], rate=1e4)
    _, _, info = tuning.update(meta, state, window(1), batch(2), KEY)
    assert info.steps.scale[0] < 1e-3
    np.testing.assert_allclose(info.eta["learning_rate"], 1e3, rtol=0.2)


def test_a_step_inside_leaves_the_rate_to_the_meta_gradient():
    guarded, free = (start(guards, rate=1e-4) for guards in ([trust_region(distance, BOUND)], []))
    (*_, info), (*_, expected) = (t.update(m, s, window(1), batch(2), KEY) for t, m, s in (guarded, free))
    assert info.guards["trust_region"] == 0
    np.testing.assert_allclose(info.eta["learning_rate"], expected.eta["learning_rate"], rtol=1e-6)


def test_a_rate_for_each_layer_is_pulled_down_layer_by_layer():
    spec = {"learning_rate": MetaParam(0.5, positive, per_layer), "cost": 0.1}
    inner = learner(loss, lambda eta: sgd(eta["learning_rate"]))
    state = inner.init(PARAMS, {"learning_rate": jax.tree.map(jnp.ones_like, PARAMS), "cost": 0.1})
    tuning = tuner(spec, inner, meta_loss, None, optax.set_to_zero(), [trust_region(distance, BOUND)])
    _, _, info = tuning.update(tuning.init(state), state, window(1), batch(2), KEY)
    factor = jnp.maximum(info.steps.scale[0], 0.1)
    for rate in jax.tree.leaves(info.eta["learning_rate"]):
        np.testing.assert_allclose(rate, 0.5 * factor, rtol=1e-4)


def test_the_meta_gradient_of_a_projected_step_is_not_hidden():
    # A projected step has the same length at every rate: differentiated through, the rate would seem to do nothing.
    with jax.enable_x64(True):
        tuning, meta, state = start([trust_region(distance, BOUND)], rate=5.0)
        data, judge = batch(1), batch(2)
        _, _, info = tuning.update(meta, state, jax.tree.map(lambda leaf: leaf[None], data), judge, KEY)
        eta = values(tuning.spec)
        gradient = tuning.learner.gradient(eta, state, data)[0]

        def judged(log_rate, scale):
            moved = jax.tree.map(lambda p, g: p - scale(log_rate) * jnp.exp(log_rate) * g, state.params, gradient)
            return meta_loss(moved, None, eta, judge)[0]

        def factor(log_rate):
            full = jax.tree.map(lambda p, g: p - jnp.exp(log_rate) * g, state.params, gradient)
            return jnp.sqrt(BOUND / distance(state.params, full, data))

        log_rate = jnp.log(5.0)
        hidden = jax.grad(judged)(log_rate, factor)
        seen = jax.grad(judged)(log_rate, lambda _: info.steps.scale[0])
        assert abs(hidden) < 1e-6
        assert abs(seen) > 1e-2
        np.testing.assert_allclose(info.meta_grad["learning_rate"], seen, rtol=1e-5)


def test_one_part_is_scaled_and_the_other_left_alone():
    def policy_only(factor):
        return {"policy": factor, "critic": jnp.ones(())}

    whole, parted = (start([trust_region(distance, BOUND, **a)], 1.0) for a in ({}, {"part": policy_only}))
    free = start([], 1.0)
    whole, parted, free = (t.update(m, s, window(1), batch(2), KEY)[1].params for t, m, s in (whole, parted, free))
    np.testing.assert_array_equal(parted["critic"], free["critic"])
    np.testing.assert_allclose(parted["policy"], whole["policy"], rtol=1e-6)
    assert (whole["critic"] != free["critic"]).all()


def test_a_distance_slightly_below_zero_counts_as_zero():
    tuning, meta, state = start([trust_region(lambda old, new, data: jnp.asarray(-1e-9), BOUND), numeric()])
    _, after, info = tuning.update(meta, state, window(1), batch(2), KEY)
    assert info.steps.scale[0] == 1.0
    assert info.steps.distance[0] == 0.0
    assert not any(info.guards.values())
    assert (after.params["policy"] != state.params["policy"]).all()


def test_a_step_that_nothing_makes_short_enough_is_not_taken():
    tuning, meta, state = start([trust_region(lambda old, new, data: jnp.asarray(1.0), BOUND)])
    _, after, info = tuning.update(meta, state, window(1), batch(2), KEY)
    np.testing.assert_array_equal(after.params["policy"], state.params["policy"])
    assert info.guards["trust_region"] == 1


def test_a_step_whose_distance_is_no_number_is_not_taken():
    nowhere = trust_region(lambda old, new, data: distance(old, new, data) * jnp.nan, BOUND)
    tuning, meta, state = start([nowhere, numeric()])
    _, after, info = tuning.update(meta, state, window(1), batch(2), KEY)
    np.testing.assert_array_equal(after.params["policy"], state.params["policy"])
    assert {name for name, fired in info.guards.items() if fired} == {"trust_region"}
    assert info.eta["learning_rate"] < 0.01, "and the rate comes down from 0.05"


def test_it_measures_on_the_batch_of_the_update():
    seen = []

    def watch(old, new, data):
        seen.append(data[0].shape)
        return distance(old, new, data)

    tuning, meta, state = start([trust_region(watch, BOUND)])
    tuning.update(meta, state, window(1), batch(2), KEY)
    assert set(seen) == {(8, 3)}


def test_what_makes_no_sense_is_refused():
    with pytest.raises(SettingError, match="expected a bound above 0"):
        trust_region(distance, 0.0)
    for other in (adaptive_rate(distance), trust_region(distance, BOUND)):
        with pytest.raises(SettingError, match="expected one of them"):
            start([trust_region(distance, BOUND), other])
    with pytest.raises(EstimatorError, match="needs a Learner, got a bare step function"):
        inspect.unwrap(tuner)({"rate": MetaParam(0.1)}, lambda *a: a, meta_loss, guards=[trust_region(distance, BOUND)])


@pytest.mark.parametrize("guard", [trust_region, adaptive_rate])
def test_a_rate_of_another_name_is_refused(guard):
    with pytest.raises(UnknownMetaParamError, match=r"has no 'rate'; did you mean 'learning_rate'"):
        update([guard(distance, BOUND, rates=("rate",))])
    update([guard(distance, BOUND, rates=())])


def update(guards):
    tuning, meta, state = start(guards)
    return tuning.update(meta, state, window(1), batch(2), KEY)
