"""The scenarios, by name."""

from collections.abc import Mapping
from importlib import import_module
from typing import NamedTuple

from selftune.envs.extras import require_installed
from selftune.errors import SettingError, did_you_mean
from selftune.scenarios.story import Ask, Say, Story


class Scenario(NamedTuple):
    """Where a scenario lives, and what it needs."""

    about: str
    extra: str | None = None
    """What installs the packages that it needs."""
    packages: tuple[str, ...] = ()


SCENARIOS: Mapping[str, Scenario] = {
    "education": Scenario("Pupils who differ, tire and forget; the pace of a tutor follows each of them."),
    "robotics": Scenario("The ground turns to ice under a trained robot.", "mujoco", ("mujoco",)),
    "trading": Scenario(
        "Real prices; risk aversion and the price on turnover follow what happens in the market.",
        "trading",
        ("arch", "bokeh_sampledata", "gym_anytrading"),
    ),
}
"""Each is a package beside this module, with `telling.tell(ask, say) -> Story` and a folder `skeleton` to copy."""


def known(name: str) -> Scenario:
    """A scenario by its name.

    Raises:
        SettingError: There is none.
    """
    if name not in SCENARIOS:
        raise SettingError(f"There is no scenario {name!r}; {did_you_mean(name, SCENARIOS)}")
    return SCENARIOS[name]


def check(name: str, ask: Ask) -> None:
    """Whether it could run: nothing is said if so.

    Raises:
        SettingError: There is no such scenario, or the seed is out of range.
        MissingExtraError: A package that it needs is not installed.
    """
    scenario = known(name)
    if not 0 <= ask.seed < 2**31:
        raise SettingError(f"The seed is {ask.seed}; expected a whole number from 0 to 2147483647.")
    for package in scenario.packages:
        require_installed(package, scenario.extra or name)


def tell(name: str, ask: Ask, say: Say = print) -> Story:
    """Run a scenario.

    Args:
        name: A key of `SCENARIOS`.
        ask: How much of it.
        say: Where a line goes whenever something is known.

    Raises:
        SelftuneError: What `check` raises.
    """
    check(name, ask)
    return import_module(f"selftune.scenarios.{name}.telling").tell(ask, say)
