"""Episodes are those of the world; a discount that its own critic judges falls, and the outer critic's rises."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from selftune.envs.worlds import world
from selftune.experiments.published import discounting
from selftune.objectives import actor_critic

KEY = jax.random.key(0)
PARAMS = {
    "weights": jnp.array([[0.1, -0.2, 0.3, 0.0, 0.2], [0.5, -0.5, 0.0, 1.0, 0.1]]),
    "bias": jnp.array([0.3, 0.0, -0.4, 0.1, 0.2]),
}


def test_every_chain_is_that_of_the_world():
    env = world("discounting_chain")
    every = discounting.every_chain()

    def along(chain):
        def body(carry, _):
            observation, state = carry
            successor, state, reward, terminated, *_ = env.step(KEY, state, chain, env.params)
            return (successor, state), (observation, reward, terminated, successor)

        return jax.lax.scan(body, env.reset(KEY, env.params), None, length=100)[1]

    walked = jax.jit(jax.vmap(along, out_axes=1))(jnp.arange(5, dtype=jnp.int32))
    told = (every.observation, every.reward, every.terminated, every.next_observation)
    for ours, its in zip(told, walked, strict=True):
        np.testing.assert_allclose(ours, its, rtol=1e-6)


def test_the_critic_is_the_true_value():
    # From the start under the policy (.2, .2, .2, .3, .1): sum of p gamma^(h - 1) r; on chain 3 at time 10 the reward
    # of 1.1 at step 30 is 19 steps behind the next one; at time 40 it was paid.
    critic = {"discount": jnp.float32(0.9), "preference": jnp.array([0.2, 0.2, 0.2, 0.3, 0.1])}
    first = 0.2 + 0.2 * 0.9**2 + 0.2 * 0.9**9 + 0.3 * 1.1 * 0.9**29 + 0.1 * 0.9**99
    seen = jnp.array([[-1.0, 0.0], [3.0, 0.1], [3.0, 0.4], [0.0, 0.01]])
    np.testing.assert_allclose(discounting.value(critic, seen), [first, 1.1 * 0.9**19, 0.0, 0.0], rtol=1e-5)


def test_counted_steps_are_a_sample_of_the_policy():
    draw = jax.jit(jax.vmap(discounting.episodes, (None, 0)))
    counts = np.asarray(draw(PARAMS, jax.random.split(KEY, 50)).actions)
    assert (counts >= 0).all()
    assert (counts == counts.round()).all()
    np.testing.assert_array_equal(counts.sum((2, 3)), 128.0)
    np.testing.assert_array_equal(counts.sum(3), np.broadcast_to(counts[:, :1].sum(3), (50, 100, 5)))
    policy = jax.nn.softmax(discounting.logits(PARAMS, discounting.every_chain().observation))
    first = np.diagonal(counts[:, 0], axis1=1, axis2=2).sum(0) / (50 * 128)
    assert (abs(first - policy[0, 0]) < 4 * 0.5 / (50 * 128) ** 0.5).all()
    later = counts[:, 30, 2].sum(0) / counts[:, 30, 2].sum()
    assert (abs(later - policy[30, 2]) < 4 * 0.5 / counts[:, 30, 2].sum() ** 0.5).all()


def test_the_loss_of_counts_is_that_of_their_transitions():
    batch = discounting.episodes(PARAMS, KEY)
    critic = {"discount": jnp.float32(0.93), "preference": jnp.full(5, 0.2)}
    ours = discounting.loss(PARAMS, {"critic": critic}, {"discount": jnp.float32(0.93)}, batch)[0]
    every = discounting.every_chain()
    advantage = np.asarray(actor_critic.advantages(discounting.MODEL, critic, every, 0.93, 0.0))
    listed = [
        (log_policy[action] * advantage[time, chain] - 0.005 * (np.exp(log_policy) * log_policy).sum())
        for time, chain, action in np.argwhere(batch.actions)
        for log_policy in [np.asarray(jax.nn.log_softmax(discounting.logits(PARAMS, every.observation[time, chain])))]
        for _ in range(int(batch.actions[time, chain, action]))
        if time in (0, 1, 29, 50)
    ]
    kept = jnp.zeros((100, 1, 1)).at[jnp.array([0, 1, 29, 50])].set(1.0)
    some = batch._replace(actions=batch.actions * kept)
    some = discounting.loss(PARAMS, {"critic": critic}, {"discount": jnp.float32(0.93)}, some)[0]
    np.testing.assert_allclose(some, -np.mean(listed), rtol=1e-4)
    assert ours != some


@pytest.mark.parametrize(
    ("judge", "updates", "low", "high"), [("critic", 5000, 0.9, 0.91), ("outer_critic", 2000, 0.99, 1.0)]
)
def test_a_discount_is_learned_right_by_the_outer_critic_only(judge, updates, low, high):
    # Published: at .90 after 3000 updates, and at 1.00 after 2000.
    curve = discounting.learn(judge, updates, 1)
    assert low <= curve.discount[-1, 0] <= high
