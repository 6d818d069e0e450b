"""Initial settings that nobody tuned, drawn as protocol R says: the same draws for every method.

learning_rate 10^U(-5,-1)    entropy_cost 10^U(-4,0)      value_cost 10^U(-2,0.7)
1 - discount 10^U(-3,-0.5)   trace_decay U(0.02,0.98)     clip_range U(0.05,0.5)

and of agents that learn from a replay, of which the protocol says nothing

epsilon U(0.01,0.9)          target_mix 10^U(-4,-0.3)     temperature 10^U(-2,1)

A critic's rate, where there is one, follows the learning rate, as it does for whoever gives that alone.
"""

from collections.abc import Callable, Iterable, Mapping

import numpy as np

from selftune.errors import SettingError, did_you_mean
from selftune.types import Float

TEST, TUNING = 0, 1_000_000
"""Where the seeds of the runs that are told begin, and of the runs by which a setting is chosen: disjoint."""


def _power(lowest: float, highest: float) -> tuple[float, float, Callable]:
    return lowest, highest, lambda x: 10.0**x


SEED_STEP = 10_000
"""From the seeds of one repetition of a bench to those of the next."""

RANGES: Mapping[str, tuple[float, float, Callable]] = {
    "learning_rate": _power(-5.0, -1.0),
    "entropy_cost": _power(-4.0, 0.0),
    "value_cost": _power(-2.0, 0.7),
    "discount": (-3.0, -0.5, lambda x: 1.0 - 10.0**x),
    "trace_decay": (0.02, 0.98, lambda x: x),
    "clip_range": (0.05, 0.5, lambda x: x),
    "epsilon": (0.01, 0.9, lambda x: x),
    "target_mix": _power(-4.0, -0.3),
    "temperature": _power(-2.0, 1.0),
}
"""Lowest and highest of a uniform draw, and what becomes of it."""


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
    lowest, highest, transform = RANGES[name]
    return transform(lowest + (highest - lowest) * np.asarray(uniform, float))


def to_unit(name: str, value: Float[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
    """The inverse of `from_unit`; values outside the range are put on its nearest end."""
    lowest, highest, _ = RANGES[name]
    value = np.asarray(value, float)
    back = {"discount": lambda v: np.log10(np.maximum(1.0 - v, 1e-12))}
    linear = {"trace_decay", "clip_range", "epsilon"}
    raw = value if name in linear else back.get(name, lambda v: np.log10(np.maximum(v, 1e-12)))(value)
    return np.clip((raw - lowest) / (highest - lowest), 0.0, 1.0)
