"""Entries and derivatives by hand, also where a compiler computes the entries twice."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from selftune.envs.worlds.curriculum import FRACTIONS, curriculum
from selftune.objectives.extremes import largest, smallest
from selftune.scenarios.education import belief as beliefs
from selftune.scenarios.education.tutor import START

VALUES = jnp.array([[1.0, 5.0, 5.0], [4.0, 2.0, 3.0]])


def test_entries_and_their_derivatives():
    np.testing.assert_array_equal(largest(VALUES, -1), [5.0, 4.0])
    np.testing.assert_array_equal(smallest(VALUES, 0), [1.0, 2.0, 3.0])
    np.testing.assert_array_equal(jax.grad(lambda x: largest(x, 1).sum())(VALUES), [[0, 1, 0], [1, 0, 0]])
    np.testing.assert_array_equal(jax.grad(lambda x: smallest(x, 1).sum())(VALUES), [[1, 0, 0], [0, 1, 0]])


@pytest.mark.parametrize("name", ["pace", "discount", "half_life"])
def test_a_compiled_derivative_is_the_one_that_is_not_compiled(name):
    # With jnp.max in `plan` the compiled derivative of this was infinite.
    needs, seed = jnp.asarray(curriculum(FRACTIONS).needs), jax.random.key(0)

    def logit(value, own, gained):
        stage = beliefs.nothing_known(12)._replace(own=own, gained=gained)
        return beliefs.plan({**START, name: value}, stage, jnp.float32(2.0), needs)[0]

    own, gained = 0.2 * jax.random.normal(seed, (20, 12)), jax.random.uniform(seed, (20, 12))
    compiled = jax.jit(jax.vmap(jax.grad(logit), in_axes=(None, 0, 0)))(jnp.float32(START[name]), own, gained)
    assert np.isfinite(compiled).all()
    for number in range(3):
        with jax.disable_jit():
            expected = jax.grad(logit)(jnp.float32(START[name]), own[number], gained[number])
        assert float(compiled[number]) == pytest.approx(float(expected), rel=1e-3, abs=1e-4)
