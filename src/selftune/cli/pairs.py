"""Names and values as people write them: learning_rate=1e-4 num_envs=8."""

from collections.abc import Sequence

from selftune.errors import SettingError


def pairs(option: str, texts: Sequence[str]) -> dict[str, str]:
    """Values by name, unread.

    Raises:
        SettingError: A word that is no pair, or a name that comes twice.
    """
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise SettingError(f"{option} got {text!r}, expected NAME=VALUE, such as learning_rate=1e-4.")
        if name in found:
            raise SettingError(f"{option} got {name} twice, {found[name]!r} and {value!r}; expected it once.")
        found[name] = value
    return found
