import jax
import jax.numpy as jnp
import pytest

from selftune.agents import a2c, impala, ppo, recipe_for
from selftune.agents.alarms import Alarm
from selftune.agents.restarting import Watched, restart_on, returns_so_far, share_of_memory
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


@pytest.mark.parametrize("build", [a2c, impala, ppo])
def test_who_tunes_itself_is_watched_and_nobody_else(build):
    def watched(**options):
        return isinstance(build(SEEN, CHOICES, **options).init(jax.random.key(0)).experience, Watched)

    assert watched()
    assert not watched(tune=[])
    for rival in ("fixed", "held", "kl_adaptive", "hoof"):
        assert not watched(recipe=recipe_for(rival, build.__name__)), rival


def test_who_starts_anew_is_as_old_as_before():
    recipe = recipe_for("fixed", "a2c")
    ringing = Alarm(lambda: (), lambda past, level, share: (past, jnp.asarray(True)))
    agent = restart_on(ringing)(recipe, a2c(SEEN, CHOICES, recipe=recipe))
    state = jax.jit(agent.init)(jax.random.key(0))
    for update in range(2):
        state, info = jax.jit(agent.learn)(state, rollout(agent, state, update), jax.random.key(update))
        assert int(info.guards["restart"]) == 1
    assert int(state.experience.own.senses.steps) == 2 * agent.num_envs * agent.rollout_length
