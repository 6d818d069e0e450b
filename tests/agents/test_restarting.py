import jax
import jax.numpy as jnp
import pytest

from selftune.agents import a2c, impala, ppo, recipe_for, restarting
from selftune.agents.alarms import Alarm, all_is_lost, settling
from selftune.agents.restarting import Watched, restart_on, returns_so_far, share_of_memory, stretch_of_memory
from selftune.types import Transitions

from .setting import CHOICES, SEEN, rollout


def test_the_return_so_far_is_discounted_backwards_and_cut_at_ends():
    def flow(ended):
        flag = jnp.array([[ended], [False]])
        nothing = jnp.zeros((2, 1))
        return returns_so_far(jnp.zeros(1), Transitions(nothing, nothing, jnp.ones((2, 1)), flag, flag, nothing))

    so_far, level = flow(ended=False)
    assert (float(so_far[0]), float(level)) == pytest.approx((1.99, 1.495))
    so_far, level = flow(ended=True)
    assert (float(so_far[0]), float(level)) == pytest.approx((1.0, 1.0))


def test_a_memory_lasts_300_steps_of_each_environment_and_5000_of_all_and_eight_rollouts():
    """Rollouts of 8 steps in 16, 64 and one environments are few of all, of each, and of all; of 128 they are long."""
    assert share_of_memory(8, 16) == pytest.approx(128 / 5000)
    assert share_of_memory(8, 64) == pytest.approx(8 / 300)
    assert share_of_memory(8, 1) == pytest.approx(8 / 5000)
    assert share_of_memory(128, 16) == pytest.approx(1 / 8)


def test_only_long_rollouts_stretch_it():
    """128 steps of 16 environments would be 2048 / 5000 of a memory, and are an eighth."""
    assert stretch_of_memory(32, 16) == 1.0
    assert stretch_of_memory(128, 16) == pytest.approx(8 * 2048 / 5000)


def rung_lives(begin):
    """Of 16 lives how many ring. Each is 100 rounds of 128 steps of 16 robots, which walk as fast as they were taught.

    They fall once in 500 steps, gather speed for 60, and lose a quarter of it after 32 rounds.
    """
    alarm, share = all_is_lost(stretch=stretch_of_memory(128, 16)), share_of_memory(128, 16)

    def life(key):
        fallen, noise = jax.random.uniform(key, (12800, 16)) < 0.002, jax.random.normal(key, (12800, 16))
        speed = jnp.where(jnp.arange(12800) < 4096, 1.0, 0.75)[:, None]

        def step(age, seen):
            fall, noise, speed = seen
            done = fall | (age >= 999)
            return jnp.where(done, 0, age + 1), (speed * jnp.minimum(age / 60.0, 1.0) + 0.3 * noise, done)

        reward, done = jax.lax.scan(step, jnp.zeros(16, int), (fallen, noise, speed))[1]
        nothing = jnp.zeros(reward.shape)
        batches = Transitions(nothing, nothing, reward, done, done, nothing)
        rounds = jax.tree.map(lambda leaf: leaf.reshape(100, 128, 16), batches)

        def hear(past, batch):
            so_far, level = returns_so_far(past[0], batch)
            heard, rung = alarm.hear(past[1], level, share)
            return (so_far, heard), rung

        return jax.lax.scan(hear, (jnp.zeros(16), begin(alarm.init())), rounds)[1].any()

    return int(jax.jit(jax.vmap(life))(jax.random.split(jax.random.key(0), 16)).sum())


def test_an_expert_that_loses_a_quarter_is_not_begun_anew():
    assert rung_lives(lambda past: past) > 2, "what had only begun was taken for its level"
    assert rung_lives(settling) == 0


def test_ppos_is_stretched_and_a2cs_is_not(monkeypatch):
    stretched = []
    monkeypatch.setattr(restarting, "all_is_lost", lambda stretch: stretched.append(stretch) or all_is_lost())
    for build in (a2c, ppo):
        build(SEEN, CHOICES)
    assert stretched == [1.0, stretch_of_memory(128, 16)]


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


def test_what_an_episode_had_earned_before_a_cut_is_not_taken_for_nothing():
    """At a reward of 1 a step the return so far is 100 in the end, whatever was cut off; as 0 it would begin with 15.

    The weight of what is unknown is .851 on average over the first 32 steps after a cut, over the next .617.
    """
    recipe = recipe_for("fixed", "a2c")
    listening = Alarm(lambda: jnp.zeros(()), lambda past, level, share: (level, jnp.asarray(False)))
    agent = restart_on(listening)(recipe, a2c(SEEN, CHOICES, recipe=recipe))
    state, learn = jax.jit(agent.init)(jax.random.key(0)), jax.jit(agent.learn)
    batch = rollout(agent, state, 0)
    never = jnp.zeros_like(batch.terminated)
    batch = batch._replace(reward=jnp.ones_like(batch.reward), terminated=never, truncated=never)
    assert agent.rollout_length == 32
    first, _ = learn(state, batch, jax.random.key(0))
    assert float(first.experience.alarm) == pytest.approx(14.92, abs=0.01)  # of episodes that were seen to begin
    levels = []
    state = agent.cut(first)
    for _ in range(2):
        state, _ = learn(state, batch, jax.random.key(0))
        levels.append(float(state.experience.alarm))
    assert jnp.isnan(levels[0])
    assert levels[1] == pytest.approx(100.0, rel=1e-4)
