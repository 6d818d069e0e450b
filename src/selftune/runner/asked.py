"""Values as users give them, in a call, on the command line or in a file: read, or refused with what was expected."""

from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from numbers import Real
from typing import Any

from selftune.agents.vocabulary import VOCABULARY
from selftune.errors import SettingError, did_you_mean

LARGEST = 2**31 - 1
"""The largest whole number: counters on the device have 32 bits."""

_RANGES: Mapping[str, tuple[float, float]] = {
    "warm_up": (0, LARGEST),
    **dict.fromkeys(("outer_discount", "outer_trace_decay"), (0.0, 1.0)),
    **dict.fromkeys(("outer_entropy_cost", "outer_value_cost", "outer_divergence_cost"), (0.0, 1e6)),
    **dict.fromkeys(("softness", "replay_ratio"), (1e-6, 1e6)),
}
"""Of settings that are numbers; every other one is a whole number from 1 on, or from 0 where it is 0 by default."""


def whole(name: str, value: Any, lowest: int, bits: int = 63) -> int:
    """The value, if it is a whole number of so many bits; of seeds 32, since JAX's random numbers use no more.

    Raises:
        SettingError: It is not.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value < 2**bits:
        raise SettingError(f"{name} = {_short(value)}: expected a whole number from {lowest} on, below 2^{bits}.")
    return value


def names(tune: Any) -> tuple[str, ...] | None:
    """What is to be tuned, as it is handed on; `None` stays.

    Raises:
        SettingError: These are no names.
    """
    if tune is None:
        return None
    listed: tuple = tuple(tune) if isinstance(tune, Iterable) and not isinstance(tune, str) else (None,)
    if not all(isinstance(name, str) for name in listed):
        raise SettingError(f"tune = {_short(tune)}: expected a list of names, such as ['learning_rate'].")
    return listed


def starts(init: Any) -> dict[str, float]:
    """Where metaparameters start, by name; nothing where `None` is given.

    Raises:
        SettingError: These are no numbers by name.
    """
    return {name: _start(name, value) for name, value in by_name("init", init).items()}


def _start(name: str, value: Any) -> float:
    try:
        if isinstance(value, Real) and not isinstance(value, bool):
            return float(value)
    except OverflowError:
        pass
    raise SettingError(f"init: {name} = {_short(value)}: expected a number, such as 1e-3.")


def by_name(word: str, given: Any) -> dict[str, Any]:
    """Values by name; nothing where `None` is given.

    Raises:
        SettingError: It is no mapping of names.
    """
    given = {} if given is None else given
    if not isinstance(given, Mapping) or not all(isinstance(name, str) for name in given):
        raise SettingError(f"{word} = {_short(given)}: expected values by name, such as {{'learning_rate': 1e-4}}.")
    return dict(given)


def settled(default: Any, changes: Mapping[str, Any], optional: Iterable[str] = ()) -> Any:
    """An agent's settings with some of them changed; text is read as the setting's own type.

    Args:
        default: A dataclass of settings.
        changes: By name.
        optional: Names that are passed over where these settings have no such thing.

    Raises:
        SettingError: An unknown name, or a value of the wrong type or out of its range.
    """
    known = {entry.name for entry in fields(default)}
    for name in changes.keys() - known - set(optional):
        start = f" It is a metaparameter: give where it starts, as init (--init {name}=VALUE)."
        raise SettingError(
            f"There is no setting {name!r}; {did_you_mean(name, known)}{start if name in VOCABULARY else ''}"
        )
    read = {name: _read(name, getattr(default, name), value) for name, value in changes.items() if name in known}
    return replace(default, **read)


def _read(name: str, default: Any, value: Any) -> Any:
    try:
        read = _parsed(name, default, value)
    except (KeyError, TypeError, ValueError, OverflowError):
        expected = f"a value such as {as_typed(default)} ({type(default).__name__})"
        raise SettingError(f"{name} = {_short(value)}: expected {expected}.") from None
    lowest, highest = _RANGES.get(name, (0 if default == 0 else 1, LARGEST))
    for number in read if isinstance(read, tuple) else (read,):
        if not isinstance(number, bool | str) and not lowest <= number <= highest:
            raise SettingError(f"{name} = {_short(value)}: expected a number from {lowest} to {highest}.")
    return read


def _parsed(name: str, default: Any, value: Any) -> Any:
    match default:
        case bool():
            return {"true": True, "false": False}[str(value).lower()]
        case tuple():
            parts = [part for part in value.split(",") if part] if isinstance(value, str) else value
            return tuple(str(part) if name == "contextual" else _number(int, part) for part in parts)
    return _number(type(default), value)


def _number(kind: type, value: Any) -> Any:
    number = kind(value)
    if not isinstance(value, str) and number != value:
        raise ValueError
    return number


def _short(value: Any) -> str:
    """What was got, in a line of a message."""
    text = repr(value) if not isinstance(value, int) or abs(value) < 10**60 else "a number of more than 60 digits"
    return text if len(text) <= 80 else f"{text[:77]}..."


def as_typed(value: Any) -> str:
    """A setting's value as the command line writes it."""
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
