"""Initial settings that nobody tuned, drawn as protocol R says: the same draws for every method.

learning_rate 10^U(-5,-1)    entropy_cost 10^U(-4,0)      value_cost 10^U(-2,0.7)
1 - discount 10^U(-3,-0.5)   trace_decay U(0.02,0.98)     clip_range U(0.05,0.5)

and of agents that learn from a replay, of which the protocol says nothing

epsilon U(0.01,0.9)          target_mix 10^U(-4,-0.3)     temperature 10^U(-2,1)

A critic's rate, where there is one, follows the learning rate, as it does for whoever gives that alone.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import numpy as np

from selftune.errors import SettingError, did_you_mean
from selftune.types import Float

TEST, TUNING = 0, 1_000_000
"""Where the seeds of the runs that are told begin, and of the runs by which a setting is chosen: disjoint."""


SEED_STEP = 10_000
"""From the seeds of one repetition of a bench to those of the next."""


class Spread(NamedTuple):
    """How the values of a setting lie between the ends of its range."""

    value: Callable
    """From a number that is drawn uniformly."""
    number: Callable
    """Back."""


LINEAR = Spread(lambda number: number, lambda value: value)
POWERS = Spread(lambda number: 10.0**number, lambda value: np.log10(np.maximum(value, 1e-12)))
SHORT_OF_ONE = Spread(lambda number: 1.0 - POWERS.value(number), lambda value: POWERS.number(1.0 - value))
"""Powers, of what is missing to one."""


class Range(NamedTuple):
    """Where a setting is drawn."""

    lowest: float
    """Of the number that is drawn uniformly."""
    highest: float
    spread: Spread


RANGES: Mapping[str, Range] = {
    "learning_rate": Range(-5.0, -1.0, POWERS),
    "entropy_cost": Range(-4.0, 0.0, POWERS),
    "value_cost": Range(-2.0, 0.7, POWERS),
    "discount": Range(-3.0, -0.5, SHORT_OF_ONE),
    "trace_decay": Range(0.02, 0.98, LINEAR),
    "clip_range": Range(0.05, 0.5, LINEAR),
    "epsilon": Range(0.01, 0.9, LINEAR),
    "target_mix": Range(-4.0, -0.3, POWERS),
    "temperature": Range(-2.0, 1.0, POWERS),
}


def draw(names: Iterable[str], count: int, seed: int) -> dict[str, Float[np.ndarray, " N"]]:
    """Initial settings by name.

    Args:
        names: Keys of `RANGES`.
        count: How many, `N`.
        seed: Of the draws. A name's draws do not depend on which others are asked for.

    Raises:
        SettingError: A name without a range.
    """
    chosen = tuple(names)
    for name in chosen:
        if name not in RANGES:
            raise SettingError(f"There is no range to draw {name!r} from; {did_you_mean(name, RANGES)}")
    uniform = unit_draws(count, seed)
    return {name: from_unit(name, uniform[name]).astype(np.float32) for name in chosen}


def unit_draws(count: int, seed: int) -> dict[str, Float[np.ndarray, " N"]]:
    """Uniform in [0, 1], for every name of `RANGES`."""
    chance = np.random.default_rng(seed)
    return {name: chance.random(count) for name in RANGES}


def from_unit(name: str, uniform: Float[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
    """From [0, 1] to the values of a range."""
    lowest, highest, spread = RANGES[name]
    return spread.value(lowest + (highest - lowest) * np.asarray(uniform, float))


def to_unit(name: str, value: Float[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
    """The inverse of `from_unit`; values outside the range are put on its nearest end."""
    lowest, highest, spread = RANGES[name]
    return np.clip((spread.number(np.asarray(value, float)) - lowest) / (highest - lowest), 0.0, 1.0)


def quantity(name: str, value: Float[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
    """In what a person reads and scales a setting: a discount as what is missing to one. Its own inverse."""
    return 1.0 - value if is_drawn(name, SHORT_OF_ONE) else value


def is_drawn(name: str, spread: Spread) -> bool:
    """Whether a setting has a range in which it is spread so."""
    return name in RANGES and RANGES[name].spread is spread
