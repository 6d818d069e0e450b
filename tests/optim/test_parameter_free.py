import jax
import jax.numpy as jnp
import optax
import optax.contrib
import pytest

from selftune.errors import RuleError
from selftune.learning import learner
from selftune.optim import parameter_free

RULES = {
    "prodigy": parameter_free.prodigy,
    "dog": parameter_free.dog,
    "dowg": parameter_free.dowg,
    "schedule_free": lambda: parameter_free.schedule_free(0.1),
}


@pytest.mark.parametrize("name", RULES)
def test_it_finds_a_minimum_without_a_rate(name):
    """From a distance of 5 to within a tenth of it, with first steps of a millionth."""
    rule, goal = RULES[name](), jnp.array([3.0, -4.0])

    def step(carry, _):
        x, state = carry
        updates, state = rule.update(x - goal, state, x)
        return (optax.apply_updates(x, updates), state), None

    start = jnp.zeros(2)
    (x, _), _ = jax.lax.scan(step, (start, rule.init(start)), None, length=1000)
    assert float(jnp.linalg.norm(x - goal)) < 0.5


def test_it_passes_the_probe_of_a_learner_which_the_bare_rule_does_not():
    loss = lambda params, frozen, eta, batch: (jnp.square(params).sum(), None)  # noqa: E731
    learner(loss, lambda eta: parameter_free.prodigy()).init(jnp.ones(3), {})
    with pytest.raises(RuleError, match="finite"):
        learner(loss, lambda eta: optax.contrib.prodigy()).init(jnp.ones(3), {})


def test_schedule_free_without_momentum_is_finite():
    rule, x = parameter_free.schedule_free(0.1, b1=0.0), jnp.ones(2)
    updates, _ = rule.update(x, rule.init(x), x)
    assert jnp.isfinite(updates).all()
    assert (updates < 0).all()


@pytest.mark.parametrize("name", RULES)
def test_types_stay_on_narrow_parameters(name):
    rules = RULES | {"schedule_free": lambda: parameter_free.schedule_free(jnp.float32(0.1))}  # as a metaparameter is
    rule, params = rules[name](), jnp.ones(3, jnp.bfloat16)
    state = rule.init(params)
    updates, after = rule.update(jnp.full(3, 0.5, jnp.bfloat16), state, params)
    assert updates.dtype == jnp.bfloat16
    assert [leaf.dtype for leaf in jax.tree.leaves(after)] == [leaf.dtype for leaf in jax.tree.leaves(state)]
