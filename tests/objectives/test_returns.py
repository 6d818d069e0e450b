"""Returns against numbers worked out by hand, against rlax 0.1.9, in their limits, and their derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from selftune.errors import SettingError
from selftune.objectives.returns import (
    cut_at_boundaries,
    generalized_advantage,
    lambda_returns,
    n_step_returns,
    vtrace,
)

# One trajectory of four steps; its third step terminates.
REWARD = jnp.array([1.0, 0.0, 2.0, -1.0])
DISCOUNT = jnp.array([0.9, 0.9, 0.0, 0.9])
VALUE = jnp.array([0.0, 0.5, 1.0, -1.0])  # v_tm1
NEXT_VALUE = jnp.array([0.5, 1.0, 7.0, 2.0])  # v_t; the 7 must not matter
LAMBDA = jnp.array([0.5, 0.5, 0.0, 0.5])
RATIO = jnp.array([0.5, 2.0, 1.0, 3.0])


def assert_close(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)


def random_trajectory(T, seed=0):
    keys = jax.random.split(jax.random.key(seed), 4)
    r_t, v_tm1, v_t = (jax.random.normal(key, (T,)) for key in keys[:3])
    return r_t, v_tm1, v_t, jax.random.uniform(keys[3], (T,), minval=0.2, maxval=2.0)


# Each takes (r_t, discount_t, v_tm1, v_t, rho_tm1, lambda_), so that one test covers the family.
FAMILY = {
    "lambda_returns": lambda r, d, v_tm1, v, rho, lam: lambda_returns(r, d, v, lam),
    "n_step_returns": lambda r, d, v_tm1, v, rho, lam: n_step_returns(r, d, v, 3, lam),
    "generalized_advantage": lambda r, d, v_tm1, v, rho, lam: generalized_advantage(r, d, v_tm1, v, lam),
    "vtrace_targets": lambda r, d, v_tm1, v, rho, lam: vtrace(v_tm1, v, r, d, rho, lam).targets,
    "vtrace_advantages": lambda r, d, v_tm1, v, rho, lam: vtrace(v_tm1, v, r, d, rho, lam).advantages,
}
family = pytest.mark.parametrize("compute", FAMILY.values(), ids=FAMILY.keys())


class TestGolden:
    """Worked out by hand; the same numbers come from rlax 0.1.9."""

    def test_lambda_returns(self):
        # G3 = -1 + .9*2 = .8; G2 = 2; G1 = .9*(.5*1 + .5*2) = 1.35; G0 = 1 + .9*(.5*.5 + .5*1.35) = 1.8325
        expected = [1.8325, 1.35, 2.0, 0.8]
        assert_close(lambda_returns(REWARD, DISCOUNT, NEXT_VALUE, LAMBDA), expected)
        # Where the episode terminated the discount alone cuts: lambda is free there.
        assert_close(lambda_returns(REWARD, DISCOUNT, NEXT_VALUE, 0.5), expected)

    @pytest.mark.parametrize(
        ("n", "expected"),
        [
            (1, [1.45, 0.9, 2.0, 0.8]),  # r + discount * v: 1 + .45, .9, 2, -1 + 1.8
            (2, [1.81, 1.8, 2.0, 0.8]),  # 1 + .9*0 + .81*1; 0 + .9*2; then as above
            (3, [2.62, 1.8, 2.0, 0.8]),  # 1 + .9*0 + .81*2, and no bootstrap: it terminated
            (9, [2.62, 1.8, 2.0, 0.8]),
        ],
    )
    def test_n_step_returns(self, n, expected):
        assert_close(n_step_returns(REWARD, DISCOUNT, NEXT_VALUE, n), expected)

    def test_generalized_advantage(self):
        # TD errors: 1.45 - 0 = 1.45; .9 - .5 = .4; 2 - 1 = 1; .8 + 1 = 1.8. Then backwards with .9 * .5:
        # A3 = 1.8; A2 = 1; A1 = .4 + .45*1 = .85; A0 = 1.45 + .45*.85 = 1.8325
        advantages = generalized_advantage(REWARD, DISCOUNT, VALUE, NEXT_VALUE, 0.5)
        assert_close(advantages, [1.8325, 0.85, 1.0, 1.8])

    def test_vtrace(self):
        # rho = min(1.5, ratio) = .5, 1.5, 1, 1.5; c = min(1, ratio) = .5, 1, 1, 1; TD errors as above.
        # e3 = 1.5*1.8 = 2.7; e2 = 1; e1 = 1.5*.4 + .45*1*1 = 1.05; e0 = .5*1.45 + .45*.5*1.05 = .96125
        # targets = v + e = .96125, 1.55, 2, 1.7
        # advantages: .5*(1 + .9*(.5*.5 + .5*1.55) - 0) = .96125; 1.5*(.9*(.5*1 + .5*2) - .5) = 1.275; 1; 2.7
        result = vtrace(VALUE, NEXT_VALUE, REWARD, DISCOUNT, RATIO, LAMBDA, clip_rho=1.5)
        assert_close(result.errors, [0.96125, 1.05, 1.0, 2.7])
        assert_close(result.targets, [0.96125, 1.55, 2.0, 1.7])
        assert_close(result.advantages, [0.96125, 1.275, 1.0, 2.7])

    def test_leaky_vtrace(self):
        # rho = c = .75*min(1, ratio) + .25*ratio = .5, 1.25, 1, 1.5
        # e3 = 1.5*1.8 = 2.7; e2 = 1; e1 = 1.25*.4 + .45*1.25*1 = 1.0625; e0 = .725 + .45*.5*1.0625 = .9640625
        # advantages: .5*(1 + .9*(.25 + .5*1.5625)) = .9640625; 1.25*(.9*1.5 - .5) = 1.0625; 1; 2.7
        result = vtrace(VALUE, NEXT_VALUE, REWARD, DISCOUNT, RATIO, LAMBDA, rho_mix=0.75, c_mix=0.75)
        assert_close(result.errors, [0.9640625, 1.0625, 1.0, 2.7])
        assert_close(result.advantages, [0.9640625, 1.0625, 1.0, 2.7])


class TestBoundaries:
    def test_cut_at_boundaries(self):
        terminated = jnp.array([[False, True], [False, True]])
        truncated = jnp.array([[False, False], [True, True]])
        discount_t, lambda_t = cut_at_boundaries(0.9, 0.8, terminated, truncated)
        assert_close(discount_t, [[0.9, 0.0], [0.9, 0.0]])
        assert_close(lambda_t, [[0.8, 0.0], [0.0, 0.0]])

    def test_a_time_limit_bootstraps_from_the_state_that_was_cut_off(self):
        done = jnp.array([False, True, False])
        discount_t, lambda_t = cut_at_boundaries(0.5, 1.0, jnp.zeros(3, bool), done)
        # G2 = 1 + .5*4 = 3; G1 = 1 + .5*8 = 5, nothing of G2; G0 = 1 + .5*5 = 3.5
        returns = lambda_returns(jnp.ones(3), discount_t, jnp.array([6.0, 8.0, 4.0]), lambda_t)
        assert_close(returns, [3.5, 5.0, 3.0])

    @family
    @pytest.mark.parametrize("terminates", [True, False], ids=["terminated", "truncated"])
    def test_two_episodes_in_one_trace_equal_the_two_apart(self, compute, terminates):
        T, end = 9, 4
        r_t, v_tm1, v_t, rho = random_trajectory(T)
        boundary = jnp.arange(T) == end - 1
        terminated, truncated = (boundary, ~boundary & False) if terminates else (~boundary & False, boundary)
        discount_t, lambda_t = cut_at_boundaries(0.9, 0.8, terminated, truncated)
        inputs = (r_t, discount_t, v_tm1, v_t, rho, lambda_t)
        apart = [compute(*(x[:end] for x in inputs)), compute(*(x[end:] for x in inputs))]
        assert_close(compute(*inputs), jnp.concatenate(apart))


class TestLimits:
    T = 7

    def test_lambda_0_is_the_one_step_target(self):
        r_t, _, v_t, _ = random_trajectory(self.T)
        discount_t = jnp.full(self.T, 0.9)
        assert_close(lambda_returns(r_t, discount_t, v_t, 0.0), r_t + 0.9 * v_t)
        assert_close(n_step_returns(r_t, discount_t, v_t, 1), r_t + 0.9 * v_t)

    @pytest.mark.parametrize("n", [7, 1000])
    def test_lambda_1_and_large_n_are_the_monte_carlo_return(self, n):
        r_t, _, v_t, _ = random_trajectory(self.T)
        discount_t = jnp.full(self.T, 0.9)
        monte_carlo = [
            sum(0.9**k * r for k, r in enumerate(r_t[t:])) + 0.9 ** (self.T - t) * v_t[-1] for t in range(self.T)
        ]
        assert_close(lambda_returns(r_t, discount_t, v_t, 1.0), jnp.array(monte_carlo))
        assert_close(n_step_returns(r_t, discount_t, v_t, n), jnp.array(monte_carlo))

    def test_many_backups_are_the_lambda_return(self):
        r_t, _, v_t, _ = random_trajectory(self.T)
        discount_t = jnp.full(self.T, 0.9)
        n_step = n_step_returns(r_t, discount_t, v_t, self.T, 0.7)
        assert_close(n_step, lambda_returns(r_t, discount_t, v_t, 0.7))

    def test_on_one_continuing_trajectory_the_advantage_is_the_lambda_return_less_the_value(self):
        r_t, v_tm1, v_t, _ = random_trajectory(self.T)
        v_t = jnp.append(v_tm1[1:], v_t[-1])
        discount_t = jnp.full(self.T, 0.9)
        advantages = generalized_advantage(r_t, discount_t, v_tm1, v_t, 0.7)
        assert_close(advantages, lambda_returns(r_t, discount_t, v_t, 0.7) - v_tm1)

    def test_on_policy_vtrace_is_td_lambda(self):
        r_t, v_tm1, v_t, _ = random_trajectory(self.T)
        v_t = jnp.append(v_tm1[1:], v_t[-1])
        discount_t = jnp.full(self.T, 0.9)
        result = vtrace(v_tm1, v_t, r_t, discount_t, jnp.ones(self.T), 0.7)
        returns = lambda_returns(r_t, discount_t, v_t, 0.7)
        assert_close(result.targets, returns)
        assert_close(result.advantages, returns - v_tm1)
        assert_close(result.errors, result.targets - v_tm1)

    def test_no_clipping_at_mix_0(self):
        r_t, v_tm1, v_t, rho = random_trajectory(self.T)
        args = v_tm1, v_t, r_t, jnp.full(self.T, 0.9), rho, 0.7
        unclipped = vtrace(*args, clip_rho=100.0, clip_c=100.0)
        assert_close(vtrace(*args, rho_mix=0.0, c_mix=0.0).targets, unclipped.targets)
        assert not np.allclose(vtrace(*args).targets, unclipped.targets)

    def test_no_return_without_a_reward(self):
        with pytest.raises(SettingError, match="n=0"):
            n_step_returns(REWARD, DISCOUNT, NEXT_VALUE, 0)


class TestDerivatives:
    def test_in_every_input_against_central_differences_in_both_modes(self):
        T, step = 5, 1e-6
        with jax.enable_x64(True):
            r_t, v_tm1, v_t, rho = random_trajectory(T)
            lambda_t = jnp.array([0.8, 0.7, 0.0, 0.9, 0.8])
            clipping = (1.1, 0.9, 0.7, 0.6)
            inputs, unravel = ravel_pytree((r_t, jnp.full(T, 0.9), v_tm1, v_t, rho, lambda_t, clipping))

            @jax.jit
            def outputs(inputs):
                r, d, v_tm1, v, rho, lam, clipping = unravel(inputs)
                plain = {name: compute(r, d, v_tm1, v, rho, lam) for name, compute in FAMILY.items()}
                return plain, vtrace(v_tm1, v, r, d, rho, lam, *clipping)

            nudged = jax.vmap(lambda nudge: outputs(inputs + nudge), out_axes=-1)
            above, below = (nudged(sign * step * jnp.eye(len(inputs))) for sign in (1, -1))
            differences = jax.tree.map(lambda up, down: (up - down) / (2 * step), above, below)
            for jacobian in (jax.jacfwd, jax.jacrev):
                slopes = jax.jit(jacobian(outputs))(inputs)
                jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-6, atol=1e-7), slopes, differences)

    def test_by_hand(self):
        # G0 = 1 + g*((1 - l)*.5 + l*(2 + g*3)) at g = .9, l = .8, v = [.5, 3], r = [1, 2]:
        # dG0/dg = .1 + .8*2 + 2*.9*.8*3 = 6.02;  dG0/dl = .9*(2 + 2.7 - .5) = 3.78
        def first_return(discount, trace_decay):
            nowhere = jnp.zeros(2, bool)
            discount_t, lambda_t = cut_at_boundaries(discount, trace_decay, nowhere, nowhere)
            return lambda_returns(jnp.array([1.0, 2.0]), discount_t, jnp.array([0.5, 3.0]), lambda_t)[0]

        assert_close(jax.grad(first_return, argnums=(0, 1))(0.9, 0.8), (6.02, 3.78))

    @family
    def test_of_a_batch_is_a_batch_of_derivatives(self, compute):
        @jax.jit
        def total_slope(*inputs):
            slopes = jax.grad(lambda *inputs: compute(*inputs).sum(), argnums=(1, 5))(*inputs)
            return jnp.stack(slopes)

        batch = []
        for seed in (0, 1):
            r_t, v_tm1, v_t, rho = random_trajectory(6, seed)
            batch.append((r_t, jnp.full(6, 0.9), v_tm1, v_t, rho, jnp.full(6, 0.8)))
        stacked = [jnp.stack(column, axis=1) for column in zip(*batch, strict=True)]
        batched = jax.vmap(total_slope, in_axes=1, out_axes=-1)(*stacked)
        assert_close(batched, jnp.stack([total_slope(*inputs) for inputs in batch], -1))
