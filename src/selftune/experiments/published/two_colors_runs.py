"""Whole runs of an agent in the stream: many seeds or settings in one compiled program, in chunks, resumable."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import numpy as np
from safetensors.numpy import load, save

from selftune.errors import SettingError
from selftune.experiments.records import Records, Row, already_measured, circumstances
from selftune.metaparams import MetaParam
from selftune.runner.arrays import pack, unpack
from selftune.runner.run_folder import write_whole
from selftune.types import Float, PyTree

CHUNK = 100_000
"""Steps between two returns to the host, at most; all chunks of a run are of one length, and so one program."""


@runtime_checkable
class Line(Protocol):
    """What the lines of all tables have."""

    @property
    def name(self) -> str:
        """Of the row."""
        ...

    @property
    def numbers(self) -> Mapping[str, float]:
        """What a run is built with."""
        ...


class Outcome(NamedTuple):
    """What `R` runs of `N` windows gave."""

    reward: Float[np.ndarray, "R N"]
    """Mean reward a step, window by window."""
    told: Float[np.ndarray, "R N"]
    """The learned number (entropy cost, epsilon), window by window."""
    window: int
    """Steps of one."""

    @property
    def returns(self) -> Float[np.ndarray, " R"]:
        """Mean reward a step of each run."""
        return self.reward.mean(axis=1)

    def around_flips(self, values: Float[np.ndarray, "R N"], flip_every: int, bins: int = 50) -> list[float]:
        """The mean of `values` by the time since the last swap, in the second half of the runs."""
        middle = (np.arange(values.shape[1]) + 0.5) * self.window
        late = middle >= values.shape[1] * self.window / 2
        where = (middle % flip_every / flip_every * bins).astype(int)
        means = [values[:, late & (where == index)] for index in range(bins)]
        return [round(float(part.mean()), 4) if part.size else float("nan") for part in means]

    def curve(self, points: int = 100) -> list[float]:
        """Mean reward a step over all runs, in equal stretches of time; of fewer than so many windows, each."""
        points = min(points, self.reward.shape[1])
        return [round(float(part.mean()), 4) for part in np.array_split(self.reward, points, axis=1)]


def run(
    build: Callable[[Any], Any],
    varied: PyTree,
    seeds: Sequence[int],
    steps: int,
    keep: Path | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Outcome:
    """Run `R` lives side by side.

    Args:
        build: `build(numbers) -> agent` with `init`, `window`, `updates` and `length`; traced once for all runs.
        varied: Numbers by which the runs differ; leaves [R].
        seeds: One for each run, [R].
        steps: Of each run; rounded up to whole windows.
        keep: Where to hold the state after every chunk; a run that finds its own state there goes on with it.
        say: Told the mean reward of every chunk.

    Raises:
        SettingError: `varied` and `seeds` do not go together.
    """
    if any(np.shape(leaf)[:1] != (len(seeds),) for leaf in jax.tree.leaves(varied)):
        raise SettingError(f"Got {len(seeds)} seeds, expected a leading axis of as many in every leaf of `varied`.")
    varied = jax.tree.map(lambda leaf: jax.numpy.asarray(leaf, jax.numpy.float32), varied)
    keys = jax.vmap(jax.random.key)(np.asarray(seeds, np.uint32))
    example = build(jax.tree.map(lambda leaf: leaf[0], varied))
    window = example.updates * example.length
    total = -(-steps // window)
    chunks = -(-total * window // CHUNK)
    length = -(-total // chunks)

    def chunk(numbers: PyTree, life: Any) -> tuple[Any, Any]:
        return jax.lax.scan(lambda life, _: build(numbers).window(life), life, length=length)

    program = jax.jit(jax.vmap(chunk), donate_argnums=1)
    lives = jax.jit(jax.vmap(lambda numbers, key: build(numbers).init(key)))(varied, keys)
    lives, reward, told = _found(keep, lives, len(seeds))
    while reward.shape[1] < total:
        lives, (more_reward, more_told) = program(varied, lives)
        reward, told = np.append(reward, more_reward, axis=1), np.append(told, more_told, axis=1)
        if keep is not None:
            keep.parent.mkdir(parents=True, exist_ok=True)
            write_whole(keep, save({**pack(lives), **_series(reward, told)}))
        say(f"{reward.shape[1] * window:>10,} steps: reward {reward[:, -length:].mean():.4f} a step")
    return Outcome(reward[:, :total], told[:, :total], window)


def recorded(
    experiment: str,
    line: Line,
    told: Mapping[str, Any],
    settings: Any,
    steps: int,
    seeds: Sequence[int],
    build: Callable[[Any], Any],
    tell: Callable[[Outcome], Row],
    records: Records[Row],
    say: Callable[[str], None],
) -> Row:
    """One row of a table: from the records, or run now and added to them.

    Args:
        experiment: Whose table it is.
        line: What the row is called, and the numbers that its agent is built with.
        told: All that makes the line what it is, for the details of its row, as JSON takes it.
        settings: What the table's rows share.
        steps: Of each run.
        seeds: Of the runs.
        build: As `run` takes it.
        tell: From what the runs gave to the row.
        records: Results; beside their file the state of a row that is under way.
        say: Told the mean reward of every chunk.
    """
    told = json.loads(json.dumps(told))
    known = already_measured(records, experiment, line.name, steps, len(seeds))
    if known is not None:
        if changed := [name for name in told if known.details.get(name, ...) != told[name]]:
            say(
                f"{line.name}: kept, but its row tells of other {', '.join(changed)}, or not of them; take it out of "
                f"{records.path} to measure it again."
            )
        return known
    keep = state_file(records.path.parent, line.name, line.numbers, told, settings, steps, tuple(seeds))
    varied = {name: np.full(len(seeds), number) for name, number in line.numbers.items()}
    row = tell(run(build, varied, seeds, steps, keep, lambda told: say(f"{line.name}: {told}")))
    row = replace(row, details={**row.details, **told, **circumstances()})
    records.add(row)
    keep.unlink(missing_ok=True)
    say(f"{experiment}, {line.name}: {row.ours:.4g} [{row.ci_low:.4g}, {row.ci_high:.4g}]")
    return row


def first_values(learned: Mapping[str, MetaParam]) -> dict[str, list[float]]:
    """Where each metaparameter begins, as JSON takes it."""
    return {name: np.ravel(entry.value).astype(float).round(6).tolist() for name, entry in learned.items()}


def state_file(folder: Path, name: str, *parts: Any) -> Path:
    """Where the state of a row under way is kept; other settings (`parts`), another file."""
    told = hashlib.sha256(repr((name, parts)).encode()).hexdigest()[:8]
    return folder / "under_way" / f"{name.replace(' ', '_')}-{told}.safetensors"


def _series(reward: Float[np.ndarray, "R N"], told: Float[np.ndarray, "R N"]) -> dict[str, Any]:
    return {"series.reward": np.ascontiguousarray(reward), "series.told": np.ascontiguousarray(told)}


def _found(keep: Path | None, lives: PyTree, runs: int) -> tuple:
    """The kept state, or the beginning."""
    if keep is None or not keep.exists():
        nothing = np.zeros((runs, 0), np.float32)
        return lives, nothing, nothing
    arrays = load(keep.read_bytes())
    reward, told = arrays.pop("series.reward"), arrays.pop("series.told")
    return unpack(lives, arrays), reward, told
