"""Whatever is not finite: everything stays as it was, to the last bit, and the culprit has a name."""

import jax
import jax.numpy as jnp
import optax
import pytest

from selftune.estimators import EstimateInfo, evolution, forward, truncated
from selftune.guards import Attempt, Position, numeric, range as within, trust_region
from selftune.learning import StepInfo
from selftune.metaparams import (
    Constraint,
    MetaParam,
    between,
    bind,
    contextual,
    free,
    interval,
    one_minus,
    per_layer,
    positive,
    scalar,
    simplex,
    unit,
)
from selftune.tuning import tuner

from .setting import KEY, batch, distance, loss, same_bits, start, window


def poisoned(data, value=jnp.nan):
    return (data[0].at[..., -1, 0].set(value), data[1])


def culprits(info) -> set[str]:
    return {name for name, fired in info.guards.items() if fired}


EVERYTHING_MOVING = {
    "numeric/meta_grad/cost",
    "numeric/meta_grad/learning_rate",
    "numeric/eta/cost",
    "numeric/meta_state",
}


@pytest.mark.parametrize("value", [jnp.nan, jnp.inf])
@pytest.mark.parametrize("estimator", [truncated(1), truncated(1, "mixed"), forward()], ids=lambda e: e.name)
def test_in_the_training_batch(estimator, value):
    tuning, meta, state = start([numeric()], estimator=estimator)
    meta, state, info = tuning.update(meta, state, window(1), batch(2), KEY)
    assert culprits(info) == set()
    new_meta, new_state, info = tuning.update(meta, state, poisoned(window(3), value), batch(4), KEY)
    assert same_bits(new_state, state)
    assert same_bits(new_meta._replace(updates=meta.updates), meta)
    assert new_meta.updates == meta.updates + 1
    assert {"numeric/loss", "numeric/gradient", "numeric/state", *EVERYTHING_MOVING} <= culprits(info)


def test_in_the_validation_batch():
    tuning, meta, state = start([numeric()])
    new_meta, new_state, info = tuning.update(meta, state, window(1), poisoned(batch(2)), KEY)
    assert same_bits(new_state, state)
    assert same_bits(new_meta._replace(updates=meta.updates), meta)
    assert {"numeric/meta_loss", *EVERYTHING_MOVING} <= culprits(info)
    assert not culprits(info) & {"numeric/loss", "numeric/gradient", "numeric/state"}


def test_in_one_batch_of_a_window():
    tuning, meta, state = start([numeric()], estimator=truncated(3))
    batches = jax.tree.map(lambda good, bad: good.at[1].set(bad), window(1, 2, 3), poisoned(batch(4)))
    _, new_state, info = tuning.update(meta, state, batches, batch(5), KEY)
    assert same_bits(new_state, state)
    assert "numeric/loss" in culprits(info)


def test_in_a_batch_that_judges_and_trains():
    # validation=None: the poisoned batch must leave no trace in what waits to be judged either.
    tuning, meta, state = start([numeric()])
    meta, state, _ = tuning.update(meta, state, window(1), None, KEY)
    new_meta, new_state, info = tuning.update(meta, state, poisoned(window(2)), None, KEY)
    assert same_bits(new_state, state)
    assert same_bits(new_meta._replace(updates=meta.updates), meta)
    assert "numeric/loss" in culprits(info)
    with_bad = tuning.update(new_meta, new_state, window(3), None, KEY)
    without = tuning.update(meta, state, window(3), None, KEY)
    assert same_bits(with_bad[1:], without[1:])


def test_only_one_metaparameter_is_to_blame():
    # The loss is finite and so is its gradient; the derivative of a square root at zero in the cost is not.
    def rooted(params, frozen, eta, data):
        value, aux = loss(params, frozen, eta, data)
        return value + params["critic"][0] * jnp.sqrt(eta["cost"] - eta["cost"]), aux

    tuning, meta, state = start([numeric()], loss=rooted)
    new_meta, new_state, info = tuning.update(meta, state, window(1), batch(2), KEY)
    assert same_bits(new_state, state)
    assert same_bits(new_meta._replace(updates=meta.updates), meta)
    assert culprits(info) == {"numeric/meta_grad/cost", "numeric/meta_state", "numeric/eta/cost"}


def test_a_bare_step_is_looked_at_too():
    tuning = tuner(
        {"rate": MetaParam(0.1)},
        lambda eta, state, data: (state - eta["rate"] * data, {"seen": data}),
        lambda state, frozen, eta, data: (jnp.square(state - data), None),
    )
    state = jnp.asarray(1.0)
    meta = tuning.init(state)
    _, new_state, info = tuning.update(meta, state, jnp.array([jnp.nan]), jnp.asarray(0.0), KEY)
    assert new_state == state
    assert {"numeric/step", "numeric/state"} <= culprits(info)


def test_counters_and_integers_are_no_culprits():
    tuning = tuner(
        {"rate": MetaParam(0.1)},
        lambda eta, state, data: ((state[0] - eta["rate"] * data, state[1] + 1), None),
        lambda state, frozen, eta, data: (jnp.square(state[0] - data), None),
    )
    state = (jnp.asarray(1.0), jnp.asarray(0))
    _, state, info = tuning.update(tuning.init(state), state, jnp.array([1.0]), jnp.asarray(0.0), KEY)
    assert state[1] == 1
    assert culprits(info) == set()


def test_in_the_state_of_the_meta_optimizer():
    # A meta-gradient of about 1e10 * 1e12 is finite in single precision, and its square, which Adam averages, is not.
    tuning, meta, state = start([numeric()])
    meta, state, _ = tuning.update(meta, state, window(1), batch(2), KEY)
    (x, y), (seen, truth) = batch(3), window(4)
    new_meta, new_state, info = tuning.update(meta, state, (seen, 1e10 * truth), (x, 1e12 * y), KEY)
    assert culprits(info) == {"numeric/meta_state"}
    assert same_bits(new_state, state)
    assert same_bits(new_meta._replace(updates=meta.updates), meta)


def test_what_waits_to_be_judged_is_forgotten_if_it_is_the_culprit():
    # max(c (p - 0.5), 0) ** 1.5 has the derivative 0 at p = 0.5, where the policy begins, and no second one, all
    # that the metaparameter feels of the update: whatever data came to judge it, they would be undone.
    def kinked(params, frozen, eta, data):
        value, aux = loss(params, frozen, {"cost": 0.0}, data)
        return value + jnp.maximum(eta["cost"] * (params["policy"][0] - 0.5), 0.0) ** 1.5, aux

    tuning, meta, state = start([numeric()], loss=kinked)
    meta, state, info = tuning.update(meta, state, window(1), None, KEY)
    assert culprits(info) == set(), "the update itself is a finite one"
    meta, undone, info = tuning.update(meta, state, window(2), None, KEY)
    assert "numeric/meta_grad/cost" in culprits(info)
    assert same_bits(undone, state)
    meta, state, info = tuning.update(meta, state, window(3), None, KEY)
    assert culprits(info) == set()
    assert not same_bits(undone, state), "it goes on"


@pytest.mark.parametrize("estimator", [forward(), evolution("pes", sigma=1e-3)], ids=lambda e: e.name)
def test_what_grew_beyond_all_bounds_is_forgotten(estimator):
    # x -> r x (1 - x) stays in [0, 1] at r = 3.9, its derivative in r grows by half a unit of its logarithm each step;
    # a particle of larger r leaves the interval and is lost within a few.
    def chaos(eta, state, data):
        return eta["r"] * state * (1.0 - state), None

    def height(state, frozen, eta, data):
        return state, None

    spec = {"r": MetaParam(3.9 if estimator.name.startswith("forward") else 3.9999)}
    tuning = tuner(spec, chaos, height, estimator, optax.set_to_zero())
    state = jnp.asarray(0.3)
    meta, undone, moved = tuning.init(state), 0, 0
    for number in range(400):
        key = jax.random.fold_in(KEY, number)
        meta, after, info = tuning.update(meta, state, jnp.zeros(1), jnp.zeros(()), key)
        undone += bool(culprits(info))
        moved += number >= 300 and bool(after != state)
        state = after
    assert undone > 0
    assert moved > 50, "the learner goes on, long after the first overflow"


@pytest.mark.parametrize("first", [True, False])
def test_nothing_moves_what_was_put_back_wherever_the_guard_stands_in_the_list(first):
    others = [trust_region(distance, 0.1, rates=["learning_rate"]), within({"cost": (0.1, 0.2)}, leak=0.5)]
    tuning, meta, state = start([numeric(), *others] if first else [*others, numeric()])
    meta, state, info = tuning.update(meta, state, window(1), batch(2), KEY)
    new_meta, new_state, info = tuning.update(meta, state, poisoned(window(3)), batch(4), KEY)
    assert culprits(info) & EVERYTHING_MOVING
    assert same_bits(new_meta.meta_params, meta.meta_params)
    assert same_bits(new_state, state)


def moved_by(name, entry, start, far):
    """The coordinates after the guard, and whether it fired, where an update led from `start` to `far`."""
    here, there = (Position({name: x}, (), (), {"w": x}) for x in (start, far))
    info = EstimateInfo(jnp.zeros(()), {}, StepInfo(*[jnp.zeros(1)] * 5), jnp.asarray(True))
    after, fired = numeric().check({name: entry}, Attempt(here, there, here.meta_params, info))
    assert same_bits(after.state, there.state), "the learner goes on"
    return after.meta_params[name], {guard for guard, count in fired.items() if count}


@pytest.mark.parametrize("direction", [1.0, -1.0])
@pytest.mark.parametrize("constraint", [positive, unit, one_minus(), interval(0.0, 2.0)], ids=lambda c: c.name)
def test_a_value_without_a_way_back_stays_where_it_was(constraint, direction):
    """exp(200) is no float32, and exp(-200) is 0: no update to come would move it."""
    entry, start, far = MetaParam(0.5, constraint), jnp.float32(0.0), jnp.float32(200.0 * direction)
    assert moved_by("x", entry, start, far) == (start, {"numeric/eta/x"})
    assert moved_by("x", entry, far, start)[0] == start
    if constraint is not positive or direction < 0.0:  # what is flat already moves, so that others can lead it back
        assert moved_by("x", entry, far, 0.9 * far) == (0.9 * far, set())


def test_of_many_only_those_without_a_way_back_stay():
    entry = MetaParam(0.5, unit, per_layer)
    stayed, fired = moved_by(
        "x", entry, {"a": jnp.zeros(2), "b": jnp.zeros(2)}, {"a": jnp.array([9.0, 99.0]), "b": jnp.ones(2)}
    )
    assert stayed["a"].tolist() == [9.0, 0.0]
    assert stayed["b"].tolist() == [1.0, 1.0]
    assert fired == {"numeric/eta/x"}


def test_what_is_flat_for_other_reasons_moves():
    """Held by its scope; a function of the context; entries that lean on one another, by whatever name."""
    leaning = Constraint("weights", lambda x: 3.0 * jax.nn.softmax(x), jnp.log, 0.0, 3.0)
    for entry, far in (
        (MetaParam(0.5, unit, between(*unit.coordinates((0.2, 0.9)), scalar)), jnp.float32(200.0)),
        (MetaParam(jnp.array([0.4, 0.6]), simplex), jnp.array([1.0, -1.0])),
        (MetaParam(jnp.array([1.0, 2.0]), leaning), jnp.array([1.0, -1.0])),
        (MetaParam(0.5, free), jnp.float32(200.0)),
    ):
        assert moved_by("x", entry, jnp.zeros_like(far), far)[1] == set()
    spec = {"x": MetaParam(0.5, unit, contextual(2))}
    start = bind(spec, {}).init(jax.random.key(0))["x"]
    far = jax.tree.map(lambda leaf: leaf + 200.0, start)
    assert moved_by("x", spec["x"], start, far)[1] == set()
