"""Tutors that do not learn: a timetable, a box of cards, an expert's rule."""

from typing import NamedTuple

import jax.numpy as jnp

from selftune.envs.worlds.tutoring import ITEMS, SESSIONS
from selftune.errors import SettingError
from selftune.scenarios.education.lessons import Answer, Moment, Tutor
from selftune.types import Array, Float, Int, PRNGKey

STREAK = 5
"""Right answers in a row after which the expert goes on."""
REVIEW = 7.0
"""Days after which the expert asks for a mastered skill again."""
BOXES = 5
"""Of Leitner's cards; a card of box `b` is due again after `2^b` lessons."""


def fixed_pace(skills: int) -> Tutor:
    """A timetable: each skill, in the order of the curriculum, gets the same time; easy items first, hard ones last.

    Raises:
        SettingError: There are more skills than a course has items, or none.
    """
    if not 1 <= skills <= SESSIONS * ITEMS:
        raise SettingError(
            f"fixed_pace({skills}): expected 1 to {SESSIONS * ITEMS} skills, an item of the course for each. Make a "
            "timetable for a part of the curriculum."
        )
    each = SESSIONS * ITEMS // skills

    def choose(mind: tuple, moment: Moment, key: PRNGKey) -> Int[Array, ""]:
        number = moment.lesson * ITEMS + moment.item
        skill = jnp.minimum(number // each, skills - 1)
        return 3 * skill + jnp.minimum(3 * (number % each) // each, 2)

    return Tutor("fixed pace", tuple, choose, lambda mind, moment, answer: mind)


class Cards(NamedTuple):
    """Of each skill."""

    box: Int[Array, " S"]
    """-1 for a skill that was not begun."""
    due: Int[Array, " S"]
    """Lesson from which on it is due."""


def leitner(skills: int) -> Tutor:
    """Cards in boxes (Leitner 1972): whatever is due comes first, then the next new skill.

    A right answer moves a card to the next box, a wrong one back to the first; the lower half of the boxes has easy
    items, the upper half medium ones.
    """

    def choose(cards: Cards, moment: Moment, key: PRNGKey) -> Int[Array, ""]:
        begun = cards.box >= 0
        due = begun & (cards.due <= moment.lesson)
        new = jnp.argmin(begun)
        waiting = jnp.argmin(jnp.where(begun, cards.due * BOXES + cards.box, 10**6))
        oldest = jnp.argmin(jnp.where(due, cards.due * BOXES + cards.box, 10**6))
        skill = jnp.where(due.any(), oldest, jnp.where(begun.all(), waiting, new))
        return 3 * skill + jnp.where(cards.box[skill] >= BOXES // 2, 1, 0)

    def hear(cards: Cards, moment: Moment, answer: Answer) -> Cards:
        chosen = jnp.arange(skills) == answer.skill
        box = jnp.where(answer.right > 0, jnp.minimum(cards.box + 1, BOXES - 1), 0)
        wait = jnp.where(answer.right > 0, 2 ** jnp.maximum(box, 0), 0)
        return Cards(jnp.where(chosen, box, cards.box), jnp.where(chosen, moment.lesson + wait, cards.due))

    nothing = jnp.zeros(skills, jnp.int32)
    return Tutor("Leitner", lambda: Cards(nothing - 1, nothing), choose, hear)


class Notes(NamedTuple):
    """Of each skill."""

    streak: Int[Array, " S"]
    """Right answers in a row."""
    done: Float[Array, " S"]
    """1 where it was mastered once."""
    last: Float[Array, " S"]
    """Day of the last item."""


def expert_rule(needs: Float[Array, "S S"]) -> Tutor:
    """Mastery learning (Bloom 1968).

    The first skill that is not done and whose prerequisites are, until five answers in a row are right, harder as the
    streak grows; a skill that is done comes again after a week, and one wrong answer then undoes it.
    """
    skills = needs.shape[0]

    def choose(notes: Notes, moment: Moment, key: PRNGKey) -> Int[Array, ""]:
        stale = (notes.done > 0) & (moment.day - notes.last >= REVIEW)
        ready = (notes.done < 1) & (jnp.where(needs > 0, notes.done[None], 1.0).min(axis=1) > 0)
        oldest = jnp.argmin(jnp.where(notes.done > 0, notes.last, jnp.inf))
        skill = jnp.where(stale.any() | (notes.done > 0).all(), oldest, jnp.argmax(ready))
        level = jnp.where(notes.done[skill] > 0, 1, jnp.minimum(notes.streak[skill] // 2, 2))
        return 3 * skill + level

    def hear(notes: Notes, moment: Moment, answer: Answer) -> Notes:
        chosen = jnp.arange(skills) == answer.skill
        streak = jnp.where(chosen, jnp.where(answer.right > 0, notes.streak + 1, 0), notes.streak)
        done = jnp.where(chosen & (streak >= STREAK), 1.0, notes.done)
        done = jnp.where(chosen & (answer.right < 1) & (notes.done > 0), 0.0, done)
        return Notes(streak, done, jnp.where(chosen, moment.day, notes.last))

    nothing = jnp.zeros(skills)
    return Tutor("expert rule", lambda: Notes(nothing.astype(jnp.int32), nothing, nothing), choose, hear)
