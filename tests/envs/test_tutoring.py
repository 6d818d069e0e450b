"""A world of pupils: the curriculum can be taught, and pupils learn, forget and leave as a hand calculation says."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from selftune.envs.worlds.curriculum import FRACTIONS, curriculum
from selftune.envs.worlds.tutoring import (
    HOLIDAY,
    ILLNESS,
    ITEMS,
    NOTHING,
    SPURT,
    Params,
    exam,
    known,
    tutoring,
)
from selftune.errors import SettingError

PLAN = curriculum(FRACTIONS)
KEYS = jax.random.split(jax.random.key(5), 24)
STEP, RESET = jax.jit(tutoring().step), jax.jit(tutoring().reset)


def test_a_curriculum_is_in_an_order_in_which_it_can_be_taught():
    for place, name in enumerate(PLAN.skills):
        needed = {PLAN.skills[other] for other in np.flatnonzero(PLAN.needs[place])}
        assert needed == set(FRACTIONS[name])
        assert needed <= set(PLAN.skills[:place])


@pytest.mark.parametrize(
    ("skills", "told"),
    [
        ({"a": ["b"], "b": ["c"], "c": ["a"]}, "circle .* needs .* needs .* needs "),
        ({"halves": ["whole"], "wholes": []}, "did you mean 'wholes'"),
        ({}, "no skill"),
    ],
)
def test_a_curriculum_that_cannot_be_taught_is_refused(skills, told):
    with pytest.raises(SettingError, match=told):
        curriculum(skills)


def sure(**changes):
    """A class without guessing, slipping, tiring, events and differences."""
    still = {"guess": 0.0, "slip": 0.0, "fatigue": 0.0, "events": 0.0}
    return Params()._replace(**{**still, **changes})


def average(params):
    """A pupil like all others, who knows 0.5 of each skill."""
    _, state = RESET(KEYS[0], params)
    one = jnp.float32(1.0)
    half = jnp.full(12, 0.5, jnp.float32)
    pupil = state.pupil._replace(first=half, rate=one, keeping=one, tiring=one, slowness=one)
    return state._replace(pupil=pupil, learned=half, half_life=jnp.full(12, params.half_life, jnp.float32))


def test_an_item_teaches_what_the_formula_says():
    params = sure(learning=0.4)
    _, then, reward, ended, _, info = STEP(KEYS[1], average(params), jnp.int32(1), params)
    # sigmoid(.5 + .01) = .62481; challenge = exp(-.5 (.17519 / .2)^2) = .68137; 1 - .5 / 4 = .875; attention 1;
    # no prerequisites; .4 * .68137 * .875 = .23848
    assert float(then.learned[0]) == pytest.approx(0.5 + 0.23848, abs=1e-4)
    np.testing.assert_array_equal(then.learned[1:], np.float32(0.5))
    # (sigmoid(.74848) - sigmoid(.51)) / 12 = (.67885 - .62481) / 12
    assert float(reward) == pytest.approx((0.67885 - 0.62481) / 12, abs=1e-5)
    assert float(info["minutes"]) == 1.25
    assert not ended


@pytest.mark.parametrize(("skills", "drop"), [(12, 0.88), (40, 0.88), (2, 0.08), (1, 0.0)])
def test_later_skills_are_known_less_and_no_long_curriculum_is_beyond_reach(skills, drop):
    plan = curriculum({f"skill {number:02}": [] for number in range(skills)})
    _, state = jax.vmap(tutoring(plan).reset, (0, None))(jax.random.split(KEYS[0], 4000), Params())
    first = state.pupil.first.mean(axis=0)
    assert float(first[0] - first[-1]) == pytest.approx(drop, abs=0.05)
    assert float(first.mean()) == pytest.approx(Params().level - drop / 2, abs=0.07)


def test_what_a_skill_rests_on_limits_what_is_learned():
    params, skill = sure(), PLAN.skills.index("equal parts")
    _, then, *_ = STEP(KEYS[1], average(params), jnp.int32(3 * skill + 1), params)
    _, free, *_ = STEP(KEYS[1], average(params), jnp.int32(1), params)
    # sigmoid(2 * .5) = .73106 of what a skill without prerequisites gains
    assert float(then.learned[skill] - 0.5) == pytest.approx(0.73106 * float(free.learned[0] - 0.5), rel=1e-4)


def test_half_is_forgotten_in_a_half_life_and_practice_makes_it_last():
    params = sure(half_life=4.0, spacing=1.5)
    state = average(params)
    begun = state.seen.at[1, 0].set(1.0)
    state = state._replace(learned=state.learned.at[0].add(1.0), day=jnp.float32(4.0), seen=begun)
    assert float(known(state)[0]) == pytest.approx(1.0)
    assert float(known(state, 4.0)[0]) == pytest.approx(0.75)
    _, then, *_ = STEP(KEYS[1], state, jnp.int32(0), params)
    assert float(then.half_life[0]) == pytest.approx(4.0 * (1.0 + 1.5 * 0.5))


def test_a_first_practice_is_no_repetition():
    params = sure(half_life=4.0)
    _, then, *_ = STEP(KEYS[1], average(params)._replace(day=jnp.float32(30.0)), jnp.int32(1), params)
    assert float(then.half_life[0]) == 4.0


def test_practice_shortens_no_memory_that_lasts_longer_than_practice_makes_any():
    params = sure(half_life=200.0)
    state = average(params)
    state = state._replace(day=jnp.float32(90.0), seen=state.seen.at[1, 0].set(1.0))
    _, then, *_ = STEP(KEYS[1], state, jnp.int32(0), params)
    assert float(then.half_life[0]) == 200.0
    _, then, *_ = STEP(KEYS[1], state._replace(half_life=state.half_life - 90.0), jnp.int32(0), params)
    assert float(then.half_life[0]) == 120.0


def test_rewards_sum_up_to_what_the_course_was_worth():
    params = Params()
    _, state = RESET(KEYS[2], params)
    before, total = exam(state, params), 0.0
    for number in range(3 * ITEMS):
        _, state, reward, *_ = STEP(jax.random.fold_in(KEYS[2], number), state, jnp.int32(number % 36), params)
        total += float(reward)
    assert total == pytest.approx(float(exam(state, params) - before), abs=1e-5)


def test_the_calendar_and_a_holiday():
    params = sure(quitting=0.0)
    state = average(params)
    state = state._replace(pupil=state.pupil._replace(event=jnp.int32(HOLIDAY), begins=jnp.int32(2)))
    days = [0.0]
    for number in range(4 * ITEMS):
        _, state, *_ = STEP(KEYS[3], state, jnp.int32(0), params)
        if number % ITEMS == ITEMS - 1:
            days.append(float(state.day))
    assert days == [0.0, 2.0, 4.0 + 14.0, 7.0 + 14.0, 9.0 + 14.0]


@pytest.mark.parametrize(("event", "factor"), [(ILLNESS, 0.4), (SPURT, 1.8), (NOTHING, 1.0)])
def test_an_illness_slows_learning_and_a_spurt_speeds_it(event, factor):
    params, skill = sure(), jnp.int32(1)
    usual = average(params)
    struck = usual._replace(pupil=usual.pupil._replace(event=jnp.int32(event), begins=jnp.int32(0)))
    gains = [float(STEP(KEYS[1], state, skill, params)[1].learned[0]) - 0.5 for state in (struck, usual)]
    assert gains[0] == pytest.approx(factor * gains[1], rel=1e-4)


def test_only_pupils_without_engagement_give_up_and_only_after_a_lesson():
    params = sure(quitting=1.0)
    state = average(params)._replace(time=jnp.int32(ITEMS - 1))
    bored = state._replace(engagement=jnp.float32(0.0))
    assert bool(STEP(KEYS[1], bored, jnp.int32(2), params)[5]["quit"])
    assert not bool(STEP(KEYS[1], state, jnp.int32(2), params)[5]["quit"])
    assert not bool(STEP(KEYS[1], bored._replace(time=jnp.int32(3)), jnp.int32(2), params)[5]["quit"])
