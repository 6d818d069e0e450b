"""A pupil and a tutor: the tutor chooses what is practised next, and how hard it is; the pupil learns, tires, forgets.

    recall   = 2^(-days since / half-life)
    known    = first + (learned - first) * recall
    P(right) = guess + (1 - guess - slip) * sigmoid(known - difficulty)
    learned  = (known + learned) / 2 + rate * attention * readiness * challenge(known - difficulty) * (1 - known / 4)

It is a simulator, and its constants are assumed but for those of which `docs/education.md` says otherwise. Recall has
the form of half-life regression (Settles and Meeder 2016, ACL). Half of what was forgotten comes back with the next
practice, and a half-life grows the more, the more was forgotten (the spacing effect), up to 120 days. Practice teaches
most where 79 % would be right, near the 85 % that Wilson et al. (2019, Nature Communications 10:4646) derive.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from selftune.envs.native import Environment
from selftune.envs.worlds.curriculum import FRACTIONS, Curriculum, curriculum
from selftune.objectives.extremes import smallest
from selftune.spaces import Box, Discrete
from selftune.types import Array, Bool, Float, Int, PRNGKey

DIFFICULTIES = (-0.87, -0.01, 0.88)
"""Easy, medium and hard items, in logits: terciles of ten items of the LSAT, moved to a mean of 0."""
MINUTES = (1.0, 1.25, 1.6)
"""What one item of each difficulty takes."""
SESSIONS, ITEMS = 24, 20
"""Lessons of a course, three a week, and items of a lesson."""
GAPS = (2.0, 2.0, 3.0)
"""Days from one lesson to the next, within a week."""
MASTERED = 0.8
"""Chance to solve a medium item from which on a skill counts as mastered."""
STEP, DESCENT = 0.08, 0.88
"""How much less is known at first of each skill than of the one before it in the curriculum, in logits, and how much
less of the last one at most: in curricula of more than twelve skills the steps are smaller."""
NOTHING, ILLNESS, SPURT, HOLIDAY = range(4)
"""What happens to a pupil in the second third of a course."""
LASTS = 6
"""Lessons for which an illness or a spurt lasts."""


class Params(NamedTuple):
    """Physics of `tutoring`: the class."""

    learning: float = 0.3
    """Logits that the best item teaches an average pupil who is awake and has all prerequisites."""
    half_life: float = 12.0
    """Days in which half of what was practised once is forgotten."""
    spacing: float = 1.5
    """By how much a half-life grows when everything had been forgotten; in proportion to what was."""
    fatigue: float = 0.015
    """Share of the attention that is lost a minute."""
    guess: float = 0.15
    """Chance to be right without knowing."""
    slip: float = 0.05
    """Chance to be wrong all the same."""
    level: float = -0.5
    """Mean knowledge of the first skill at the beginning, in logits above the medium item; of each later one `STEP`
    less."""
    level_spread: float = 0.91
    """Deviation of pupils' levels: of children half way through primary school. Skills differ by another 0.5."""
    rate_spread: float = 0.19
    """Deviation of the logarithm of pupils' rates of learning: of children's growth in mathematics, over its mean."""
    rate_level: float = 0.5
    """Correlation of the rate with the level, of the same children."""
    trait_spread: float = 0.3
    """Deviation of the logarithms of half-life, fatigue and minutes between pupils; an assumption."""
    events: float = 0.5
    """Chance of an illness, a spurt or a holiday."""
    illness: float = 0.4
    """Factor of the rate of learning in an illness."""
    boost: float = 1.8
    """Factor of the rate of learning in a spurt."""
    holiday: float = 14.0
    """Days without lessons."""
    quitting: float = 0.06
    """Chance to give up after a lesson without any engagement left; none above an engagement of 0.4."""


class Pupil(NamedTuple):
    """Who the pupil is."""

    first: Float[Array, " S"]
    """Knowledge at the beginning, in logits."""
    rate: Float[Array, ""]
    """Of learning, relative to the class; so are the others."""
    keeping: Float[Array, ""]
    tiring: Float[Array, ""]
    slowness: Float[Array, ""]
    event: Int[Array, ""]
    begins: Int[Array, ""]
    """The lesson with which the event begins."""


class State(NamedTuple):
    """Where a pupil stands."""

    pupil: Pupil
    learned: Float[Array, " S"]
    """In logits, were nothing forgotten."""
    half_life: Float[Array, " S"]
    """Days."""
    practised: Float[Array, " S"]
    """Day of the last practice."""
    engagement: Float[Array, ""]
    """In [0, 1]."""
    day: Float[Array, ""]
    minutes: Float[Array, ""]
    """Of this lesson."""
    time: Int[Array, ""]
    """Items of this course so far."""
    seen: Float[Array, "3 S"]
    """For the tutor: recent share of right answers, number of answers, whether there was any."""


def tutoring(taught: Curriculum | None = None) -> Environment:
    """A course of 24 lessons of 20 items with one pupil.

    The reward is how much the expected score of an exam (a medium item of each skill, in [0, 1]) has changed since the
    item before, forgetting included; it sums up to what the course was worth. Only a simulator knows it. A pupil who
    has lost all engagement may give up, which terminates the episode as the last item does.

    Args:
        taught: The skills; twelve steps to fractions when omitted.

    Returns:
        An environment that observes [3 S + 2]: each skill's recent share of right answers, answers (logarithm) and days
        since the last (logarithm), then the share of the course and of the lesson that is over; actions are
        `difficulty + 3 * skill`. `info` has `right`, `minutes`, `quit`.
    """
    taught = taught or curriculum(FRACTIONS)
    skills, needs = len(taught.skills), jnp.asarray(taught.needs)

    def reset(key: PRNGKey, params: Params) -> tuple[Float[Array, " O"], State]:
        state = _begin(key, params, skills)
        return _observe(state), state

    def step(key: PRNGKey, state: State, action: Int[Array, ""], params: Params):
        answer_key, quit_key = jax.random.split(key)
        before = exam(state, params)
        state, right, minutes = _practise(answer_key, state, action // 3, action % 3, needs, params)
        over = state.time % ITEMS == 0
        quit = over & jax.random.bernoulli(quit_key, params.quitting * jnp.clip(1.0 - state.engagement / 0.4, 0.0))
        then = jax.tree.map(lambda late, now: jnp.where(over, late, now), _tomorrow(state, params), state)
        ended = quit | (then.time >= SESSIONS * ITEMS)
        then = then._replace(day=jnp.where(ended, state.day, then.day))
        info = {"right": right, "minutes": minutes, "quit": quit}
        return _observe(then), then, exam(then, params) - before, ended, jnp.zeros((), bool), info

    return Environment("tutoring", Params(), Box((3 * skills + 2,)), Discrete(3 * skills), reset, step)


def known(state: State, later: float | Array = 0.0) -> Float[Array, " S"]:
    """What the pupil knows of each skill, in logits.

    Args:
        state: Where they stand.
        later: Days without practice from there; negative ones back to the last practice.
    """
    recall = 2.0 ** (-(state.day + later - state.practised) / state.half_life)
    return state.pupil.first + (state.learned - state.pupil.first) * recall


def chances(knowledge: Float[Array, " S"], difficulty: float | Array, params: Params) -> Float[Array, " S"]:
    """The probability of a right answer."""
    return params.guess + (1.0 - params.guess - params.slip) * jax.nn.sigmoid(knowledge - difficulty)


def mastered(state: State, params: Params, later: float | Array = 0.0) -> Bool[Array, " S"]:
    """Which skills are mastered so many days later: the pupil would solve `MASTERED` of the medium items."""
    return chances(known(state, later), DIFFICULTIES[1], params) >= MASTERED


def exam(state: State, params: Params, later: float | Array = 0.0) -> Float[Array, ""]:
    """Expected score of an exam, a medium item of each skill, so many days later."""
    return chances(known(state, later), DIFFICULTIES[1], params).mean()


def calendar(pupil: Pupil, params: Params) -> Float[Array, " L"]:
    """The day of each lesson; whoever gives up has these days all the same."""
    lessons = jnp.arange(SESSIONS)
    usual = jnp.concatenate([jnp.zeros(1), jnp.cumsum(jnp.asarray(GAPS)[(lessons[1:] - 1) % 3])])
    away = (pupil.event == HOLIDAY) & (lessons >= pupil.begins)
    return usual + jnp.where(away, params.holiday, 0.0)


def readiness(knowledge: Float[Array, " S"], needs: Float[Array, "S S"]) -> Float[Array, " S"]:
    """Of each skill, how far what it rests on is known: the least of its prerequisites, in [0, 1]."""
    return smallest(jnp.where(needs > 0, jax.nn.sigmoid(2.0 * knowledge)[None], 1.0), 1)


def challenge(distance: Float[Array, "..."]) -> Float[Array, "..."]:
    """How much an item teaches, relative to the best, by knowledge minus difficulty: most where 80 % would know."""
    return jnp.exp(-0.5 * jnp.square((jax.nn.sigmoid(distance) - 0.8) / 0.2))


def _begin(key: PRNGKey, params: Params, skills: int) -> State:
    keys = jax.random.split(key, 7)
    level, rate = jax.random.normal(keys[0], (2,))
    rate = params.rate_level * level + jnp.sqrt(1.0 - jnp.square(params.rate_level)) * rate
    keeping, tiring, slowness = jnp.exp(params.trait_spread * jax.random.normal(keys[1], (3,)))
    own = 0.5 * jax.random.normal(keys[2], (skills,))
    step = min(STEP, DESCENT / max(1, skills - 1))
    first = params.level + params.level_spread * level + own - step * jnp.arange(skills)
    happens = jax.random.bernoulli(keys[3], params.events)
    event = jnp.where(happens, jax.random.randint(keys[4], (), ILLNESS, HOLIDAY + 1, jnp.int32), NOTHING)
    begins = jax.random.randint(keys[5], (), SESSIONS // 3, SESSIONS // 2, jnp.int32)
    pupil = Pupil(first, jnp.exp(params.rate_spread * rate), keeping, tiring, slowness, event, begins)
    nothing = jnp.zeros(())
    half_life = jnp.full(skills, params.half_life) * keeping
    state = State(
        pupil, first, half_life, jnp.zeros(skills), jnp.float32(0.8), nothing, nothing, jnp.int32(0),
        jnp.zeros((3, skills)),
    )  # fmt: skip
    return jax.tree.map(lambda leaf: leaf.astype(jnp.result_type(leaf)), state)


def _practise(
    key: PRNGKey,
    state: State,
    skill: Int[Array, ""],
    level: Int[Array, ""],
    needs: Float[Array, "S S"],
    params: Params,
) -> tuple[State, Float[Array, ""], Float[Array, ""]]:
    """One item: the answer, what it taught, and what it cost."""
    pupil, difficulty = state.pupil, jnp.asarray(DIFFICULTIES)[level]
    knowledge, minutes = known(state), jnp.asarray(MINUTES)[level] * pupil.slowness
    right = jax.random.bernoulli(key, chances(knowledge, difficulty, params)[skill]).astype(jnp.float32)
    attention = jnp.exp(-params.fatigue * pupil.tiring * state.minutes) * jnp.clip(0.5 + state.engagement, 0.0, 1.0)
    gain = params.learning * pupil.rate * _factor(state, params) * attention * readiness(knowledge, needs)
    gain = gain * challenge(knowledge - difficulty) * jnp.clip(1.0 - knowledge / 4.0, 0.0, 1.0)
    begun = state.seen[1] > 0
    recall = jnp.where(begun, 2.0 ** (-(state.day - state.practised) / state.half_life), 1.0)
    relearned = knowledge + 0.5 * (state.learned - knowledge)  # half of what was lost comes back at once
    longer = state.half_life * (1.0 + params.spacing * (1.0 - recall))
    chosen = jnp.arange(len(needs)) == skill
    easy = (chances(knowledge, difficulty, params)[skill] > 0.92).astype(jnp.float32)
    mood = jnp.where(right > 0, 0.01, -0.03) - 0.015 * easy + 0.02 * (0.8 - state.engagement)
    share, count, _ = state.seen
    share = jnp.where(chosen, jnp.where(count > 0, 0.7 * share + 0.3 * right, right), share)
    return (
        state._replace(
            learned=jnp.where(chosen, relearned + gain, state.learned),
            half_life=jnp.where(chosen, jnp.maximum(state.half_life, jnp.minimum(longer, 120.0)), state.half_life),
            practised=jnp.where(chosen, state.day, state.practised),
            engagement=jnp.clip(state.engagement + mood, 0.0, 1.0),
            minutes=state.minutes + minutes,
            time=state.time + 1,
            seen=jnp.stack([share, count + chosen, jnp.minimum(count + chosen, 1.0)]),
        ),
        right,
        minutes,
    )


def _factor(state: State, params: Params) -> Float[Array, ""]:
    """What the event makes of the rate of learning in this lesson."""
    since = state.time // ITEMS - state.pupil.begins
    factor = jnp.select([state.pupil.event == ILLNESS, state.pupil.event == SPURT], [params.illness, params.boost], 1.0)
    return jnp.where((since >= 0) & (since < LASTS), factor, 1.0)


def _tomorrow(state: State, params: Params) -> State:
    """The beginning of the next lesson."""
    day = calendar(state.pupil, params)[jnp.minimum(state.time // ITEMS, SESSIONS - 1)]
    return state._replace(day=day, minutes=jnp.zeros_like(state.minutes))


def _observe(state: State) -> Float[Array, " O"]:
    share, count, any_answer = state.seen
    since = jnp.log1p(state.day - state.practised) * any_answer
    times = jnp.stack([state.time / (SESSIONS * ITEMS), (state.time % ITEMS) / ITEMS])
    return jnp.concatenate([share, jnp.log1p(count) / 4.0, since / 4.0, times]).astype(jnp.float32)
