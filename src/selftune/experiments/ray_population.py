"""Populations through Ray Tune: each member in a process of its own, compared and moved by Ray's own schedulers.

What `population` does in one program, for members that are too large for one, or that should run on several machines.
The steps of all members are counted, and the curve is the one of the member in use, as there. Needs the extra `ray`.
"""

import importlib
import json
import logging
import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from safetensors.numpy import load_file, save_file

from selftune.errors import MissingExtraError, SettingError, did_you_mean
from selftune.experiments.drawing_settings import draw, from_unit, quantity, to_unit
from selftune.experiments.fleet import Fleet, Told
from selftune.experiments.population import (
    RESAMPLE,
    SCALES,
    as_in_use,
    between_comparisons,
    in_use as best_known,
    member_key,
)
from selftune.experiments.side_by_side import cores
from selftune.experiments.sweep import Curves, Physics, concatenated, keys, plan
from selftune.runner.arrays import pack, unpack

QUANTILE = 0.25
"""Of the members: the worst copy members of the best."""


class Scale(NamedTuple):
    """In what quantity a scheduler moves a setting."""

    of: Callable[[str, float], float]
    """From a name and a place in [0, 1] to the quantity."""
    back: Callable[[str, float], float]


def _plain(name: str, unit: float) -> float:
    return float(quantity(name, from_unit(name, np.array([unit])))[0])


def _place(name: str, plain: float) -> float:
    return float(to_unit(name, quantity(name, np.array([plain])))[0])


PLAIN = Scale(_plain, _place)
"""PBT scales the setting itself, of a discount what is missing to 1."""
UNIT = Scale(lambda name, unit: unit, lambda name, unit: min(max(unit, 0.0), 1.0))
"""PB2 models places in a range, logarithmic where the range is."""


class Life(NamedTuple):
    """What every member is told."""

    open_fleet: Callable[[], Fleet]
    physics: Physics
    scale: Scale
    names: tuple[str, ...]
    seed: int
    members: int
    chunk: int
    every: int
    """Chunks between two comparisons."""
    chunks: int
    continuing: bool

    @property
    def intervals(self) -> int:
        """Comparisons, the end included."""
        return math.ceil(self.chunks / self.every)


def ray_population(
    open_fleet: Callable[[], Fleet],
    physics: Physics,
    strategy: str,
    names: Sequence[str],
    seed: int,
    steps: int,
    members: int = 8,
    points: int = 100,
    continuing: bool = False,
) -> Curves:
    """Make one population.

    Args:
        open_fleet: The agent in its world, whose settings nothing else tunes; called in each member's process, to which
            it is sent by cloudpickle.
        physics: Of the world after so many steps, all members' summed.
        strategy: `"pbt"` or `"pb2"`, as `ray.tune.schedulers` does them.
        names: Settings that members differ in, keys of `RANGES`.
        seed: Of the first settings and of the members' keys. Ray's own decisions depend on who is done first.
        steps: Environment steps of the population, summed over its members.
        members: `M`, at least 4.
        points: Length of the curves, about.
        continuing: Whether a level is a reward per step, for want of episodes.

    Returns:
        The curves of the member in use, by the steps of the whole population; leaves [1 P].

    Raises:
        SettingError: Fewer than 4 members, or an unknown strategy.
        MissingExtraError: Ray Tune is not installed.
    """
    if members < 4:
        raise SettingError(f"ray_population(members={members}): expected at least 4, so that there is a best quarter.")
    if strategy not in _SCHEDULERS:
        raise SettingError(f"Ray Tune has no strategy {strategy!r} here; {did_you_mean(strategy, _SCHEDULERS)}")
    tune = _tune()
    scale, scheduler = _SCHEDULERS[strategy]
    per_update = open_fleet().steps_per_update
    chunk, chunks = plan(per_update * members, steps, points)
    every = between_comparisons(chunks)
    life = Life(open_fleet, physics, scale, tuple(names), seed, members, chunk, every, chunks, continuing)
    with tempfile.TemporaryDirectory() as folder:
        results = _fitted(tune, life, _first(life), scheduler(names), folder)
        told = [table(rows, life.intervals) for rows in results]
    return as_in_use(concatenated([in_use(told)], 1, per_update * chunk * members), members)


def _fitted(tune: Any, life: Life, begun: Sequence[Mapping[str, float]], scheduler: Any, folder: str) -> list[Any]:
    """Let Ray run it; the table of each member."""
    started = _started()
    share = {"cpu": min(1.0, cores() / life.members)}
    tuner = tune.Tuner(
        tune.with_resources(tune.with_parameters(member_class(tune), life=life), share),
        param_space={name: tune.uniform(0.0, 1.0) for name in begun[0]},
        tune_config=tune.TuneConfig(
            metric="level",
            mode="max",
            scheduler=scheduler,
            search_alg=tune.search.BasicVariantGenerator(points_to_evaluate=list(begun)),
            num_samples=life.members,
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(stop={"training_iteration": life.intervals}, storage_path=folder, verbose=0),
    )
    try:
        results = tuner.fit()
        if results.num_errors:
            raise results.errors[0]
        return [result.metrics_dataframe for result in results]
    finally:
        if started:
            started.shutdown()


class Interval(NamedTuple):
    """What a member reports between two comparisons."""

    level: float
    """The last that is known; no number before any episode ended."""
    points: Sequence[Told]
    own: bool = True
    """Whether the level is of the settings that the member has; of a copy it is its source's until an episode ends."""


def in_use(lives: Sequence[Sequence[Interval]]) -> list[Told]:
    """At each point what the member tells that was best in the interval before, at first the first one; leaves [1]."""
    points, best = [], 0
    for at_once in zip(*lives, strict=True):
        points += [jax.tree.map(lambda leaf: np.atleast_1d(leaf), point) for point in at_once[best].points]
        best = best_known(np.array([life.level if life.own else math.nan for life in at_once]), best)
    return points


COLUMNS = ("training_iteration", "level", "told", "own")
"""Of what members report."""


def table(rows: Any, count: int) -> list[Interval]:
    """From a member's table; one that copied a faster member goes on with that one's number, and left some out."""
    known = {
        int(number): Interval(float(level), [Told(**point) for point in json.loads(told)], bool(own))
        for number, level, told, own in zip(*(rows[name] for name in COLUMNS), strict=True)
    }
    return [known[max((n for n in known if n <= number), default=min(known))] for number in range(1, count + 1)]


def _first(life: Life) -> list[dict[str, float]]:
    """The quantities that members begin with."""
    drawn = draw(life.names, life.members, life.seed)
    places = {name: to_unit(name, values) for name, values in drawn.items()}
    return [{name: life.scale.of(name, float(places[name][m])) for name in life.names} for m in range(life.members)]


def number_of(trial: str) -> int:
    """Which member a trial is, from what Ray calls it, such as `1f3ab_00002`; a copy's settings are its source's."""
    return int(trial.rpartition("_")[2])


def member_class(tune: Any) -> type:
    """The class of members, a `tune.Trainable`."""

    class Member(tune.Trainable):
        def setup(self, config: Mapping[str, Any], life: Life) -> None:
            self._life, self._fleet = life, life.open_fleet()
            self.reset_config(config)

        def reset_config(self, new_config: Mapping[str, Any]) -> bool:
            """Another member's turn in this process, or other settings; what was learned comes with the checkpoint."""
            life = self._life
            places = {name: np.array([life.scale.back(name, new_config[name])]) for name in life.names}
            values = {name: from_unit(name, place) for name, place in places.items()}
            self._settings = {name: jnp.asarray(value, jnp.float32) for name, value in values.items()}
            self.key = keys([member_key(life.seed, number_of(self.trial_id))])
            self._sessions, self._done = self._fleet.begin(self._settings, self.key), 0
            self._level, self._own = math.nan, False
            return True

        def step(self) -> dict[str, Any]:
            life, points = self._life, []
            taken = self._fleet.steps_per_update * life.chunk
            for _ in range(min(life.every, life.chunks - self._done)):
                physics = life.physics((self._done + 0.5) * taken * life.members)
                self._sessions, told = self._fleet.advance(self._settings, self._sessions, physics, life.chunk)
                points.append(jax.tree.map(lambda leaf: float(leaf[0]), jax.device_get(told)))
                self._done += 1
            episodes = sum(point.episodes for point in points)
            earned = sum(point.reward if life.continuing else point.returns for point in points)
            share = taken * len(points) if life.continuing else episodes
            if share:
                self._level, self._own = earned / share if math.isfinite(earned) else -math.inf, True
            return {"level": self._level, "own": self._own, "told": json.dumps([p._asdict() for p in points])}

        def save_checkpoint(self, checkpoint_dir: str) -> None:
            own = {"done": np.asarray(self._done), "level": np.asarray(self._level)}
            save_file({**pack(self._sessions), **own}, Path(checkpoint_dir) / "member")

        def load_checkpoint(self, checkpoint_dir: str) -> None:
            arrays = load_file(Path(checkpoint_dir) / "member")
            self._done, self._level = int(arrays.pop("done")), float(arrays.pop("level"))
            self._sessions = unpack(self._sessions, arrays)._replace(key=self.key)

    return Member


def _pbt(names: Sequence[str]) -> Any:
    anew = {name: partial(_anew, name) for name in names}
    return _tune().schedulers.PopulationBasedTraining(
        time_attr="training_iteration",
        perturbation_interval=1,
        hyperparam_mutations=anew,
        quantile_fraction=QUANTILE,
        resample_probability=RESAMPLE,
        perturbation_factors=(SCALES[1], SCALES[0]),
    )


def _anew(name: str) -> float:
    return _plain(name, float(np.random.default_rng().random()))


def _pb2(names: Sequence[str]) -> Any:
    return _tune().schedulers.pb2.PB2(
        time_attr="training_iteration",
        perturbation_interval=1,
        hyperparam_bounds={name: [0.0, 1.0] for name in names},
        quantile_fraction=QUANTILE,
    )


def _started() -> Any:
    """Ray, where it had to be started here; `None` where it was there already, such as a cluster's."""
    ray = importlib.import_module("ray")
    if ray.is_initialized():
        return None
    ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.WARNING)
    return ray


def _tune() -> Any:
    try:
        importlib.import_module("ray.tune.schedulers.pb2")
        return importlib.import_module("ray.tune")
    except ImportError as error:
        raise MissingExtraError('Populations through Ray need Ray Tune: pip install "selftune[ray]"') from error


_SCHEDULERS: Mapping[str, tuple[Scale, Callable[[Sequence[str]], Any]]] = {"pbt": (PLAIN, _pbt), "pb2": (UNIT, _pb2)}
