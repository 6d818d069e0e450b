"""A Gymnasium environment that changes on a schedule: constants are set before each step, maps applied around it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gymnasium
import numpy as np

from selftune.envs.drift import outer_maps
from selftune.envs.drift.knobs import Knob, find, knobs, overlapping
from selftune.envs.drift.native_worlds import check
from selftune.envs.drift.schedule import Change, Drift
from selftune.envs.encoding import describe_actions, describe_observations
from selftune.errors import SettingError
from selftune.spaces import Box, Space


class Drifting(gymnasium.Wrapper):
    """One environment whose constants and maps follow a schedule.

    What is shared with other environments, a constant of a module, is turned back after every step; everything else
    when the environment is closed. Without any change each call is the environment's own. What changes within an
    episode changes there and then, apart from constants that the environment reads only in `reset`. MuJoCo's contacts
    take the larger friction of the two geoms: to make ground slippery, change `geom_friction`, not the floor's alone.
    """

    def __init__(self, env: gymnasium.Env, drift: Drift, stride: int = 1, begin: int = 0):
        """Wrap.

        Args:
            env: The environment, as it is when nothing changes; factors are factors of that.
            drift: What changes, and when.
            stride: Environment steps that one step of this copy stands for: the number of copies that step together;
                0 for a world that stands still.
            begin: Environment steps taken before.

        Raises:
            SettingError: A field that this environment does not have, with the list of those that it has; or one that
                cannot change as asked; or two that set the same numbers.
        """
        super().__init__(env)
        self._drift, self._stride, self._clock = drift, stride, begin
        self._actions = describe_actions(env.action_space)
        observations = _observed(env)
        neutral = outer_maps.neutral(observations, self._actions)
        known = knobs(env)
        self._knobs: dict[str, Knob] = {}
        for change in drift.changes:
            knob = None if change.field in neutral else find(env, change.field, known)
            own = {change.field: knob.own} if knob else {name: one.own for name, one in known.items()}
            check(_name(env), change, {**neutral, **own})
            if knob:
                self._knobs[change.field] = knob
        if both := overlapping(self._knobs):
            raise SettingError(
                f"Got changes of {both[0]!r} and of {both[1]!r}, which set the same numbers, expected one change of "
                "each number. Give all of them in one field, or in parts that do not overlap."
            )
        self._maps = {change.field: neutral[change.field] for change in drift.changes if change.field in neutral}
        self._turned: dict[str, float] = {}
        self._announces = drift.announced and bool(drift.changes)
        self._see_space(observations)

    def go_to(self, step: int) -> None:
        """Go on as after so many environment steps; a world that stands still goes there and stays."""
        self._clock = step

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode in the world as it is now."""
        with self._turn():
            before = {name: knob.read() for name, knob in self._knobs.items() if not knob.shared}
            observation, info = self.env.reset(seed=seed, options=options)
            self._take_as_own(before)
        return self._see(observation, self._clock), info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """One step in the world as it is now."""
        with self._turn() as maps:
            acted = outer_maps.act(maps, self._actions, action, np)
            observation, reward, terminated, truncated, info = self.env.step(acted)
        seen, earned = self._see(observation, self._clock + self._stride), outer_maps.earn(maps, reward)
        self._clock += self._stride
        return seen, earned, terminated, truncated, info

    def close(self) -> None:
        """Turn everything back, and close."""
        for knob in self._knobs.values():
            knob.turn(knob.own)
        self._turned = {}
        super().close()

    def _take_as_own(self, before: dict[str, Any]) -> None:
        """What the environment has set anew in `reset`, drawn perhaps, is its own in this episode."""
        for name, value in before.items():
            now = self._knobs[name].read()
            if not np.array_equal(now, value):
                self._knobs[name] = self._knobs[name]._replace(own=now)
                self._turned.pop(name, None)

    @contextmanager
    def _turn(self) -> Iterator[dict[str, Any]]:
        """The world as it is now, for one call; gives the maps as they are now."""
        levels = self._drift.levels(self._clock)
        changes = {change.field: change for change in self._drift.changes}
        for name, knob in self._knobs.items():
            if knob.shared or self._turned.get(name) != levels[name]:
                knob.turn(_value(knob.own, changes[name], levels[name]))
                self._turned[name] = levels[name]
        try:
            yield {name: _map(own, changes[name], levels[name]) for name, own in self._maps.items()}
        finally:
            for knob in self._knobs.values():
                if knob.shared:
                    knob.turn(knob.own)

    def _see(self, observation: Any, acted_upon: int) -> Any:
        """An observation as it is seen now; what it announces is in force at the step in which it is acted upon."""
        maps = {
            change.field: _map(self._maps[change.field], change, self._drift.level(change, self._clock))
            for change in self._drift.changes
            if change.field in outer_maps.OBSERVATION
        }
        seen = outer_maps.observe(maps, observation)
        if not self._announces:
            return seen
        return np.concatenate([seen, np.asarray(self._drift.announce(acted_upon), seen.dtype)])

    def _see_space(self, observations: Any) -> None:
        """What observations may be, where a map or an announcement changes that."""
        space: Any = self.env.observation_space
        if any(name in self._maps for name in outer_maps.OBSERVATION):
            space = gymnasium.spaces.Box(-np.inf, np.inf, space.shape, space.dtype)
        if self._announces:
            entries = outer_maps.announced_space(observations, len(self._drift.changes)).shape[0] - space.shape[0]
            low, high = (np.append(bound, [end] * entries) for bound, end in ((space.low, -1.0), (space.high, 1.0)))
            space = gymnasium.spaces.Box(low.astype(space.dtype), high.astype(space.dtype), dtype=space.dtype)
        if space is not self.env.observation_space:
            self.observation_space = space


def fields_of(env: gymnasium.Env) -> dict[str, Any]:
    """Everything that can change about an environment, by name, as it is when nothing does."""
    outside = outer_maps.neutral(_observed(env), describe_actions(env.action_space))
    return {**{name: knob.own for name, knob in knobs(env).items()}, **outside}


def _observed(env: gymnasium.Env) -> Space:
    """What is observed, in the environment's own type: only floats are mapped, or have levels appended to them."""
    space = describe_observations(env.observation_space)
    return space._replace(dtype=str(env.observation_space.dtype)) if isinstance(space, Box) else space


def _value(own: Any, change: Change, level: Any) -> Any:
    """A field as it is at a level, in its own shape; a float, unless it is and stays whole."""
    value = np.asarray(_at(own, change, level))
    if _stays_whole(own, change):
        value = np.rint(value).astype(int)
    return value.item() if value.ndim == 0 else value


def _stays_whole(own: Any, change: Change) -> bool:
    """Whether a whole number stays one at every level that the schedule can give, but for rounding."""
    jumps = change.kind == "abrupt" or (change.kind != "random_walk" and len(set(change.given)) == 1)
    if not jumps or np.asarray(own).dtype.kind not in "iu":
        return False
    values = np.stack([_at(own, change, entry) for entry in change.given])
    whole = np.isclose(values, np.rint(values), rtol=1e-12, atol=0.0) & (np.abs(values) < 2**53)
    return bool(whole.all())


def _map(own: Any, change: Change, level: Any) -> Any:
    """A map as it is at a level; actions are rotated by a whole number, the nearest."""
    value = float(_at(own, change, level))
    return round(value) if isinstance(own, int) else value


def _at(own: Any, change: Change, level: Any) -> Any:
    return own * level if change.factors is not None else np.broadcast_to(level, np.shape(own))


def _name(env: gymnasium.Env) -> str:
    return env.spec.id if env.spec is not None else type(env.unwrapped).__name__
