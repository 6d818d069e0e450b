"""The probe refuses what would turn meta-gradients into NaN, by name, and lets the rest pass."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import optax
import pytest

from selftune import learning, optim
from selftune.errors import RuleError, UnknownMetaParamError

PARAMS = {"w": jnp.array([[0.5, -1.0]]), "b": jnp.zeros(2)}
ETA = {"lr": 0.1, "b2": jnp.float32(0.99), "max_norm": 1.0, "rates": {"w": 0.1, "b": jnp.array([0.1, 0.2])}, "k": 3}

SAFE = {
    "sgd": lambda eta: optim.sgd(eta["rates"]),
    "momentum": lambda eta: optim.momentum(eta["lr"]),
    "rmsprop": lambda eta: optim.rmsprop(eta["lr"], eta["b2"]),
    "adam": lambda eta: optim.adam(eta["lr"], b2=eta["b2"]),
    "adamw": lambda eta: optim.adamw(eta["rates"], weight_decay=eta["rates"]),
    "lion": lambda eta: optim.lion(eta["lr"], b2=eta["b2"]),
    "clip": lambda eta: optim.chain(optim.clip_by_global_norm(eta["max_norm"]), optim.adam(eta["lr"])),
    "hypergradient": lambda eta: optim.hypergradient_descent(eta["lr"], 0.1),
    "multiplicative": lambda eta: optim.multiplicative_hypergradient_descent(eta["lr"], 0.1),
    "optax.sgd": lambda eta: optax.sgd(eta["lr"], 0.9),
    "optax.rmsprop": lambda eta: optax.rmsprop(eta["lr"], eta["b2"]),
    "optax.adam with eps_root": lambda eta: optax.adam(eta["lr"], b2=eta["b2"], eps_root=1e-8),
    "no metaparameter at all": lambda eta: optax.sgd(0.1),
}
UNSAFE = {
    "optax.adam": lambda eta: optax.adam(eta["lr"]),
    "optax.adamw": lambda eta: optax.adamw(eta["lr"]),
    "optax.clip": lambda eta: optax.chain(optax.clip_by_global_norm(eta["max_norm"]), optax.sgd(eta["lr"])),
    "masked": lambda eta: optax.masked(optax.adam(eta["lr"]), {"w": True, "b": False}),
}


@pytest.mark.parametrize("rule", SAFE.values(), ids=SAFE)
def test_accepts(rule):
    learning.probe_rule(rule, PARAMS, ETA)


@pytest.mark.parametrize("rule", UNSAFE.values(), ids=UNSAFE)
def test_refuses(rule):
    with pytest.raises(RuleError, match="exactly zero") as caught:
        learning.probe_rule(rule, PARAMS, ETA)
    assert "selftune.optim" in str(caught.value)
    assert "eps_root" in str(caught.value)


def test_names_what_is_not_finite():
    with pytest.raises(RuleError, match=r"gradient of w and the metaparameter b2\. ") as caught:
        learning.probe_rule(
            lambda eta: optax.masked(optax.adam(eta["lr"], b2=eta["b2"]), {"w": True, "b": False}), PARAMS, ETA
        )
    assert "lr" not in str(caught.value)


def test_names_a_leaf_of_a_metaparameter():
    def rule(eta):
        return optim.sgd({"w": jnp.sqrt(0.0 * eta["rates"]["w"]), "b": eta["rates"]["b"]})

    with pytest.raises(RuleError, match=r"the metaparameter rates\.w"):
        learning.probe_rule(rule, PARAMS, ETA)


def test_a_bare_array_has_a_name_too():
    with pytest.raises(RuleError, match="gradient of params"):
        learning.probe_rule(UNSAFE["optax.adam"], jnp.ones(3), ETA)


def test_a_missing_metaparameter_is_named():
    with pytest.raises(UnknownMetaParamError, match=r"'learning_rate'.*did you mean 'learning_rates'"):
        learning.probe_rule(lambda eta: optim.sgd(eta["learning_rate"]), PARAMS, {"learning_rates": 0.1})


def test_an_error_of_the_rule_itself_passes_through():
    def rule(eta):
        return optim.sgd({"fast": eta["lr"]}[SimpleNamespace]) if "lr" in eta else None

    with pytest.raises(UnknownMetaParamError, match="SimpleNamespace"):
        learning.probe_rule(rule, PARAMS, ETA)
    with pytest.raises(ZeroDivisionError):
        learning.probe_rule(lambda eta: optim.sgd(1 / 0), PARAMS, ETA)


@pytest.mark.parametrize("transform", [jax.jit, jax.vmap, lambda f: jax.vmap(jax.jit(f)), jax.grad])
def test_works_on_tracers(transform):
    def probed(rule, rate):
        params = {"w": rate * jnp.ones(3)}
        learning.probe_rule(rule, params, {"lr": rate, "b2": 0.99, "max_norm": 1.0})
        return rate**2

    rates = jnp.array(0.1) if transform in (jax.jit, jax.grad) else jnp.array([0.1, 0.2])
    transform(lambda rate: probed(SAFE["adam"], rate))(rates)
    with pytest.raises(RuleError, match="exactly zero"):
        transform(lambda rate: probed(UNSAFE["optax.adam"], rate))(rates)


def test_a_closed_over_tracer_is_refused():
    def step(rate):
        learning.probe_rule(lambda eta: optim.sgd(rate * eta["lr"]), PARAMS, ETA)
        return rate

    with pytest.raises(RuleError, match="through eta"):
        jax.jit(step)(0.1)


def test_extras_reach_the_rule():
    extras = {"features": jax.tree.map(jnp.ones_like, PARAMS)}
    learning.probe_rule(lambda eta: optim.idbd(eta["lr"], 0.01), PARAMS, ETA, extras)
    learning.probe_rule(lambda eta: optim.autostep(eta["lr"]), PARAMS, ETA, extras)
    with pytest.raises(TypeError, match="features"):
        learning.probe_rule(lambda eta: optim.idbd(eta["lr"], 0.01), PARAMS, ETA)


def test_callable_extras_reach_the_rule_as_they_are():
    learning.probe_rule(
        lambda eta: optim.stochastic_meta_descent(eta["lr"], 0.01),
        PARAMS,
        ETA,
        {"hessian_vector_product": lambda v: jax.tree.map(lambda leaf: 2.0 * leaf, v)},
    )


def test_a_learner_asks_its_rule_again_only_what_is_new():
    asked = []

    def rule(eta):
        asked.append(eta)
        return optim.adam(eta["lr"], b2=eta["b2"])

    def times(params, eta, among):
        asked.clear()
        among.init(params, eta)
        return len(asked)

    def loss(params, frozen, eta, batch):
        return jnp.zeros(()), None

    one = learning.learner(loss, rule)
    whole = times(PARAMS, ETA, one)
    assert whole > 1
    assert times(PARAMS, ETA, one) == 1, "to begin, no more"
    assert jax.jit(lambda params: one.init(params, ETA).params)(PARAMS).keys() == PARAMS.keys()
    assert len(asked) == 2, "nor inside a program"
    assert times(PARAMS, ETA, learning.learner(loss, rule)) == whole, "what the rule reads may be another by now"
    assert times({"w": jnp.zeros(3)}, ETA, one) == whole, "of other parameters"
    assert times(PARAMS, ETA | {"lr": 0.2}, one) == whole, "with another value"
    for _ in range(2):
        with pytest.raises(RuleError):
            one.init(PARAMS, ETA | {"lr": float("nan")})
