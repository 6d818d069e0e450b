"""Returns, advantages and V-trace: what a trajectory says a value should have been.

All of them solve one recursion, run backwards from the end of the trajectory::

    y[t] = x[t] + decay[t] * y[t + 1]

Conventions. One trajectory [T]; batch by `jax.vmap`. Suffix `_tm1` is the state an action was taken in, `_t`
what that action led to. `discount_t` is gamma, and 0 where the episode terminated. `lambda_` is one number or
one per step, and 0 where the episode ended in any way: the trace is cut there, and a time limit still
bootstraps from `v_t`; `cut_at_boundaries` makes both. `v_t[t]` is the value of the true successor of step t,
and so is not `v_tm1[t + 1]` where an episode ended. The last step bootstraps from `v_t[-1]`.

Nothing here stops a gradient: everything is differentiable in rewards, values, discount, trace decay and
clipping constants. A semi-gradient is made by differentiating a loss with respect to the parameters alone.
"""

from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Real

from selftune.errors import SettingError

Number: TypeAlias = float | int | Real[Array, ""]
Trace: TypeAlias = Float[Array, " T"]


class VTrace(NamedTuple):
    """V-trace targets and what follows from them, each [T] and about the state at `_tm1`."""

    targets: Float[Array, " T"]
    """What the value should have been."""
    errors: Float[Array, " T"]
    """`targets - v_tm1`."""
    advantages: Float[Array, " T"]
    """Advantage of the action taken times its importance ratio: its weight in a policy gradient."""


def cut_at_boundaries(
    discount: Number | Float[Array, "*T"],
    trace_decay: Number | Float[Array, "*T"],
    terminated: Bool[Array, "*T"],
    truncated: Bool[Array, "*T"],
) -> tuple[Float[Array, "*T"], Float[Array, "*T"]]:
    """Discount and trace decay of every step, cut where an episode ended.

    Args:
        discount: gamma in [0, 1].
        trace_decay: lambda in [0, 1].
        terminated: [...] no future follows this step: discount and trace are both 0.
        truncated: [...] a future follows that was not seen: the trace is 0, the discount is kept.

    Returns:
        `(discount_t, lambda_t)`, each of the shape of `terminated`.
    """
    return jnp.where(terminated, 0.0, discount), jnp.where(terminated | truncated, 0.0, trace_decay)


def lambda_returns(r_t: Trace, discount_t: Trace, v_t: Trace, lambda_: Number | Trace) -> Trace:
    """TD(lambda) returns: `G[t] = r[t] + discount[t] * ((1 - lambda) * v[t] + lambda * G[t + 1])`.

    Sutton and Barto, Reinforcement Learning, 2nd edition, section 12.1.

    Args:
        r_t: [T] rewards.
        discount_t: [T] in [0, 1].
        v_t: [T] values of the successors.
        lambda_: one number or [T], in [0, 1]; 0 is the one-step target, 1 the Monte Carlo return.

    Returns:
        [T] targets for the values at `_tm1`.
    """
    return _backward(r_t + discount_t * (1 - lambda_) * v_t, discount_t * lambda_, v_t[-1])


def n_step_returns(r_t: Trace, discount_t: Trace, v_t: Trace, n: int, lambda_: Number | Trace = 1.0) -> Trace:
    """`n`-step returns: n rewards, then the value of the state they lead to.

    Built as n backups of one step, of which `lambda_returns` is the fixed point. Fewer than `n` rewards are
    used near the end of the trajectory. Sutton and Barto, 2nd edition, section 7.1.

    Args:
        r_t: [T] rewards.
        discount_t: [T] in [0, 1].
        v_t: [T] values of the successors.
        n: number of rewards, at least 1; beyond T it changes nothing.
        lambda_: one number or [T]; 0 ends the return at that step, as a boundary must. Between 0 and 1 the
            result is a lambda-return that looks n steps ahead.

    Returns:
        [T] targets for the values at `_tm1`.

    Raises:
        SettingError: if `n` is smaller than 1.
    """
    if n < 1:
        raise SettingError(f"n_step_returns got n={n}; a return needs at least one reward: choose n >= 1.")

    def backup(_, g_t):
        g_tp1 = jnp.append(g_t[1:], v_t[-1:])
        return r_t + discount_t * ((1 - lambda_) * v_t + lambda_ * g_tp1)

    return jax.lax.fori_loop(0, min(n, len(r_t)) - 1, backup, r_t + discount_t * v_t)


def generalized_advantage(r_t: Trace, discount_t: Trace, v_tm1: Trace, v_t: Trace, lambda_: Number | Trace) -> Trace:
    """Generalized advantage estimation: the discounted sum of the TD errors to come.

    `A[t] = delta[t] + discount[t] * lambda * A[t + 1]`, `delta[t] = r[t] + discount[t] * v_t[t] - v_tm1[t]`.
    It is the lambda-return less `v_tm1` if `v_t[t]` is `v_tm1[t + 1]` wherever the trace is not cut. Schulman
    et al. 2016, equation 16 (arXiv:1506.02438).

    Args:
        r_t: [T] rewards.
        discount_t: [T] in [0, 1].
        v_tm1: [T] values of the states acted in.
        v_t: [T] values of their successors.
        lambda_: one number or [T], in [0, 1].

    Returns:
        [T] advantages of the actions taken.
    """
    return _backward(r_t + discount_t * v_t - v_tm1, discount_t * lambda_, 0.0)


def vtrace(
    v_tm1: Trace,
    v_t: Trace,
    r_t: Trace,
    discount_t: Trace,
    rho_tm1: Trace,
    lambda_: Number | Trace,
    clip_rho: Number = 1.0,
    clip_c: Number = 1.0,
    rho_mix: Number = 1.0,
    c_mix: Number = 1.0,
) -> VTrace:
    """V-trace: values and advantages of one policy from the actions of another, with leaky clipping.

    With `delta[t]` the TD error of `generalized_advantage`::

        errors[t]     = rho[t] * delta[t] + discount[t] * lambda * c[t] * errors[t + 1]
        targets[t]    = v_tm1[t] + errors[t]
        next[t]       = (1 - lambda) * v_t[t] + lambda * targets[t + 1]
        advantages[t] = rho[t] * (r[t] + discount[t] * next[t] - v_tm1[t])
        rho[t]        = rho_mix * min(clip_rho, ratio[t]) + (1 - rho_mix) * ratio[t]      # c likewise

    With both mixes at 1 this is V-trace (Espeholt et al. 2018, arXiv:1802.01561); below 1 it is the leaky
    V-trace of STACX (Zahavy et al. 2020, arXiv:2002.12928), which makes the amount of clipping learnable.
    Where all ratios are 1, `errors` is the generalized advantage.

    Args:
        v_tm1: [T] values of the states acted in.
        v_t: [T] values of their successors.
        r_t: [T] rewards.
        discount_t: [T] in [0, 1].
        rho_tm1: [T] importance ratios, target over behaviour probability of the action taken; not negative.
        lambda_: one number or [T], in [0, 1].
        clip_rho: bound on the ratio of a TD error; decides which policy's values are found.
        clip_c: bound on the ratio in the trace; decides how fast.
        rho_mix: in [0, 1]; 1 clips wholly, 0 not at all.
        c_mix: the same for the trace.

    Returns:
        `VTrace` of [T] each.
    """
    rho = rho_mix * jnp.minimum(clip_rho, rho_tm1) + (1 - rho_mix) * rho_tm1
    c = c_mix * jnp.minimum(clip_c, rho_tm1) + (1 - c_mix) * rho_tm1
    errors = _backward(rho * (r_t + discount_t * v_t - v_tm1), discount_t * lambda_ * c, 0.0)
    targets = v_tm1 + errors
    targets_t = jnp.append(targets[1:], v_t[-1:])
    action_values = r_t + discount_t * ((1 - lambda_) * v_t + lambda_ * targets_t)
    return VTrace(targets, errors, advantages=rho * (action_values - v_tm1))


def _backward(x_t: Trace, decay_t: Trace, y_end: Number) -> Trace:
    """Solve `y[t] = x[t] + decay[t] * y[t + 1]` for [T], with `y[T] = y_end`.

    A plain scan: an associative one took 4 to 11 times as long to compile, and at T = 32 and 128 no less to run
    forwards.
    """

    def step(y_tp1, inputs):
        x, decay = inputs
        y_t = x + decay * y_tp1
        return y_t, y_t

    y_end = jnp.asarray(y_end, jnp.result_type(x_t, decay_t))
    return jax.lax.scan(step, y_end, (x_t, decay_t), reverse=True, unroll=8)[1]
