"""Skills of one's own: a file of JSON that names each, and what it needs first.

{"half notes": [], "rests": ["half notes"]}
"""

import json
from pathlib import Path
from typing import Any

from selftune.envs.worlds.curriculum import Curriculum, curriculum
from selftune.errors import SettingError

EXAMPLE = '{"half notes": [], "rests": ["half notes"]}'


def read_skills(path: Path) -> Curriculum:
    """The curriculum of a file.

    Args:
        path: JSON in UTF-8, an object: the name of each skill, and a list of the names of those that it needs.

    Raises:
        SettingError: The file cannot be read, is no such object, names a skill twice, or describes no curriculum.
    """
    try:
        told = json.loads(Path(path).read_text("utf-8-sig"), object_pairs_hook=_once)
    except (OSError, ValueError, RecursionError) as error:
        raise SettingError(f"The skills of {path} cannot be read ({error}). Give a file such as {EXAMPLE}") from error
    if not isinstance(told, dict):
        raise SettingError(f"{path} has {told!r:.80}; expected an object such as {EXAMPLE}")
    for name, needs in told.items():
        if not isinstance(needs, list) or not all(isinstance(other, str) for other in needs):
            raise SettingError(
                f"{path}: the skill {name!r} needs {needs!r:.80}; expected a list of names, [] for a skill that needs "
                "none."
            )
    try:
        return curriculum(told)
    except SettingError as error:
        error.add_note(f"This was read from {path}.")
        raise


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    if doubled := [name for name in names if names.count(name) > 1]:
        raise ValueError(f"{doubled[0]!r} is there twice; name each skill once")
    return dict(pairs)
