"""When and how far a world changes, as data: the same schedule on the host and inside a compiled program.

elapsed  = max(step - start, 0)
regime   = elapsed // every                     which entry of the table
fraction = (elapsed mod every) / every          how far on the way to the next
level    = (1 - w) table[regime] + w table[regime + 1]
w        = 0 (abrupt, random_walk)   fraction (gradual)   (1 - cos(pi fraction)) / 2 (periodic)
"""

import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from selftune.errors import SettingError, did_you_mean

KINDS = ("abrupt", "gradual", "periodic", "random_walk")
BLENDED = ("gradual", "periodic")
"""Kinds that are under way from one entry to the next all the time."""
LARGEST = 2**31 - 1
"""Steps are counted in 32 bits on the device."""
LONGEST_WALK = 1_000_000

Checked: TypeAlias = Any
"""What may come from a file: checked by hand when a schedule is made, so that a mistake gets a message for people."""


@dataclass(frozen=True)
class Change:
    """One field of a world, and what becomes of it.

    Attributes:
        field: A text: what changes, a field of the world's physics or a map outside of it, such as `reward_factor`.
        values: The table, a list of numbers: the values themselves; or
        factors: the table as factors of the field's own value. A random walk has one entry: where it begins.
        kind: `"abrupt"`: entry after entry. `"gradual"`: straight from each to the next. `"periodic"`: along half a
            cosine, so that two entries swing with a period of `2 every`. `"random_walk"`: entry after entry of a walk.
        every: Environment steps, summed over parallel environments, from one entry to the next.
        start: Step at which the first entry's time begins; before it the field has the first entry as well.
        recurring: Whether the first entry follows the last; else the last stays.
        deviation: Standard deviation of a walk's steps, which are normal.
        low: What reflects the walk from below.
        high: What reflects it from above.
        length: Entries of a walk.
    """

    field: Checked
    values: Checked = None
    factors: Checked = None
    kind: Checked = "abrupt"
    every: Checked = 100_000
    start: Checked = 0
    recurring: Checked = True
    deviation: Checked = None
    low: Checked = None
    high: Checked = None
    length: Checked = None

    def __post_init__(self) -> None:
        if not isinstance(self.field, str) or not self.field.strip():
            raise SettingError(f"A change got field={self.field!r}, expected the name of what changes, as a text.")
        if self.kind not in KINDS:
            raise SettingError(
                f"{self.field}: there is no kind of change {self.kind!r}; {did_you_mean(str(self.kind), KINDS)}"
            )
        if (self.values is None) == (self.factors is None):
            raise SettingError(f"{self.field}: expected either values or factors, got {_both(self.values)}; give one.")
        name = "values" if self.factors is None else "factors"
        object.__setattr__(self, name, _table(self.field, name, getattr(self, name)))
        whole(f"{self.field}: every", self.every, 1)
        whole(f"{self.field}: start", self.start, 0)
        truth(f"{self.field}: recurring", self.recurring)
        self._check_walk()

    def _check_walk(self) -> None:
        told = {"deviation": self.deviation, "low": self.low, "high": self.high}
        if self.kind != "random_walk":
            named = [name for name, value in [*told.items(), ("length", self.length)] if value is not None]
            if named:
                raise SettingError(
                    f"{self.field}: got {named[0]}, which only a random_walk has, with kind={self.kind!r}."
                )
            return
        absent = [name for name, value in told.items() if value is None]
        if absent:
            raise SettingError(
                f"{self.field}: a random_walk got no {' and no '.join(absent)}; it needs deviation, low and high."
            )
        for name, value in told.items():
            object.__setattr__(self, name, _number(f"{self.field}: {name}", value))
        object.__setattr__(self, "length", 1000 if self.length is None else self.length)
        if whole(f"{self.field}: length", self.length, 2) > LONGEST_WALK:
            raise SettingError(f"{self.field}: length = {self.length}: expected at most {LONGEST_WALK} entries.")
        if len(self.given) != 1 or not self.low <= self.given[0] <= self.high or self.low == self.high:
            raise SettingError(
                f"{self.field}: a random walk from {list(self.given)} in [{self.low}, {self.high}]: expected one entry "
                "to begin with, between low and high, and low below high."
            )
        if not self.deviation > 0:
            raise SettingError(f"{self.field}: deviation = {self.deviation}: expected a number above 0.")

    @property
    def given(self) -> tuple[float, ...]:
        """The table as it was given."""
        return tuple(self.factors if self.values is None else self.values)

    def boundaries(self, steps: int, table: np.ndarray) -> Iterator[int]:
        """Steps in (0, `steps`) at which the level jumps, or begins or ends a way to another entry."""
        blended = self.kind in BLENDED
        last = LARGEST if self.recurring else len(table) - 1
        if len(table) < 2:
            return
        for regime in range(0 if blended else 1, last + 1):
            step = self.start + regime * self.every
            if step >= steps:
                return
            jumps = table[regime % len(table)] != table[(regime - 1) % len(table)]
            if step > 0 and (blended or jumps):
                yield step


@dataclass(frozen=True)
class Drift:
    """How a world changes while somebody learns in it.

    Attributes:
        changes: One for each field.
        seed: Of the random walks.
        announced: Whether the levels of the changing fields in the step in which an observation is acted upon, each
            scaled to [-1, 1] by the range of its table, are appended to it, a vector; else the change is hidden.
    """

    changes: Checked = ()
    seed: Checked = 0
    announced: Checked = False

    def __post_init__(self) -> None:
        changes = self.changes
        if not isinstance(changes, Sequence) or not all(isinstance(change, Change) for change in changes):
            raise SettingError(f"A drift got changes={changes!r:.80}, expected a list of selftune.Change.")
        object.__setattr__(self, "changes", tuple(changes))
        names = [change.field for change in changes]
        if doubled := sorted({name for name in names if names.count(name) > 1}):
            raise SettingError(f"A drift changes {doubled[0]!r} twice; expected one change for each field.")
        whole("seed", self.seed, 0)
        truth("announced", self.announced)

    def table(self, change: Change) -> np.ndarray:
        """[n] the entries of a change, float64; of a walk as the seed draws it."""
        return _drawn(change, self.seed)

    def level(self, change: Change, step: Any) -> Any:
        """What the table says at a step: a value, or a factor.

        Args:
            change: One of this drift's.
            step: Environment steps before this one; a whole number (the level is float64), or an int32 array of JAX,
                traced or not (float32).
        """
        xp, dtype = (jnp, jnp.float32) if isinstance(step, jax.Array) else (np, np.float64)
        table = self.table(change)
        elapsed = xp.maximum(step - change.start, 0)
        regime = elapsed // change.every
        entries = xp.asarray(table, dtype)
        here, there = (_place(change, regime + more, len(table), xp) for more in (0, 1))
        if change.kind in ("abrupt", "random_walk"):
            return entries[here]
        # The remainder is exact in integers; a step of 10^8 itself would not be in float32.
        fraction = (elapsed - regime * change.every) / change.every
        weight = fraction if change.kind == "gradual" else 0.5 * (1.0 - xp.cos(math.pi * fraction))
        return (entries[here] + weight * (entries[there] - entries[here])).astype(dtype)

    def levels(self, step: Any) -> dict[str, Any]:
        """The level of every changing field at a step, by name."""
        return {change.field: self.level(change, step) for change in self.changes}

    def announce(self, step: Any) -> list[Any]:
        """The levels as an agent is told them, in [-1, 1]; a table of equal entries is 0."""
        told = []
        for change in self.changes:
            low, high = float(self.table(change).min()), float(self.table(change).max())
            told.append((self.level(change, step) - 0.5 * (low + high)) / (0.5 * (high - low) or 1.0))
        return told

    def regimes(self, steps: int) -> list[tuple[int, int]]:
        """`(begin, end)` of the stretches between two changes, which together are the `steps`.

        A gradual or periodic change is cut where it reaches an entry of its table.
        """
        whole("steps", steps, 1)
        inner = {step for change in self.changes for step in change.boundaries(steps, self.table(change))}
        edges = [0, *sorted(inner), steps]
        return list(pairwise(edges))


def _place(change: Change, regime: Any, entries: int, xp: Any) -> Any:
    """Which entry of the table a regime has."""
    return regime % entries if change.recurring else xp.minimum(regime, entries - 1)


@lru_cache(maxsize=1024)
def _drawn(change: Change, seed: int) -> np.ndarray:
    """The table; a reflected walk is a free one, folded."""
    table = np.array(change.given)
    if change.kind == "random_walk":
        low, high, deviation, length = (getattr(change, name) for name in ("low", "high", "deviation", "length"))
        random = np.random.default_rng([seed, zlib.crc32(change.field.encode())])
        free = np.cumsum(np.append(table - low, deviation * random.standard_normal(length - 1)))
        width = high - low
        table = low + width - np.abs(np.mod(free, 2.0 * width) - width)
    table.setflags(write=False)
    return table


def whole(name: str, value: Any, lowest: int) -> int:
    """The value, if it is a whole number of 32 bits.

    Raises:
        SettingError: It is not.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= LARGEST:
        raise SettingError(f"{name} = {value!r:.60}: expected a whole number from {lowest} to {LARGEST}.")
    return value


def truth(name: str, value: Any) -> None:
    """Nothing, if the value is true or false.

    Raises:
        SettingError: It is not.
    """
    if not isinstance(value, bool):
        raise SettingError(f"{name} = {value!r:.60}: expected true or false.")


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e30:
        raise SettingError(f"{name} = {value!r:.60}: expected a finite number, below 1e30 in size.")
    return float(value)


def _table(field: str, name: str, given: Any) -> tuple[float, ...]:
    if isinstance(given, str | Mapping) or not isinstance(given, Sequence) or not given:
        raise SettingError(f"{field}: {name} = {given!r:.60}: expected a list of numbers, such as [1.0, 2.0].")
    return tuple(_number(f"{field}: {name}", entry) for entry in given)


def _both(values: Any) -> str:
    return "neither" if values is None else "both"
