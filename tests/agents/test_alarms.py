import math

import jax
import jax.numpy as jnp
import pytest

from selftune.agents.alarms import all_is_lost, pages_test


def heard(alarm, levels, share=0.1):
    """What the alarm remembers after each level, and whether it rang."""

    def step(past, level):
        past, rung = alarm.hear(past, level, share)
        return past, (past, rung)

    return jax.lax.scan(step, alarm.init(), jnp.asarray(levels, jnp.float32))[1]


def test_all_is_lost_by_hand():
    """A memory of ln 2 levels, .6931: every level weighs half. Weights 1/2, 3/4, 7/8, 15/16.

    Means: 0, the beginner's; + 2/3 * 10 = 6.667; + 4/7 * 23.33 = 20, the best; - 8/15 * 20 = 9.333. Deviations, from
    the second level on: 1.2533 * 10 = 12.53; + 2/3 * (1.2533 * 23.33 - 12.53) = 23.67; the fall is left out. A gain of
    6.667 is above half of the first, one of 20 above half of the second. A tenth of it is left at 2: each level of 0
    falls short by .1 gains, .0693 with the memory's share; three of them by .2079, above .12 * (23.67 / 20)**2 = .1681.
    """
    alarm = all_is_lost(left=0.1, patience=0.1, deviations=0.5, certainty=0.12, fading=1.0)
    past, rung = heard(alarm, [0.0, 10.0, 30.0, 0.0, 0.0, 0.0], math.log(2.0))
    assert past.mean[:4].tolist() == pytest.approx([0.0, 6.6667, 20.0, 9.3333], abs=1e-3)
    assert past.deviation[:4].tolist() == pytest.approx([0.0, 12.533, 23.673, 23.673], abs=1e-3)
    assert past.beginner[:4].tolist() == [0.0] * 4
    assert past.best[:4].tolist() == pytest.approx([0.0, 6.6667, 20.0, 20.0], abs=1e-3)
    assert past.short[:4].tolist() == pytest.approx([0.0, 0.0, 0.0, 0.0693], abs=1e-3)
    assert past.doubled[:4].tolist() == pytest.approx([0.0, 6.6667, 20.0, 20.0], abs=1e-3)
    assert past.took[:4].tolist() == pytest.approx([0.0, 2 * 0.6931, 3 * 0.6931, 3 * 0.6931], abs=1e-3)
    assert rung.tolist() == [False] * 5 + [True]
    assert (float(past.age[-1]), float(past.weight[-1])) == (0.0, 0.0), "it begins anew"


def test_pages_test_by_hand():
    """Mean, variance before each number: (0, 0), (1, 0), (2, 1), (2, .5), (1, 1.25), (.5, .875).

    Falls less the tolerance, from the third on: -.5; 2 / .7071 - .5 = 2.3284; 1 / 1.1180 - .5 = .3944;
    1.5 / .9354 - .5 = 1.1036. Their sum passes 3 at the last.
    """
    alarm = pages_test(rate=0.5, tolerance=0.5, threshold=3.0, warm_up=2)
    past, rung = heard(alarm, [1.0, 3.0, 2.0, 0.0, 0.0, -1.0])
    assert past.total.tolist() == pytest.approx([0.0, 0.0, 0.0, 2.3284, 2.7229, 0.0], abs=1e-3)
    assert rung.tolist() == [False] * 5 + [True]
    assert int(past.seen[-1]) == 0, "it begins anew"


def test_to_pages_test_short_levels_are_one_long_one():
    """Quarters of a level, of which it is the mean."""
    levels = [1.0, 3.0, 2.0, 0.0, 0.0, -1.0]
    quarters = [level + off for level in levels for off in (-2.0, 1.0, 0.0, 1.0)]
    alarm = pages_test(rate=0.5, tolerance=0.5, threshold=3.0, warm_up=2)
    past, rung = heard(alarm, quarters, share=0.025)
    whole, _ = heard(alarm, levels)
    assert past.total[3::4].tolist() == pytest.approx(whole.total.tolist(), abs=1e-5)
    assert jnp.flatnonzero(rung).tolist() == [23]


@pytest.mark.parametrize("kind", [all_is_lost, pages_test])
def test_what_is_not_finite_is_passed_over(kind):
    alarm = kind()
    past, _ = alarm.hear(alarm.init(), jnp.asarray(1.0), 0.1)
    after, rung = alarm.hear(past, jnp.asarray(jnp.nan), 0.1)
    assert not bool(rung)
    assert jax.tree.map(float, after) == jax.tree.map(float, past)


def streams():
    """600 levels each: noise; a rise of 60 deviations; one that falls back by 6 at the 400th level, and one by all."""
    noise = jax.random.normal(jax.random.key(0), (600,))
    risen = noise + jnp.linspace(0.0, 60.0, 600)
    return noise, risen, risen.at[400:].add(-6.0), noise + 60.0 * (jnp.arange(600) % 400 > 100)


def test_only_a_fall_to_where_it_began_is_a_loss_of_all():
    noise, risen, fallen, lost = (heard(all_is_lost(), stream)[1] for stream in streams())
    assert not noise.any(), "who never learned has nothing to lose"
    assert not risen.any()
    assert not fallen.any()
    assert 405 <= int(jnp.argmax(lost)) <= 415, "a whole memory of ten levels without any gain makes a tenth"
    assert int(lost.sum()) == 1


def test_who_took_long_to_learn_waits_in_proportion():
    """A slow rise by 60 deviations in 600 levels, 60 memories: the gain last doubles at the earliest at half of them.

    So all is lost after 1.5 memories to 3, 15 to 30 levels, where a quick learner's is after ten.
    """
    slow = jnp.concatenate([streams()[1], streams()[0][:100]])
    quick = jnp.concatenate([streams()[0] + 60.0 * (jnp.arange(600) > 20), streams()[0][:100]])
    at = [int(jnp.argmax(heard(all_is_lost(), stream)[1])) for stream in (quick, slow)]
    assert 605 <= at[0] <= 615
    assert 615 <= at[1] <= 635
    dip = slow.at[612:].add(60.0)
    assert not heard(all_is_lost(), dip)[1].any(), "a fall that mends itself is none"
    assert heard(all_is_lost(waiting=1e-9), dip)[1].any()


@pytest.mark.parametrize(("length", "phase", "gain"), [(7, 0.0, 5.0), (14, 0.5, 2.0), (28, 0.25, 1.0)])
def test_episodes_that_begin_together_are_no_loss(length, phase, gain):
    """Levels swing by one with episodes of that many levels, and learning is slow: who counts that as gain rings."""
    swing = jnp.cos(2.0 * jnp.pi * (jnp.arange(600) / length + phase)) + jnp.linspace(0.0, gain, 600)
    assert heard(all_is_lost(deviations=0.3, certainty=0.0), swing)[1].any()
    assert not heard(all_is_lost(), swing)[1].any()


def correlated(key):
    """1000 levels that rise by one deviation; neighbours correlate by .74, ten levels a third of a memory apart."""
    noise = jax.random.normal(key, (1000,))
    wander = jax.lax.scan(lambda last, new: (now := 0.74 * last + 0.6726 * new, now), 0.0, noise)[1]
    return wander + jnp.linspace(0.0, 1.0, 1000)


def test_little_learned_in_much_noise_is_not_lost_by_chance():
    """In 32 lives; with less of any of three constants some ring."""
    lives = jax.vmap(correlated)(jax.random.split(jax.random.key(0), 32))

    def lost(**constants):
        return int(jax.vmap(lambda life: heard(all_is_lost(**constants), life)[1].any())(lives).sum())

    assert lost() == 0
    assert lost(fading=1.0) > 3
    assert lost(certainty=0.0) > 3
    assert lost(deviations=1.0) > 3


def test_the_less_a_gain_stands_out_the_longer_it_waits():
    """Levels swing by one, a deviation of 1.25; the gain comes at the 100th and goes at the 200th."""
    swing, there = jnp.where(jnp.arange(300) % 2 == 0, 1.0, -1.0), (jnp.arange(300) >= 100) & (jnp.arange(300) < 200)

    def first(gain, **constants):
        rung = heard(all_is_lost(**constants), swing + gain * there)[1]
        return int(jnp.argmax(rung)) if rung.any() else None

    assert first(3.5) is None, "less than three deviations"
    assert first(3.5, certainty=0.0) is None
    assert first(3.5, certainty=0.0, deviations=2.0) == 205
    delays = [first(gain) for gain in (5.0, 6.0, 60.0)]
    assert 230 < delays[0] < 240
    assert 220 < delays[1] < 230
    assert 205 < delays[2] < 215
    assert first(5.0, certainty=0.0) == 207


def test_a_stretched_memory_waits_no_more_steps():
    """Levels of an eighth of a memory: ten to learn, some to enjoy, then what a beginner made, the mean of four.

    That is a tenth of the gain below what should be left, .0125 memories a level: .1 of them are eight, .1 / 3.3 three.
    Soon after the rise its deviation is a sixth of the gain, and has faded sooner where memories are stretched. Who
    took four hundred levels waits longer by the same steps: twenty-five memories and more, or 82 that are shorter.
    """

    def waits(stretch, enjoyed, rise=10, lost=0.186):
        levels = jnp.concatenate([jnp.linspace(0.0, 1.0, rise), jnp.ones(enjoyed), jnp.full(60, lost)])
        return int(jnp.argmax(heard(all_is_lost(stretch=stretch), levels, 0.125)[1])) + 1 - rise - enjoyed

    assert (waits(1.0, 80), waits(3.3, 80)) == (9, 3)
    assert (waits(1.0, 16), waits(3.3, 16)) == (40, 26)
    assert (waits(1.0, 80, 400, 0.004), waits(3.3, 80, 400, 0.004)) == (19, 19)


def test_what_is_learned_at_once_is_learned():
    """All of it at the tenth level, and lost after ten memories of ten: the rise is no noise, nor is the fall."""
    noise = 0.05 * jax.random.normal(jax.random.key(0), (200,))
    rung = heard(all_is_lost(), noise + ((jnp.arange(200) > 10) & (jnp.arange(200) < 110)))[1]
    assert 115 <= int(jnp.argmax(rung)) <= 125


def test_to_pages_test_every_fall_counts():
    noise = streams()[0]
    for stream in (noise, noise + jnp.linspace(0.0, 60.0, 600)):
        assert not heard(pages_test(), stream)[1].any()
    assert 400 <= int(jnp.argmax(heard(pages_test(), noise.at[400:].add(-6.0))[1])) < 410


@pytest.mark.parametrize(("scale", "offset"), [(1e-3, 0.0), (1e3, 0.0), (1.0, -500.0)])
def test_it_rings_at_the_same_level_whatever_the_unit(scale, offset):
    lost = streams()[3]
    rung = heard(all_is_lost(), lost)[1]
    assert heard(all_is_lost(), lost * scale + offset)[1].tolist() == rung.tolist()
