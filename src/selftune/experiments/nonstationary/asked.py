"""What `selftune bench drift` is asked: worlds, ways and subjects of change, methods, and how much of everything."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from selftune.envs.drift.standards import SUBJECTS, USUAL, WAYS, kinds
from selftune.errors import SettingError, did_you_mean
from selftune.experiments.contest.cell import Extent
from selftune.experiments.contest.changing import OFF
from selftune.experiments.contest.methods import KNOWN, METHODS


class Host(NamedTuple):
    """What is measured on the host at most, of the usual subject alone."""

    seeds: int
    draws: int


class Task(NamedTuple):
    """Who learns in a world."""

    agent: str
    continuing: bool = False
    """Whether there are no episodes: the level is a reward per step."""
    host: Host | None = None
    """What less is done where the environments are on the host, one run after another."""

    def extent(self, asked: Extent) -> Extent:
        """How much is measured here."""
        if self.host is None:
            return asked
        seeds, draws = min(asked.seeds, self.host.seeds), min(asked.draws, self.host.draws)
        return replace(asked, seeds=seeds, draws=draws, width=asked.members)

    def kinds(self, name: str, ways: Sequence[str], subjects: Sequence[str]) -> list[str]:
        """The kinds of change that are measured here, the world that stands still last.

        Raises:
            SettingError: There are none of these ways and subjects.
        """
        known = [kind for kind in kinds(name) if not self.host or kind.split()[1] == USUAL[name]]
        moving = [kind for kind in known if kind.split()[0] in ways and kind.split()[1] in (subjects or (USUAL[name],))]
        if not moving and set(ways) - {OFF}:
            asked = " or ".join([*(way for way in ways if way != OFF), *subjects])
            raise SettingError(f"bench drift measures no {asked} in {name}; it measures {', '.join(known)}.")
        return [*moving, *([OFF] if OFF in ways else [])]


TASKS: Mapping[str, Task] = {
    "cartpole": Task("a2c"),
    "acrobot": Task("a2c"),
    "pendulum": Task("ppo"),
    "two_colors": Task("a2c", continuing=True),
    "HalfCheetah-v5": Task("ppo", host=Host(seeds=3, draws=16)),
}
FULL = Extent(steps=400_000, regimes=4, seeds=10, draws=32)
REDUCED = Extent(steps=200_000, regimes=4, seeds=4, draws=8, members=4, width=8, points=12)
REDUCED_ENVS = ("cartpole", "two_colors")
REDUCED_WAYS = ("abrupt", OFF)


class Asked(NamedTuple):
    """What is to be measured."""

    envs: tuple[str, ...]
    ways: tuple[str, ...]
    subjects: tuple[str, ...]
    methods: tuple[str, ...]
    extent: Extent


def asked(only: Sequence[str], full: bool, seeds: int | None = None, steps: int | None = None) -> Asked:
    """Worlds, ways and subjects of change, and methods, from their names in any order; what is not named, as usual.

    Raises:
        SettingError: An unknown name, or less than one seed or step.
    """
    for name, number in {"--seeds": seeds, "--steps": steps}.items():
        if number is not None and number < 1:
            raise SettingError(f"bench drift got {name} {number}; expected at least 1.")
    everything = {"envs": tuple(TASKS), "ways": (*WAYS, OFF), "subjects": SUBJECTS, "methods": tuple(KNOWN)}
    usual = {**everything, "methods": tuple(name for name, method in METHODS.items() if method.ray is None)}
    usual |= {} if full else {"envs": REDUCED_ENVS, "ways": REDUCED_WAYS, "subjects": ()}
    known = [name for names in everything.values() for name in names]
    for name in only:
        if name not in known:
            raise SettingError(
                f"The bench has no world, way or subject of change, or method {name!r}; {did_you_mean(name, known)}"
            )
    chosen = {part: tuple(name for name in names if name in only) for part, names in everything.items()}
    extent = FULL if full else REDUCED
    extent = replace(extent, seeds=seeds or extent.seeds, steps=steps or extent.steps)
    picked = {part: chosen[part] or usual[part] for part in everything}
    if not chosen["envs"]:  # of all worlds those that have what was named
        picked["envs"] = tuple(name for name in picked["envs"] if _changes(name, picked["ways"], picked["subjects"]))
    return Asked(**picked, extent=extent)


def _changes(name: str, ways: Sequence[str], subjects: Sequence[str]) -> bool:
    try:
        return bool(TASKS[name].kinds(name, ways, subjects))
    except SettingError:
        return False


def command(only: Sequence[str], full: bool, seeds: int | None, steps: int | None) -> str:
    """The line that measures it again."""
    words = ["selftune bench drift", *(["--only", *only] if only else []), *(["--full"] if full else [])]
    numbers = {"--seeds": seeds, "--steps": steps}
    return " ".join([*words, *(f"{name} {value}" for name, value in numbers.items() if value is not None)])
