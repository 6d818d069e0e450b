"""Returns for action values: what a trajectory says that `q(s, a)` should have been.

Conventions of `selftune.objectives.returns`: one trajectory [T], `_tm1` the state an action was taken in, `_t` its true
successor; `discount_t` is 0 where the episode terminated, `lambda_` is 0 where it ended in any way.
"""

from typing import Any

import jax
import jax.numpy as jnp

from selftune.objectives.extremes import largest
from selftune.objectives.returns import Number, Trace, generalized_advantage, lambda_returns
from selftune.types import Array, Bool, Float, Int


def softened(q: Float[Array, "*batch A"], epsilon: Number, softness: float = 0.1) -> Float[Array, "*batch A"]:
    """Log probabilities of the epsilon-greedy policy with a softened maximum.

    `pi(a) = (1 - epsilon) * softmax(q / softness)[a] + epsilon / A`, differentiable in `epsilon` and in `q`; as
    `softness` goes to 0 it becomes epsilon-greedy. Bootstrapped meta-gradients match such policies to learn an
    `epsilon` without differentiating through an update (Flennerhag et al. 2022, arXiv:2109.04504).

    Args:
        q: [..., A] action values.
        epsilon: How often it acts at random, above 0 and at most 1.
        softness: Differences of values that are small beside it count as ties; above 0.

    Returns:
        [..., A]
    """
    likely = jax.nn.softmax(q / softness, axis=-1)
    return jnp.log((1.0 - epsilon) * likely + epsilon / q.shape[-1])


def chosen(q: Float[Array, "*batch A"], action: Int[Array, "*batch"]) -> Float[Array, "*batch"]:
    """The entry of each action taken."""
    return jnp.take_along_axis(q, action[..., None], axis=-1)[..., 0]


def double_q_values(q_selector: Float[Array, "*batch A"], q_evaluator: Float[Array, "*batch A"]) -> Any:
    """Value of the action that one network finds best, in the eyes of another.

    The errors of one network then do not favour themselves (van Hasselt et al. 2016, arXiv:1509.06461).
    """
    return chosen(q_evaluator, jnp.argmax(q_selector, axis=-1))


def peng_returns(r_t: Trace, discount_t: Trace, q_t: Float[Array, "T A"], lambda_: Number | Trace) -> Trace:
    """Peng's Q(lambda): lambda-returns that bootstrap from the best action and never mind what was taken.

    Peng and Williams 1996, Incremental multi-step Q-learning. Neither on-policy nor greedy, and fast: the fixed point
    lies between the values of the behaviour and of the greedy policy (Kozuno et al. 2021, arXiv:2103.00107).

    Args:
        r_t: [T] rewards.
        discount_t: [T] in [0, 1].
        q_t: [T, A] action values of the successors.
        lambda_: one number or [T], in [0, 1].

    Returns:
        [T] targets for the values of the actions taken.
    """
    return lambda_returns(r_t, discount_t, largest(q_t, -1), lambda_)


def watkins_returns(
    r_t: Trace, discount_t: Trace, q_t: Float[Array, "T A"], greedy_tm1: Bool[Array, " T"], lambda_: Number | Trace
) -> Trace:
    """Watkins's Q(lambda): Peng's, with the trace cut before every action that was not greedy.

    Sutton and Barto, 2nd edition, section 12.10. It finds the values of the greedy policy, and learns from short
    stretches only where much is explored.

    Args:
        r_t: [T] rewards.
        discount_t: [T] in [0, 1].
        q_t: [T, A] action values of the successors.
        greedy_tm1: [T] whether the action taken at each step was greedy.
        lambda_: one number or [T], in [0, 1].

    Returns:
        [T] targets for the values of the actions taken.
    """
    next_is_greedy = jnp.append(greedy_tm1[1:], True)
    return peng_returns(r_t, discount_t, q_t, jnp.where(next_is_greedy, lambda_, 0.0))


def retrace_returns(
    r_t: Trace, discount_t: Trace, q_tm1: Trace, v_t: Trace, ratio_tm1: Trace, lambda_: Number | Trace
) -> Trace:
    """Retrace(lambda): values of one policy from the actions of any other, with clipped importance ratios as traces.

    `G[t] = r[t] + discount[t] * (v_t[t] + lambda[t] * min(1, ratio[t + 1]) * (G[t + 1] - q_tm1[t + 1]))`: Munos et al.
    2016, equation 4 (arXiv:1606.02647).

    Args:
        r_t: [T] rewards.
        discount_t: [T] in [0, 1].
        q_tm1: [T] values of the actions taken.
        v_t: [T] values of the successors: the mean of their action values under the target policy.
        ratio_tm1: [T] target over behaviour probability of the action taken; not negative.
        lambda_: one number or [T], in [0, 1].

    Returns:
        [T] targets for the values of the actions taken.
    """
    trace = lambda_ * jnp.append(jnp.minimum(1.0, ratio_tm1[1:]), 0.0)
    return q_tm1 + generalized_advantage(r_t, discount_t, q_tm1, v_t, trace)
