"""The outer loop: compiled once, the same inside any program, replayed exactly, and it moves what it says."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from selftune.errors import EstimatorError, SettingError
from selftune.estimators import bootstrapped, evolution, forward, implicit, mixture, truncated
from selftune.guards import numeric, range as range_guard, trust_region
from selftune.learning import Acted, learner
from selftune.metaparams import MetaParam, contextual, one_minus, positive, values
from selftune.tuning import tuner

from .setting import KEY, PARAMS, batch, batches, loss, meta_loss, predict, rule, spec, start


def distance(old, new, data):
    return jnp.square(predict(old, data[0]) - predict(new, data[0])).mean()


def guards(bound: float = 1e-4):
    return [trust_region(distance, bound), range_guard({"learning_rate": (1e-4, 1.0)}, leak=0.01), numeric()]


def close(left, right, rtol=1e-5):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-7), left, right)


def types(tree):
    return jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype, leaf.weak_type), tree)


@pytest.fixture(autouse=True)
def room():
    """What other tests have compiled is let go, so that what is counted here is kept."""
    jax.clear_caches()


ESTIMATORS = [
    truncated(2),
    truncated(2, "mixed"),
    forward(unroll=2),
    bootstrapped(1, 2),
    evolution("pes", unroll=2, population=2),
    evolution("nres", unroll=2, population=2, lifetime=3),
    implicit(unroll=2, iterations=2),
    mixture([truncated(1), truncated(2)]),
]


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: e.name)
def test_metaparameters_move_without_compiling_again(estimator):
    tuning, meta, state = start(estimator=estimator, guards=guards())
    before, seen = types((meta, state)), []
    for seed in range(3):
        meta, state, info = tuning.update(meta, state, batches(2 * seed, 2 * seed + 1), batch(9), KEY)
        seen.append(float(info.eta["learning_rate"]))
        assert types((meta, state)) == before
    assert len(set(seen)) == 3
    assert tuning._update._cache_size() <= 1  # 0 where a long-lived process has let go of it


def test_nor_where_the_next_batch_is_the_judge():
    tuning, meta, state = start(batches(0), guards=guards())
    before = types((meta, state))
    for seed in range(4):
        meta, state, _ = tuning.update(meta, state, batches(seed), None, KEY)
        assert types((meta, state)) == before
    for seed in range(4):
        _, acted, _ = tuning.act(meta, state, batch(seed))
        assert acted.scale.shape == ()
    assert tuning._update._cache_size() <= 1  # 0 where a long-lived process has let go of it
    assert tuning._act._cache_size() <= 1  # 0 where a long-lived process has let go of it


class TestWhereTheNextBatchIsTheJudge:
    def test_the_first_call_moves_the_learner_and_nothing_else(self):
        tuning, meta, state = start(batches(1))
        after, learned, info = tuning.update(meta, state, batches(1), None, KEY)
        jax.tree.map(np.testing.assert_array_equal, after.meta_params, meta.meta_params)
        jax.tree.map(np.testing.assert_array_equal, after.opt_state, meta.opt_state)
        assert after.updates == 1
        assert (learned.params["weight"] != state.params["weight"]).all()
        jax.tree.map(lambda leaf: np.testing.assert_array_equal(leaf, 0.0), info.meta_grad)

    def test_each_meta_gradient_is_that_of_the_update_before(self):
        # A call judges the update before, as it was taken: with the metaparameters of then. They move after the call.
        tuning, meta, state = start(batches(1), optimizer=optax.sgd(10.0))
        plain, untouched, _ = start(optimizer=optax.sgd(10.0))
        first_meta, first, _ = tuning.update(meta, state, batches(1), None, KEY)
        second_meta, second, info = tuning.update(first_meta, first, batches(2), None, KEY)
        expected_meta, expected_state, expected = plain.update(untouched, state, batches(1), batch(2), KEY)
        close(info.meta_grad, expected.meta_grad)
        close(second_meta.meta_params, expected_meta.meta_params)
        close(first.params, expected_state.params)
        np.testing.assert_allclose(info.meta_loss, expected.meta_loss, rtol=1e-6)

        _, _, info = tuning.update(second_meta, second, batches(3), None, KEY)
        _, expected_state, expected = plain.update(untouched, first, batches(2), batch(3), KEY)
        close(second.params, expected_state.params)
        close(info.meta_grad, expected.meta_grad)
        _, _, other = plain.update(expected_meta, first, batches(2), batch(3), KEY)
        assert abs(other.meta_grad["cost"] / expected.meta_grad["cost"] - 1.0) > 0.01

    def test_after_an_update_with_a_judge_of_its_own_it_begins_anew(self):
        tuning, meta, state = start(batches(1))
        meta, state, _ = tuning.update(meta, state, batches(1), None, KEY)
        meta, state, _ = tuning.update(meta, state, batches(2), batch(9), KEY)
        after, state, info = tuning.update(meta, state, batches(3), None, KEY)
        jax.tree.map(np.testing.assert_array_equal, after.meta_params, meta.meta_params)
        jax.tree.map(lambda leaf: np.testing.assert_array_equal(leaf, 0.0), info.meta_grad)
        _, _, info = tuning.update(after, state, batches(4), None, KEY)
        assert all((leaf != 0.0).all() for leaf in jax.tree.leaves(info.meta_grad))

    def test_it_needs_an_example(self):
        tuning, meta, state = start()
        with pytest.raises(EstimatorError, match="without an example of the batches"):
            tuning.update(meta, state, batches(1), None, KEY)


class TestInsideOtherPrograms:
    def sequence(self):
        return batches(1, 2, 3), batches(4, 5, 6), jax.random.split(KEY, 3)

    def eager(self, tuning, meta, state):
        for train, judge, key in zip(*map(self.unstack, self.sequence()), strict=True):
            window = jax.tree.map(lambda leaf: leaf[None], train)
            meta, state, _ = tuning.update(meta, state, window, judge, key)
        return meta, state

    def unstack(self, tree):
        return [jax.tree.map(lambda leaf, k=k: leaf[k], tree) for k in range(3)]

    def scanned(self, tuning, meta, state):
        def body(carry, inputs):
            train, judge, key = inputs
            window = jax.tree.map(lambda leaf: leaf[None], train)
            *carry, info = tuning.update(*carry, window, judge, key)
            return tuple(carry), info.eta

        return jax.lax.scan(body, (meta, state), self.sequence())

    @pytest.mark.parametrize(
        "estimator", [truncated(1), forward(), evolution("pes", population=2)], ids=lambda e: e.name
    )
    def test_a_scan_gives_what_single_calls_give(self, estimator):
        tuning, meta, state = start(estimator=estimator, guards=guards())
        (scanned, eta), single = self.scanned(tuning, meta, state), self.eager(tuning, meta, state)
        close((scanned[0].meta_params, scanned[1].params), (single[0].meta_params, single[1].params))
        assert eta["learning_rate"].shape == (3,)

    def test_an_update_may_be_one_branch_of_a_cond(self):
        tuning, meta, state = start(guards=guards())

        @jax.jit
        def sometimes(now, meta, state):
            def update(meta, state):
                return tuning.update(meta, state, batches(1), batch(2), KEY)[:2]

            return jax.lax.cond(now, update, lambda *carry: carry, meta, state)

        kept, _ = sometimes(False, meta, state)
        moved, _ = sometimes(True, meta, state)
        assert kept.updates == 0
        assert moved.updates == 1

    def test_many_seeds_and_initial_values_in_one_program(self):
        def final(learning_rate, seed):
            the_spec = spec(learning_rate)
            tuning = tuner(the_spec, learner(loss, rule), meta_loss, guards=guards(1.0))
            params = jax.tree.map(lambda leaf: leaf + 0.1 * jax.random.normal(seed, leaf.shape), PARAMS)
            state = tuning.learner.init(params, values(the_spec))
            (_, state), eta = self.scanned(tuning, tuning.init(state), state)
            return eta["learning_rate"][-1], state.params

        rates, keys = jnp.array([0.01, 0.05, 0.2]), jax.random.split(KEY, 3)
        together = jax.jit(jax.vmap(final))(rates, keys)
        alone = final(0.05, keys[1])
        close(jax.tree.map(lambda leaf: leaf[1], together), alone)
        assert len(set(together[0].tolist())) == 3


@pytest.mark.parametrize("bound", [1e-5, 1e3], ids=["projected", "free"])
def test_acting_ahead_and_replaying_is_updating(bound):
    # Three updates without differentiation, then the same under the gradient: the acted state and the replayed agree,
    # also where the trust region cut them short.
    tuning, meta, state = start(estimator=truncated(3), guards=guards(bound))
    acted_state, acted = state, []
    for seed in (1, 2, 3):
        acted_state, one, info = tuning.act(meta, acted_state, batch(seed))
        assert (info.scale < 1.0) == (bound < 1.0)
        acted.append(one)
    replay = jax.tree.map(lambda *leaves: jnp.stack(leaves), *acted)
    direct_meta, direct_state, direct = tuning.update(meta, state, batches(1, 2, 3), batch(4), KEY)
    replayed_meta, replayed_state, replayed = tuning.update(meta, state, replay, batch(4), KEY)
    close(direct_state.params, replayed_state.params)
    close(acted_state.params, replayed_state.params)
    close(direct.meta_grad, replayed.meta_grad)
    close(direct_meta.meta_params, replayed_meta.meta_params)
    assert direct.guards == replayed.guards


@pytest.mark.parametrize(
    "estimator", [truncated(2), truncated(2, "mixed"), forward(hessian=False, unroll=2)], ids=lambda e: e.name
)
def test_a_replay_takes_the_factors_it_is_given(estimator):
    tuning, meta, state = start(estimator=estimator, guards=guards(1e3))
    replay = Acted(batches(1, 2), jnp.array([0.0, 0.0]))
    _, learned, info = tuning.update(meta, state, replay, batch(4), KEY)
    jax.tree.map(np.testing.assert_array_equal, learned.params, state.params)
    assert info.meta_grad["learning_rate"] == 0.0


def test_the_optimizer_moves_the_coordinates_down_the_meta_gradient():
    tuning, meta, state = start(optimizer=optax.sgd(2.0))
    after, _, info = tuning.update(meta, state, batches(1), batch(2), KEY)
    for name, before in meta.meta_params.items():
        assert info.meta_grad[name] != 0.0
        np.testing.assert_allclose(after.meta_params[name], before - 2.0 * info.meta_grad[name], rtol=1e-6)
        np.testing.assert_allclose(info.eta[name], jnp.exp(after.meta_params[name]), rtol=1e-6)
    np.testing.assert_array_equal(info.meta_aux["note"], 1.0)
    assert info.steps.loss.shape == (1,)
    assert set(info.guards) >= {"numeric/loss", "numeric/state"}


def test_the_learner_learns_as_it_would_without_a_tuner():
    tuning, meta, state = start()
    _, learned, _ = tuning.update(meta, state, batches(1), batch(2), KEY)
    alone, _ = tuning.learner.step(values(tuning.spec), state, batch(1))
    close(learned, alone)


def test_nothing_tuned_is_a_fixed_learner():
    tuning, meta, state = start(the_spec={"learning_rate": 0.05, "cost": 0.1})
    after, learned, info = tuning.update(meta, state, batches(1), batch(2), KEY)
    assert after.meta_params == {}
    assert (learned.params["weight"] != state.params["weight"]).all()
    np.testing.assert_allclose(info.eta["learning_rate"], 0.05)


def test_every_update_of_a_window_sees_its_own_context():
    the_spec = {
        "cost": MetaParam(0.1, positive, contextual(1, hidden=(2,))),
        "learning_rate": MetaParam(0.05),
    }
    seen = []

    def context(data):
        return data[0][:1, 0]

    def watched(params, frozen, eta, data):
        jax.debug.callback(lambda cost: seen.append(float(cost)), eta["cost"])
        return loss(params, frozen, eta, data)

    tuning = tuner(the_spec, learner(watched, rule), meta_loss, truncated(3), context=context)
    state = tuning.learner.init(PARAMS, {"cost": 0.1, "learning_rate": 0.05})
    meta = tuning.init(state)
    meta.meta_params["cost"]["output"]["weight"] = jnp.array([3.0, -2.0])
    tuning.update(meta, state, batches(1, 2, 3), batch(4), KEY)
    jax.effects_barrier()
    assert len({round(cost, 6) for cost in seen}) == 3


class TestABareStep:
    spec = {"rate": MetaParam(0.1), "discount": MetaParam(0.9, one_minus())}  # noqa: RUF012

    @staticmethod
    def step(eta, state, data):
        position, speed = state
        speed = eta["discount"] * speed - eta["rate"] * (position - data)
        return (position + speed, speed), {"speed": speed}

    @staticmethod
    def judge(state, frozen, eta, data):
        return jnp.square(state[0] - data), None

    @pytest.mark.parametrize("estimator", [truncated(2), forward(unroll=2)], ids=lambda e: e.name)
    def test_any_step_function_will_do(self, estimator):
        # From (1, 0): speed1 = -r, position1 = 1 - r; speed2 = -d r - r (1 - r), position2 = 1 - r - d r - r + r^2.
        tuning = tuner(self.spec, self.step, self.judge, estimator, optax.set_to_zero())
        state = (jnp.asarray(1.0), jnp.asarray(0.0))
        _, state, info = tuning.update(tuning.init(state), state, jnp.zeros(2), jnp.asarray(0.0), KEY)
        np.testing.assert_allclose(state[0], 1.0 - 0.2 - 0.09 + 0.01, rtol=1e-6)
        # d position2^2 / d log r = 2 * 0.72 * (-2 - 0.9 + 0.2) * 0.1 = -0.3888
        np.testing.assert_allclose(info.meta_grad["rate"], -0.3888, rtol=1e-5)
        assert info.steps["speed"].shape == (2,)

    def test_what_takes_updates_apart_is_refused(self):
        state = (jnp.asarray(1.0), jnp.asarray(0.0))
        tuning = tuner(self.spec, self.step, self.judge, truncated(2, "mixed"))
        with pytest.raises(EstimatorError, match=r"learner\(loss, rule\)"):
            tuning.init(state)


def test_the_judge_may_be_differentiated_through_eta():
    # A judge that reads the cost: by itself it would be lowered, which is what holding eta still prevents.
    def judge(params, frozen, eta, data):
        return meta_loss(params, frozen, eta, data)[0] + 10.0 * eta["cost"], None

    def slope(*through):
        tuning = tuner(spec(), learner(loss, rule), judge, through=through)
        state = tuning.learner.init(PARAMS, values(spec()))
        return tuning.update(tuning.init(state), state, batches(1), batch(2), KEY)[2].meta_grad["cost"]

    np.testing.assert_allclose(slope("eta") - slope(), 10.0 * 0.1, rtol=1e-4)
    with pytest.raises(SettingError, match="expected any of 'eta', 'frozen'"):
        slope("params")


@pytest.mark.parametrize(
    ("given", "got"),
    [(batches(1, 2), "length 2"), (batch(1), "length 6"), ((jnp.zeros(()), jnp.zeros((1, 2))), "length none, 1")],
)
def test_a_window_of_another_length_is_refused(given, got):
    tuning, meta, state = start()
    with pytest.raises(EstimatorError, match=rf"takes 1 batches an update.*got leading axes of {got}"):
        tuning.update(meta, state, given, batch(2), KEY)


def test_what_is_neither_learner_nor_step_is_refused():
    with pytest.raises(SettingError, match="expects a Learner or a step function, got float"):
        inspect.unwrap(tuner)(spec(), 0.1, meta_loss)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"estimator": truncated}, "an estimator such as .*, got the function truncated, not called"),
        ({"estimator": "truncated"}, "got 'truncated'"),
        ({"optimizer": optax.adam}, "an optimizer such as .*, got the function adam, not called"),
        ({"guards": [numeric]}, "guards such as .*, got the function numeric, not called"),
    ],
)
def test_what_was_not_called_is_refused(arguments, message):
    with pytest.raises(SettingError, match=message):
        inspect.unwrap(tuner)(spec(), learner(loss, rule), meta_loss, **arguments)


@pytest.mark.parametrize("names", [("learning_rate", "cost"), ("cost", "learning_rate")])
def test_of_guards_that_share_a_name_each_is_heard(names):
    """Each holds one metaparameter and fires; that the other had nothing to hold is no news of it."""
    bounds = {"learning_rate": (0.04, 0.06), "cost": (0.09, 0.11)}
    both = [range_guard({name: bounds[name]}) for name in names]
    tuning, meta, state = start(guards=both, optimizer=optax.sgd(1e3))
    _, _, info = tuning.update(meta, state, batches(1), batch(2), KEY)
    assert info.guards == {"range/learning_rate": 1, "range/cost": 1}


def test_parameters_are_no_state():
    tuning, _, _ = start()
    with pytest.raises(SettingError, match=r"expects the state that learner\.init gave, got dict"):
        tuning.init(PARAMS)


def test_an_example_of_one_batch_is_refused():
    with pytest.raises(EstimatorError, match="got leading axes of length 6"):
        start(batch(1))
