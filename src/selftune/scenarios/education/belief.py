"""What a tutor believes of a pupil, and what it expects of an item.

    known      = level + own + gained * recall                   recall = 2^(-days since / (half_life * strength))
    gained     = gained * (1 + recall) / 2 + pace * readiness * challenge(known - difficulty) * (1 - known / 4)
    level, own = level, own + rates * (right - P(right))

Performance factors (Pavlik et al. 2009, AIED) over an Elo rating (Pelánek 2016, Computers & Education 98) with
forgetting. `pace`, `half_life` and both rates are metaparameters: nothing here knows a pupil's true ones.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from selftune.envs.worlds.tutoring import DIFFICULTIES, MINUTES, Params, challenge, chances, readiness
from selftune.objectives.extremes import largest
from selftune.scenarios.education.lessons import Answer
from selftune.types import Array, Eta, Float, Int

CLASS = Params()
"""What is believed of every pupil, and not learned: mean level, guessing, slipping, the spacing effect."""


class Belief(NamedTuple):
    """About one pupil; in logits unless it says otherwise."""

    level: Float[Array, ""]
    """Of all skills together."""
    own: Float[Array, " S"]
    """Of each skill, beyond the level."""
    gained: Float[Array, " S"]
    """By practice, were nothing forgotten."""
    strength: Float[Array, " S"]
    """Of the memory, as a factor of the half-life."""
    practised: Float[Array, " S"]
    """Day of the last practice."""
    begun: Float[Array, " S"]
    """1 where there was any, else 0."""


class Item(NamedTuple):
    """An item that was practised, and when."""

    answer: Answer
    day: Float[Array, ""]


def nothing_known(skills: int) -> Belief:
    """Before the first answer."""
    nothing = jnp.zeros(skills)
    return Belief(jnp.float32(CLASS.level), nothing, nothing, jnp.ones(skills), nothing, nothing)


def recall(eta: Eta, belief: Belief, day: Float[Array, ""]) -> Float[Array, " S"]:
    """Which share of what was gained is still there."""
    since = jnp.where(belief.begun > 0, day - belief.practised, 0.0)
    return 2.0 ** (-since / (eta["half_life"] * belief.strength))


def known(eta: Eta, belief: Belief, day: Float[Array, ""]) -> Float[Array, " S"]:
    """What the pupil is believed to know of each skill."""
    return belief.level + belief.own + belief.gained * recall(eta, belief, day)


def gains(eta: Eta, knowledge: Float[Array, " S"], needs: Float[Array, "S S"]) -> Float[Array, "S 3"]:
    """What an item of each skill and difficulty is expected to teach."""
    fits = challenge(knowledge[:, None] - jnp.asarray(DIFFICULTIES)[None])
    return (
        eta["pace"] * readiness(knowledge, needs)[:, None] * fits * jnp.clip(1.0 - knowledge / 4.0, 0.0, 1.0)[:, None]
    )


def expected(eta: Eta, belief: Belief, item: Item) -> Float[Array, ""]:
    """The believed probability of a right answer."""
    distance = known(eta, belief, item.day)[item.answer.skill] - jnp.asarray(DIFFICULTIES)[item.answer.level]
    return chances(distance[None], 0.0, CLASS)[0]


def practised(eta: Eta, belief: Belief, item: Item, needs: Float[Array, "S S"]) -> Belief:
    """The belief after an item whose answer is not known."""
    chosen = jnp.arange(len(needs)) == item.answer.skill
    knowledge, left = known(eta, belief, item.day), recall(eta, belief, item.day)
    gain = gains(eta, knowledge, needs)[:, item.answer.level]
    return belief._replace(
        gained=jnp.where(chosen, belief.gained * 0.5 * (1.0 + left) + gain, belief.gained),
        strength=jnp.where(chosen, belief.strength * (1.0 + CLASS.spacing * (1.0 - left)), belief.strength),
        practised=jnp.where(chosen, item.day, belief.practised),
        begun=jnp.where(chosen, 1.0, belief.begun),
    )


def answered(eta: Eta, belief: Belief, item: Item, needs: Float[Array, "S S"]) -> Belief:
    """The belief after an item and its answer: one inner update. A skill of -1 is no item, and changes nothing."""
    chosen = jnp.arange(len(needs)) == item.answer.skill
    surprise = jnp.where(chosen.any(), item.answer.right - expected(eta, belief, item), 0.0)
    then = practised(eta, belief, item, needs)
    return then._replace(
        level=belief.level + eta["level_rate"] * surprise,
        own=belief.own + jnp.where(chosen, eta["learning_rate"] * surprise, 0.0),
    )


def score(eta: Eta, belief: Belief, day: Float[Array, ""]) -> Float[Array, ""]:
    """The exam that is expected of the pupil: the mean chance to solve a medium item of each skill."""
    return chances(known(eta, belief, day), DIFFICULTIES[1], CLASS).mean()


def plan(eta: Eta, belief: Belief, day: Float[Array, ""], needs: Float[Array, "S S"]) -> Float[Array, " A"]:
    """Logits of the tutor's choice: what an item is worth a minute, relative to the best one.

    Worth is what it adds to the expected exam now: new knowledge, and the half of what was forgotten that practice
    brings back; and, weighted by `discount`, what it opens up: skills that rest on it and are not known yet.
    """
    knowledge, left = known(eta, belief, day), recall(eta, belief, day)
    slope = jax.nn.sigmoid(knowledge - DIFFICULTIES[1])
    slope = slope * (1.0 - slope)
    open_now, missing = jax.nn.sigmoid(2.0 * knowledge), 1.0 - jax.nn.sigmoid(knowledge)
    opens = (needs * missing[:, None]).sum(axis=0) * open_now * (1.0 - open_now)
    new = gains(eta, knowledge, needs) * (slope + eta["discount"] * opens)[:, None]
    again = 0.5 * belief.gained * (1.0 - left) * slope
    worth = ((new + again[:, None]) / jnp.asarray(MINUTES)[None]).reshape(-1)
    return worth / (largest(worth, 0) * eta["exploration"] + 1e-9)


def action_of(answer: Answer) -> Int[Array, ""]:
    """The choice that led to an answer."""
    return answer.level + 3 * answer.skill
