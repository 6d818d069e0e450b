"""Environments that misbehave, one fault at a time, registered with Gymnasium under ids of their own."""

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import gymnasium
import numpy as np

_numbers = itertools.count()


class WorldBrokeError(Exception):
    """What an environment raises of its own accord."""


class Fault(NamedTuple):
    """How a world misbehaves; each function is of the step's number, counted over all episodes."""

    reward: Callable[[int], Any] = lambda t: 1.0
    observation: Callable[[int], Any] = lambda t: np.cos(t + np.arange(3)).astype(np.float32)
    ends: Callable[[int], tuple[Any, Any]] = lambda t: (t % 5 == 0, False)
    raises_in_reset: tuple[int, Callable[[], BaseException]] | None = None
    """From which reset on, counted from 1, and what."""
    raises_in_step: tuple[int, Callable[[], BaseException]] | None = None
    reset_returns: Callable[[Any], Any] = lambda observation: (observation, {})
    step_returns: Callable[..., Any] = lambda *told: told


SOUND = Fault()


class World(gymnasium.Env):
    """Three numbers to see, two actions or one real number."""

    def __init__(
        self, fault: Fault, observations: gymnasium.Space, actions: gymnasium.Space, render_mode: str | None = None
    ):
        self.observation_space, self.action_space, self.render_mode = observations, actions, render_mode
        self._fault, self._steps, self._resets = fault, 0, 0

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> Any:
        """Begin an episode, or fail to."""
        self._resets += 1
        _fail(self._fault.raises_in_reset, self._resets)
        return self._fault.reset_returns(self._fault.observation(self._steps))

    def step(self, action: Any) -> Any:
        """Whatever the action: what the fault says."""
        self._steps += 1
        fault, now = self._fault, self._steps
        _fail(fault.raises_in_step, now)
        return fault.step_returns(fault.observation(now), fault.reward(now), *fault.ends(now), {})


def register(
    fault: Fault = SOUND,
    continuous: bool = False,
    observations: gymnasium.Space | None = None,
    actions: gymnasium.Space | None = None,
) -> str:
    """Register a world; its id."""
    name = f"Hostile{next(_numbers)}-v0"
    seen = gymnasium.spaces.Box(-10, 10, (3,)) if observations is None else observations
    real = gymnasium.spaces.Box(-2, 2, (1,)) if continuous else gymnasium.spaces.Discrete(2)
    done = real if actions is None else actions
    gymnasium.register(name, lambda **options: World(fault, seen, done, **options))
    return name


def _fail(when: tuple[int, Callable[[], BaseException]] | None, now: int) -> None:
    if when is not None and now >= when[0]:
        raise when[1]()


def _three(value: Any) -> Callable[[int], Any]:
    return lambda t: np.full(3, value, np.float32)


def _sound(t: int) -> np.ndarray:
    return SOUND.observation(t)


_NUMBERS = {
    "nan": np.nan,
    "inf": np.inf,
    "-inf": -np.inf,
    "0": 0.0,
    "1e30": 1e30,
    "-1e38": -1e38,
    "1e-40": 1e-40,
}

_EXCEPTIONS: dict[str, Callable[[], BaseException]] = {
    "WorldBrokeError": lambda: WorldBrokeError("the motor is hot"),
    "KeyError": lambda: KeyError("joint"),
    "ZeroDivisionError": lambda: ZeroDivisionError("division by zero"),
    "AssertionError": AssertionError,
    "StopIteration": StopIteration,
    "MemoryError": MemoryError,
    "OSError": lambda: OSError(5, "no camera"),
    "KeyboardInterrupt": KeyboardInterrupt,
}

FAULTS: dict[str, Fault] = {
    **{f"reward {name}": Fault(reward=lambda t, x=x: x) for name, x in _NUMBERS.items()},
    **{
        f"reward {name} at times": Fault(reward=lambda t, x=x: x if t % 3 == 0 else 1.0) for name, x in _NUMBERS.items()
    },
    **{f"observation {name}": Fault(observation=_three(x)) for name, x in _NUMBERS.items()},
    **{
        f"observation {name} at times": Fault(observation=lambda t, x=x: _three(x)(t) if t % 3 == 0 else _sound(t))
        for name, x in _NUMBERS.items()
    },
    **{
        f"reward {value!r}": Fault(reward=lambda t, value=value: value)
        for value in (1, None, "one", True, 10**400, 1 + 2j, [1.0], [1.0, 2.0], {}, np.float64(1e300), np.int8(3))
    },
    **{
        f"observation {text}": Fault(observation=lambda t, value=value: value)
        for text, value in {
            "of 5": np.zeros(5, np.float32),
            "of (3, 1)": np.zeros((3, 1), np.float32),
            "of 1": np.zeros(1, np.float32),
            "of 0": np.zeros(0, np.float32),
            "of float64": np.ones(3),
            "of int": np.arange(3),
            "of bool": np.ones(3, bool),
            "of complex": np.ones(3, complex),
            "of text": np.array(["a", "b", "c"]),
            "of objects": np.array([None, {}, "x"], object),
            "a number": 0.5,
            "a list": [0.0, 1.0, 2.0],
            "None": None,
            "a dict": {"camera": 1},
        }.items()
    },
    "reward a million times larger": Fault(reward=lambda t: 1e6 if t > 10 else 1.0),
    "reward a million times smaller": Fault(reward=lambda t: 1.0 if t > 10 else 1e6),
    "observation a million times larger": Fault(observation=lambda t: _sound(t) * np.float32(1e6 if t > 10 else 1)),
    "observation a million times smaller": Fault(observation=lambda t: _sound(t) * np.float32(1 if t > 10 else 1e6)),
    "everything nan": Fault(reward=lambda t: np.nan, observation=_three(np.nan)),
    "nan for a while": Fault(reward=lambda t: np.nan if 8 < t < 16 else 1.0),
    "ends at every step": Fault(ends=lambda t: (True, False)),
    "cut at every step": Fault(ends=lambda t: (False, True)),
    "never ends": Fault(ends=lambda t: (False, False)),
    "ends in both ways": Fault(ends=lambda t: (True, True)),
    **{
        f"ends {value!r}": Fault(ends=lambda t, value=value: (value, value))
        for value in (1, None, "yes", np.array([True]), np.array([True, False]), 0.5)
    },
    **{
        f"{name} in reset {number}": Fault(raises_in_reset=(number, error))
        for name, error in _EXCEPTIONS.items()
        for number in (1, 2, 4)
    },
    **{
        f"{name} in step {number}": Fault(raises_in_step=(number, error))
        for name, error in _EXCEPTIONS.items()
        for number in (1, 6, 18)
    },
    "reset returns no info": Fault(reset_returns=lambda observation: observation),
    "reset returns nothing": Fault(reset_returns=lambda observation: None),
    "step returns four": Fault(step_returns=lambda *told: told[:4]),
    "step returns nothing": Fault(step_returns=lambda *told: None),
    "step returns info None": Fault(step_returns=lambda *told: (*told[:4], None)),
}
"""By name."""
