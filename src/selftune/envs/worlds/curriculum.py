"""What is taught, and what must be known before: a graph of skills."""

from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import NamedTuple

import numpy as np

from selftune.errors import SettingError, did_you_mean
from selftune.types import Float


class Curriculum(NamedTuple):
    """Skills in an order in which each can be taught."""

    skills: tuple[str, ...]
    needs: Float[np.ndarray, "S S"]
    """`needs[s, r]` is 1 where skill `s` rests on skill `r`."""


def curriculum(skills: Mapping[str, Sequence[str]]) -> Curriculum:
    """A curriculum from what each skill rests on.

    Args:
        skills: Names, and the names of the skills that each needs.

    Raises:
        SettingError: No skill, a skill that needs an unknown one, or skills that need each other.
    """
    if not skills:
        raise SettingError("curriculum got no skill; expected {name: [names of the skills that it needs]}.")
    for name, needed in skills.items():
        for other in needed:
            if other not in skills:
                raise SettingError(f"The skill {name!r} needs {other!r}, which is none; {did_you_mean(other, skills)}")
    try:
        ordered = tuple(TopologicalSorter({name: sorted(needed) for name, needed in skills.items()}).static_order())
    except CycleError as error:
        circle = " needs ".join(reversed(error.args[1]))
        raise SettingError(
            f"No skill of a circle can be taught first: {circle}. Take one of these needs away."
        ) from None
    needs = np.array([[float(other in skills[name]) for other in ordered] for name in ordered], np.float32)
    return Curriculum(ordered, needs)


FRACTIONS = {
    "count objects": [],
    "compare lengths": [],
    "equal parts": ["count objects"],
    "unit fractions": ["equal parts"],
    "fractions on a line": ["unit fractions", "compare lengths"],
    "equivalent fractions": ["fractions on a line"],
    "compare fractions": ["equivalent fractions"],
    "add, same denominator": ["unit fractions"],
    "common denominators": ["equivalent fractions"],
    "add, any denominator": ["add, same denominator", "common denominators"],
    "fraction of a number": ["unit fractions"],
    "multiply fractions": ["fraction of a number", "equivalent fractions"],
}
"""Twelve steps to calculating with fractions: an example of a graph, not an official syllabus."""
