import jax
import jax.numpy as jnp
import pytest

from selftune.agents import a2c, impala, ppo, recipe_for
from selftune.agents.alarms import Alarm, all_is_lost, pages_test
from selftune.agents.restarting import (
    ENOUGH,
    Watched,
    alarm_for,
    hear_in_pieces,
    pieces_of,
    restart_on,
    returns_so_far,
    share_of_memory,
)
from selftune.types import Transitions

from .setting import CHOICES, SEEN, rollout


def test_the_return_so_far_is_discounted_backwards_and_cut_at_ends():
    def flow(ended):
        flag = jnp.array([[ended], [False]])
        nothing = jnp.zeros((2, 1))
        return returns_so_far(jnp.zeros(1), Transitions(nothing, nothing, jnp.ones((2, 1)), flag, flag, nothing))

    so_far, reached = flow(ended=False)
    assert (float(so_far[0]), reached[:, 0].tolist()) == (pytest.approx(1.99), pytest.approx([1.0, 1.99]))
    so_far, reached = flow(ended=True)
    assert (float(so_far[0]), reached[:, 0].tolist()) == (pytest.approx(1.0), pytest.approx([1.0, 1.0]))


def test_a_memory_lasts_300_steps_of_each_environment_and_5000_of_all():
    """Rollouts of 8 steps in 16, 64 and one environments are few of all, of each, and of all."""
    assert share_of_memory(8, 16) == pytest.approx(128 / 5000)
    assert share_of_memory(8, 64) == pytest.approx(8 / 300)
    assert share_of_memory(8, 1) == pytest.approx(8 / 5000)


def test_a_long_rollout_is_heard_in_pieces_of_an_eighth_of_a_memory_at_most():
    """128 steps of 16 environments are 128 / 300 of a memory by each and 2048 / 5000, the less, by all: 3.3 eighths."""
    assert pieces_of(all_is_lost(), 32, 16) == 1
    assert pieces_of(all_is_lost(), 128, 16) == 4
    assert pieces_of(all_is_lost(), 2048, 1) == 4
    assert pieces_of(pages_test(), 2048, 64) == 1, "who counts levels takes a rollout for one"


def test_pieces_are_heard_in_their_order_with_their_shares():
    """Five steps, in pieces of three and two: levels 2 and 4.5 (a step that is no number is passed over)."""
    reached = jnp.array([[1.0], [jnp.nan], [3.0], [4.0], [5.0]])
    told = Alarm(
        lambda: jnp.zeros(()),
        lambda past, level, share: (10.0 * past + level + 1000.0 * share, level > 4.0),
        5 / ENOUGH / 2,
    )
    past, rung = hear_in_pieces(told, jnp.zeros(()), reached)
    assert bool(rung)
    assert float(past) == 0.0, "it begins anew"
    past, rung = hear_in_pieces(told, jnp.zeros(()), reached.at[3:].set(4.0))
    assert not bool(rung)
    assert float(past) == pytest.approx(10.0 * (2.0 + 1000.0 * 3 / ENOUGH) + 4.0 + 1000.0 * 2 / ENOUGH)


def test_what_rang_early_in_a_rollout_is_a_beginner_at_its_end():
    """All is lost in its first piece; what the others tell is of the policy that goes."""
    alarm = all_is_lost(patience=1e-3)
    past = alarm.init()
    for level in [0.0] * 8 + [50.0] * 80:
        past, _ = alarm.hear(past, jnp.asarray(level), 0.1)
    after, rung = hear_in_pieces(alarm, past, jnp.zeros((128, 16)))
    assert bool(rung)
    assert jax.tree.map(float, after) == jax.tree.map(float, alarm.init())


def rings(alarm, speed):
    """How often it rings in 60 rounds of 128 steps by 16 robots whose episodes of 1000 steps begin together."""
    steps = jnp.arange(60 * 128)
    gathering = jnp.minimum(steps % 1000 / 60.0, 1.0)
    reward = (speed * gathering)[:, None] + 0.3 * jax.random.normal(jax.random.key(0), (len(steps), 16))
    ended = jnp.broadcast_to((steps % 1000 == 999)[:, None], reward.shape)
    nothing = jnp.zeros(reward.shape)
    _, reached = returns_so_far(jnp.zeros(16), Transitions(nothing, nothing, reward, ended, ended, nothing))
    rounds = reached.reshape(60, 128, 16)
    return int(jax.lax.scan(lambda past, one: hear_in_pieces(alarm, past, one), alarm.init(), rounds)[1].sum())


def test_who_begins_as_an_expert_is_not_begun_anew_where_it_loses_half():
    """It began with what another had learned. A beginner's level that is taken from its first 156 steps alone is half
    of what it makes, since episodes and returns so far have only begun: all that was above would be a gain, and lost.
    """
    halved = jnp.where(jnp.arange(60 * 128) < 1024, 1.0, 0.5)
    assert rings(all_is_lost(), halved) > 0
    assert rings(alarm_for(128, 16), halved) == 0


def test_half_a_memory_or_four_rollouts_is_a_beginner():
    def last(length):
        """The last level, in memories of this alarm, that a beginner's is made of."""
        alarm, share = alarm_for(length, 16), share_of_memory(length, 16)
        past, count = alarm.init(), 0
        while float(past.beginner) == float(past.mean):
            past, _ = alarm.hear(past, jnp.asarray(float(count)), share)
            count += 1
        return count - 1

    assert last(32) == 5, "half a memory of 9.8"
    assert last(128) == 4, "more than half a memory"


@pytest.mark.parametrize("build", [a2c, impala, ppo])
def test_who_tunes_itself_is_watched_and_nobody_else(build):
    def watched(**options):
        return isinstance(build(SEEN, CHOICES, **options).init(jax.random.key(0)).experience, Watched)

    assert watched()
    assert not watched(tune=[])
    for rival in ("fixed", "held", "kl_adaptive", "hoof"):
        assert not watched(recipe=recipe_for(rival, build.__name__)), rival


def ringing(when):
    """An A2C agent that starts anew after every rollout, or after none."""
    recipe = recipe_for("fixed", "a2c")
    alarm = Alarm(lambda: (), lambda past, level, share: (past, jnp.asarray(when)))
    return restart_on(alarm)(recipe, a2c(SEEN, CHOICES, recipe=recipe))


def test_who_starts_anew_has_earned_nothing_so_far():
    """What its predecessor earned would make its first level, and so what a beginner is worth."""
    for when in (True, False):
        agent = ringing(when)
        state = jax.jit(agent.init)(jax.random.key(0))
        after, _ = jax.jit(agent.learn)(state, rollout(agent, state, 0), jax.random.key(0))
        assert bool((after.experience.so_far == 0.0).all()) == when


def test_who_starts_anew_is_as_old_as_before():
    agent = ringing(when=True)
    state = jax.jit(agent.init)(jax.random.key(0))
    for update in range(2):
        state, info = jax.jit(agent.learn)(state, rollout(agent, state, update), jax.random.key(update))
        assert int(info.guards["restart"]) == 1
    assert int(state.experience.own.senses.steps) == 2 * agent.num_envs * agent.rollout_length
