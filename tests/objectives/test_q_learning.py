import jax
import jax.numpy as jnp
import pytest

from selftune.objectives.action_values import (
    chosen,
    double_q_values,
    peng_returns,
    retrace_returns,
    softened,
    watkins_returns,
)
from selftune.objectives.q_learning import QJudge, Unseen, dqn_loss, dqn_meta_loss, huber, q_lambda_loss
from selftune.types import Transitions

R, HALF = jnp.array([1.0, 2.0, 3.0]), jnp.full(3, 0.5)
Q_T = jnp.array([[1.0, 2.0], [6.0, 0.0], [3.0, 8.0]])


def table(params, observation):
    """Action values of states that are numbered."""
    return params[observation]


ONLINE = jnp.array([[9.3, 0.0], [1.0, 3.0], [4.0, 0.0]])
TARGET = jnp.array([[0.0, 5.0], [10.0, 20.0], [30.0, 40.0]])
FROZEN = {"online": ONLINE, "target": TARGET, "reward_scale": jnp.array(1.0)}
ETA = {"discount": 0.5, "trace_decay": 0.8, "reward_scale": 1.0}


def walk(actions=(0, 1), terminated=(False, False), truncated=(False, False)):
    """From state 0 to 1 to 2, for rewards of 1 and 2; [T, 1]."""

    def column(*entries):
        return jnp.array(entries)[:, None]

    return Transitions(
        column(0, 1), column(*actions), column(1.0, 2.0), column(*terminated), column(*truncated), column(1, 2)
    )


def target_of(loss, batch, **eta):
    """The target that a loss pulls the value of the first action to, where it is far above the value 0."""
    q = jnp.zeros((3, 2))
    return float(loss(q, FROZEN, ETA | eta, batch)[0]) + 0.5


def test_softened_by_hand():
    """softmax(0, 0.1 ln 3 / 0.1) = (1/4, 3/4); 0.8 of it and 0.1 more."""
    q = jnp.array([0.0, 0.1 * jnp.log(3.0)])
    assert jnp.exp(softened(q, 0.2, 0.1)).tolist() == pytest.approx([0.3, 0.7])
    slope = jax.jacobian(lambda epsilon: softened(q, epsilon, 0.1))(0.2)
    assert slope.tolist() == pytest.approx([0.25 / 0.3, -0.25 / 0.7])


def test_softened_becomes_epsilon_greedy_and_stays_finite():
    q = jnp.array([1.0, 1e3, -1e3])
    assert jnp.exp(softened(q, 0.3, 1e-3)).tolist() == pytest.approx([0.1, 0.8, 0.1])
    slopes = jax.jacobian(lambda q: softened(q, 1e-3, 1e-3))(q)
    assert jnp.isfinite(slopes).all()


def test_double_q_takes_the_action_of_one_and_the_value_of_the_other():
    values = double_q_values(jnp.array([[1.0, 2.0], [3.0, 0.0]]), jnp.array([[5.0, 7.0], [6.0, 9.0]]))
    assert values.tolist() == [7.0, 6.0]
    assert chosen(Q_T, jnp.array([0, 0, 1])).tolist() == [1.0, 6.0, 8.0]


def test_peng_by_hand():
    """7 = 3 + 8/2; 5.25 = 2 + (6/2 + 7/2)/2; 2.8125 = 1 + (2/2 + 5.25/2)/2."""
    assert peng_returns(R, HALF, Q_T, 0.5).tolist() == pytest.approx([2.8125, 5.25, 7.0])


def test_watkins_cuts_before_an_action_that_was_not_greedy():
    """The second action was not greedy: the first target is 1 + 2/2. The others are Peng's."""
    greedy = jnp.array([True, False, True])
    assert watkins_returns(R, HALF, Q_T, greedy, 0.5).tolist() == pytest.approx([2.0, 5.25, 7.0])
    assert jnp.array_equal(watkins_returns(R, HALF, Q_T, jnp.ones(3, bool), 0.5), peng_returns(R, HALF, Q_T, 0.5))


def test_retrace_by_hand():
    """7 = 3 + 8/2; 6.2 = 2 + (6 + 0.8 * 1 * (7 - 4))/2; 2.84 = 1 + (2 + 0.8 * 0.5 * (6.2 - 2))/2."""
    q_tm1, v_t, ratio = jnp.array([1.0, 2.0, 4.0]), jnp.array([2.0, 6.0, 8.0]), jnp.array([9.0, 0.5, 3.0])
    assert retrace_returns(R, HALF, q_tm1, v_t, ratio, 0.8).tolist() == pytest.approx([2.84, 6.2, 7.0])


def test_huber():
    assert huber(jnp.array([-0.5, 1.0, -3.0])).tolist() == pytest.approx([0.125, 0.5, 2.5])


def test_double_dqn_with_two_steps_by_hand():
    """Online: action 1 in state 1, action 0 in state 2; the target network says 20 and 30 of them.

    17 = 2 + 30/2; 9.8 = 1 + (0.2 * 20 + 0.8 * 17)/2; the value is 9.3, and half the square of 0.5 is 0.125.
    """
    loss = dqn_loss(table)
    value, aux = loss(ONLINE, FROZEN, ETA, walk())
    assert float(value) == pytest.approx(0.125, rel=1e-5)
    assert float(aux["value"]) == pytest.approx(9.3)
    assert target_of(loss, walk()) == pytest.approx(9.8)
    assert target_of(loss, walk(), reward_scale=2.0) == pytest.approx(11.6), "2 + (4 + 0.8 * 19)/2"


def test_an_end_ends_the_return():
    loss = dqn_loss(table)
    assert target_of(loss, walk(truncated=(True, False))) == pytest.approx(11.0), "1 + 20/2"
    assert target_of(loss, walk(terminated=(False, True))) == pytest.approx(3.8), "1 + (4 + 0.8 * 2)/2"


def test_q_lambda_teaches_every_action_taken():
    """22 = 2 + 40/2 (the best of the target network, whatever the online one says); 11.8 = 1 + (4 + 0.8 * 22)/2."""
    batch = walk()
    q = jnp.zeros((3, 2)).at[0, 0].set(11.3).at[1, 1].set(21.0)
    value, _ = q_lambda_loss(table)(q, FROZEN, ETA, batch)
    assert float(value) == pytest.approx((0.125 + 0.5) / 2, rel=1e-4)


@pytest.mark.parametrize(
    ("loss", "first"), [(dqn_loss(table), 9.3), (q_lambda_loss(table), 11.3)], ids=["dqn", "q_lambda"]
)
def test_the_update_passes_a_gradient_to_its_metaparameters(loss, first):
    """The value of the first action lies within 1 of its target, where the Huber loss has a slope that moves."""
    q = jnp.zeros((3, 2)).at[0, 0].set(first)
    slopes = jax.grad(lambda eta: jax.grad(lambda q: loss(q, FROZEN, eta, walk())[0])(q).sum())(ETA)
    assert [name for name, slope in slopes.items() if float(slope) == 0.0] == []


JUDGE = dqn_meta_loss(table, QJudge(discount=0.5, trace_decay=0.8, softness=1e-2))


def slopes(recent):
    """Of the judge, in parameters and in epsilon; `eta` holds nothing else: reading it would be a KeyError."""

    def meta_loss(params, epsilon):
        return JUDGE(params, FROZEN, {"epsilon": epsilon}, Unseen(walk(), recent))[0]

    return jax.grad(meta_loss, argnums=(0, 1))(ONLINE, jnp.array(0.2))


def test_the_judge_by_hand():
    """Greedy is action 0, then 1; taken are 1 and 1, at probabilities 0.1 and 0.9.

    Errors: 1 + 20/2 - 5 = 6 and 2 + 40/2 - 20 = 2; advantages 6 + 0.4 * 2 = 6.8 and 2.
    """
    value, aux = JUDGE(ONLINE, FROZEN, {"epsilon": 0.2}, Unseen(walk(), walk(actions=(1, 1))))
    policy_loss = float(-(6.8 * jnp.log(0.1) + 2.0 * jnp.log(0.9)) / 2)
    assert float(aux["outer_policy_loss"]) == pytest.approx(policy_loss, rel=1e-5)
    assert float(aux["outer_value_loss"]) == pytest.approx(0.125, rel=1e-4)
    assert float(value) == pytest.approx(policy_loss + 0.125, rel=1e-5)


def test_exploration_that_paid_raises_epsilon_and_greed_that_paid_lowers_it():
    assert slopes(walk(actions=(1, 0)))[1] < 0.0
    assert slopes(walk(actions=(0, 1)))[1] > 0.0


def test_the_values_are_judged_by_their_errors_alone():
    one, other = (slopes(walk(actions=actions))[0] for actions in ((1, 0), (0, 1)))
    assert jnp.array_equal(one, other)
    assert float(one[0, 0]) == pytest.approx(-0.5, rel=1e-4), "9.3 is 0.5 below its target"
