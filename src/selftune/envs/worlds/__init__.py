"""Worlds written in JAX, by name: small, classical, and quick enough to learn in by the thousand."""

from collections.abc import Callable, Mapping
from typing import Any

from selftune.envs.native import Environment
from selftune.envs.worlds.acrobot import acrobot
from selftune.envs.worlds.bandits import bandit
from selftune.envs.worlds.cartpole import cartpole
from selftune.envs.worlds.catch import catch
from selftune.envs.worlds.chain import chain
from selftune.envs.worlds.discounting import discounting_chain
from selftune.envs.worlds.grid import four_rooms, two_colors
from selftune.envs.worlds.mazes import maze
from selftune.envs.worlds.memory import recall
from selftune.envs.worlds.mountain_car import mountain_car, mountain_car_continuous
from selftune.envs.worlds.pendulum import pendulum
from selftune.envs.worlds.tabular import random_mdp, switching_mdps
from selftune.envs.worlds.tutoring import tutoring
from selftune.errors import SettingError, did_you_mean

WORLDS: Mapping[str, Callable[[], Environment]] = {
    "acrobot": acrobot,
    "bandit": bandit,
    "cartpole": cartpole,
    "catch": catch,
    "chain": chain,
    "discounting_chain": discounting_chain,
    "four_rooms": four_rooms,
    "maze": maze,
    "mountain_car": mountain_car,
    "mountain_car_continuous": mountain_car_continuous,
    "pendulum": pendulum,
    "random_mdp": random_mdp,
    "recall": recall,
    "switching_mdps": switching_mdps,
    "tutoring": tutoring,
    "two_colors": two_colors,
}

__all__ = [
    "WORLDS",
    "acrobot",
    "bandit",
    "cartpole",
    "catch",
    "chain",
    "discounting_chain",
    "four_rooms",
    "maze",
    "mountain_car",
    "mountain_car_continuous",
    "pendulum",
    "random_mdp",
    "recall",
    "switching_mdps",
    "tutoring",
    "two_colors",
    "world",
]


def world(name: str, **changes: Any) -> Environment:
    """A world by its name, with some of its physics changed.

    Args:
        name: a key of `WORLDS`.
        **changes: fields of the world's `params`. They take the type of the field, so that one compiled program
            serves every physics.

    Raises:
        SettingError: if there is no such world or field, or a value is not a number of the field's type.
    """
    if name not in WORLDS:
        raise SettingError(f"There is no world {name!r}; {did_you_mean(name, WORLDS)}")
    env = WORLDS[name]()
    physics = env.params._asdict()
    for field in changes:
        if field not in physics:
            raise SettingError(f"The world {name!r} has no physics {field!r}; {did_you_mean(field, physics)}")
    typed = {field: _typed(name, field, physics[field], value) for field, value in changes.items()}
    return env._replace(params=env.params._replace(**typed))


def _typed(name: str, field: str, default: float | int, value: Any) -> float | int:
    """The value in the type of the default."""
    kind = type(default)
    try:
        typed = kind(value)
    except (TypeError, ValueError):
        typed = None
    # What lost something on the way, half a step or half a truth, was not of that type.
    if typed is None or (kind is not float and typed != value):
        raise SettingError(
            f"Got {field}={value!r} for the world {name!r}, expected {kind.__name__}, as in {default!r}."
        )
    return typed
