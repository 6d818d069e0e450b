"""Schedules as JSON, read strictly: whatever is not understood is refused, so that nothing is silently left out."""

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from selftune.envs.drift.schedule import Change, Drift
from selftune.errors import SettingError, did_you_mean


def plain(drift: Drift) -> dict[str, Any]:
    """A drift in lists, numbers and texts, as JSON has them; `read` makes the same drift of it."""
    return {"changes": [_told(change) for change in drift.changes], "seed": drift.seed, "announced": drift.announced}


def to_json(drift: Drift) -> str:
    """A drift as one line of JSON."""
    return json.dumps(plain(drift), allow_nan=False)


def from_json(text: str) -> Drift:
    """The drift that a text of JSON describes.

    Raises:
        SettingError: It is no JSON, or describes no drift.
    """
    try:
        told = json.loads(text, parse_constant=_refuse, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise SettingError(f"A drift is an object of JSON; this is none ({error}): {text!r:.80}") from error
    return read(told)


def read(given: Any) -> Drift:
    """A drift, from one, from what JSON says of one, from JSON itself, or from a file of it.

    Args:
        given: A `Drift`; a mapping as `plain` gives it; a text that begins with `{` or `[`; or else the name of a file.

    Raises:
        SettingError: Something in it is not understood; the message says what was expected.
    """
    if isinstance(given, Drift):
        return given
    if isinstance(given, str) and given.lstrip().startswith(("{", "[")):
        return from_json(given)
    if isinstance(given, str | Path):
        return _from_file(given)
    told = _known(given, Drift, "a drift")
    if "changes" not in told:
        raise SettingError(f"A drift has no changes: {given!r:.80}; expected an object such as {_EXAMPLES['a drift']}.")
    changes = told["changes"]
    if isinstance(changes, str | Mapping) or not isinstance(changes, list | tuple):
        raise SettingError(f"A drift got changes = {changes!r:.80}, expected a list of changes.")
    told["changes"] = tuple(_change(change) for change in changes)
    return Drift(**told)


def _change(given: Any) -> Change:
    if isinstance(given, Change):
        return given
    told = _known(given, Change, "a change")
    if "field" not in told:
        raise SettingError(f"A change has no field: {given!r:.80}; expected the name of what changes.")
    return Change(**told)


def _told(change: Change) -> dict[str, Any]:
    told = {entry.name: getattr(change, entry.name) for entry in fields(Change)}
    return {
        name: list(value) if isinstance(value, tuple) else value for name, value in told.items() if value is not None
    }


def _known(given: Any, kind: type, what: str) -> dict[str, Any]:
    """The entries, if every key is one of the dataclass's fields."""
    if not isinstance(given, Mapping):
        raise SettingError(f"Got {given!r:.80} as {what}, expected an object such as {_EXAMPLES[what]}.")
    known = [entry.name for entry in fields(kind)]
    if kind is Drift and "field" in given:
        raise SettingError(f"Got a single change as a drift, expected a list of them: {_EXAMPLES[what]}")
    for key in given:
        if key not in known:
            raise SettingError(f"There is no {key!r} in {what}; {did_you_mean(str(key), known)}")
    return dict(given)


_EXAMPLES = {
    "a drift": '{"changes": [{"field": "gravity", "factors": [1, 2], "every": 100000}]}',
    "a change": '{"field": "gravity", "factors": [1, 2], "every": 100000}',
}


def _from_file(name: str | Path) -> Drift:
    try:
        return from_json(Path(name).read_text("utf-8-sig"))
    except (OSError, ValueError) as error:
        if isinstance(error, SettingError):
            error.add_note(f"This was read from {name}.")
            raise
        raise SettingError(
            f"The schedule {str(name)!r:.80} cannot be read ({error}). Give a file of JSON, such as "
            f"{_EXAMPLES['a drift']}"
        ) from error


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is no number of JSON")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    if doubled := [key for key in keys if keys.count(key) > 1]:
        raise ValueError(f"{doubled[0]!r} is said twice")
    return dict(pairs)
