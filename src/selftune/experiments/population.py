"""Populations: several members learn at once, and the steps of all of them are counted.

random search   members as they were drawn
PBT             now and then the worst quarter copies members of the best quarter, and changes their settings a little
PB2             the same, with the settings chosen by a Gaussian-process bandit

Jaderberg et al. 2017, Population based training of neural networks (arXiv:1711.09846); Parker-Holder et al. 2020
(arXiv:2002.02518). What the user would have had at each moment is the return of the member that was best in the
interval before: that is the population's curve. Where episodes outlast an interval, the level of a member is the one
that was last known; who has none yet is not copied, and who was not seen since the last comparison goes on as it is.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from selftune.errors import SettingError
from selftune.experiments import gaussian_process
from selftune.experiments.drawing_settings import draw, from_unit, quantity, to_unit
from selftune.experiments.fleet import Fleet, Told
from selftune.experiments.sweep import Curves, Physics, concatenated, keys, plan
from selftune.runner.progress import progress
from selftune.runner.session import Session

INTERVALS = 25
"""How often in a run members are compared, at most."""
RESAMPLE = 0.25
"""Chance that PBT draws a setting anew instead of scaling it (Jaderberg et al. 2017, appendix A)."""
SCALES = (0.8, 1.2)
REMEMBERED = 80
"""Outcomes that PB2 models, the newest."""
FIRST_MODELLED = 4
"""Outcomes that PB2 must have seen before it models them; it draws until then."""


class History(NamedTuple):
    """What PB2 learns from: settings in [0, 1], when they were tried, and by how much the level rose meanwhile."""

    x: Float[np.ndarray, "N D"]
    t: Float[np.ndarray, " N"]
    y: Float[np.ndarray, " N"]


Explore = Callable[[Float[np.ndarray, "M D"], History, np.random.Generator], Float[np.ndarray, "M D"]]
"""`explore(settings, history, chance)`: new settings for members that copied these, in [0, 1]."""


class Strategy(NamedTuple):
    """How a population changes its members' settings; never, where there is nothing to explore with."""

    name: str
    explore: Callable[[Sequence[str]], Explore] | None


def perturbed(names: Sequence[str]) -> Explore:
    """PBT's step: each setting times 0.8 or 1.2, or drawn anew; rates of the horizon as 1 - discount."""

    def explore(settings: np.ndarray, history: History, chance: np.random.Generator) -> np.ndarray:
        scales = chance.choice(SCALES, settings.shape)
        anew = chance.random(settings.shape) < RESAMPLE
        moved = np.stack([_scaled(name, settings[:, d], scales[:, d]) for d, name in enumerate(names)], axis=1)
        return np.where(anew, chance.random(settings.shape), moved)

    return explore


def modelled(names: Sequence[str]) -> Explore:
    """PB2's step: where the upper confidence bound of the rise in return is highest, given everything so far."""

    def explore(settings: np.ndarray, history: History, chance: np.random.Generator) -> np.ndarray:
        if len(history.y) < FIRST_MODELLED:
            return chance.random(settings.shape)
        spread = history.y.std()
        y = (history.y - history.y.mean()) / (spread if spread > 0 else 1.0)
        process = gaussian_process.fit(history.x, history.t, y)
        return gaussian_process.choose(process, float(history.t.max()) + 1.0, len(settings), chance)

    return explore


RANDOM_SEARCH = Strategy("random search", None)
PBT = Strategy("PBT", perturbed)
PB2 = Strategy("PB2", modelled)


class Group(NamedTuple):
    """One population among those that are advanced together."""

    x: Float[np.ndarray, "M D"]
    """The members' settings, in [0, 1]."""
    best: int
    """The member in use."""
    level: Float[np.ndarray, " M"]
    """The last that is known of each, `nan` before an episode has ended with the settings that it has."""
    base: Float[np.ndarray, " M"]
    """The level that each has risen from: its own, or of whom it copied."""
    history: History
    chance: np.random.Generator


def populations(
    fleet: Fleet,
    physics: Physics,
    strategy: Strategy,
    names: Sequence[str],
    seeds: Sequence[int],
    steps: int,
    members: int = 8,
    points: int = 100,
    continuing: bool = False,
    title: str | None = None,
) -> Curves:
    """Make populations, one a seed, all of them side by side.

    Args:
        fleet: The agent in its world, whose settings nothing else tunes.
        physics: Of the world after so many steps, all members' summed.
        strategy: What they do.
        names: Settings that members differ in, keys of `RANGES`.
        seeds: Of the populations: of their draws and of their members' keys.
        steps: Environment steps of a population, summed over its members.
        members: `M` of each, at least 4.
        points: Length of the curves, about.
        continuing: Whether a level is a reward per step, for want of episodes.
        title: What is said to be in progress; nothing is said without it.

    Returns:
        Curves of the members in use, by the steps of whole populations.

    Raises:
        SettingError: Fewer than 4 members: there is no quarter.
    """
    if members < 4:
        raise SettingError(f"populations(members={members}): expected at least 4, so that there is a best quarter.")
    chunk, chunks = plan(fleet.steps_per_update * members, steps, points)
    every = between_comparisons(chunks)
    explore = strategy.explore(names) if strategy.explore else None
    groups = [_begun(names, seed, members) for seed in seeds]
    taken, told, interval = fleet.steps_per_update * chunk * members, [], []
    with ExitStack() as after:
        after.callback(fleet.close)
        sessions = fleet.begin(
            _settings(names, groups), keys([member_key(seed, m) for seed in seeds for m in range(members)])
        )
        for number in after.enter_context(closing(progress(range(chunks), title))):
            sessions, point = fleet.advance(_settings(names, groups), sessions, physics((number + 0.5) * taken), chunk)
            interval.append(_grouped(jax.device_get(point), len(seeds)))
            told.append(_in_use(interval[-1], [group.best for group in groups]))
            if (number + 1) % every == 0:
                levels = _levels(interval, chunk * fleet.steps_per_update, continuing)
                sessions, groups = _compared(sessions, groups, levels, (number + 1) // every, explore)
                interval = []
    return as_in_use(concatenated([told], len(seeds), taken), members)


def between_comparisons(chunks: int) -> int:
    """Chunks between two comparisons of the members."""
    return -(-chunks // INTERVALS)


def in_use(level: Float[np.ndarray, " M"], before: int) -> int:
    """The member that is best of those whose level is known; the one before where none is."""
    known = np.flatnonzero(~np.isnan(level))
    return int(known[np.argmax(level[known])]) if len(known) else before


def as_in_use(curves: Curves, members: int) -> Curves:
    """Rewards as if the steps of all members, which the points count, had been those of the one in use."""
    return curves._replace(reward=curves.reward * members)


def quarters(
    level: Float[np.ndarray, " M"], seen: Bool[np.ndarray, " M"], chance: np.random.Generator
) -> Int[np.ndarray, " M"]:
    """Whom each member copies: itself, but for the worst quarter, who copy somebody of the best quarter.

    Quarters of those whose level is known; of the worst only who was seen just now is made to copy.
    """
    known = np.flatnonzero(~np.isnan(level))
    order = known[np.argsort(level[known], kind="stable")]
    size = len(known) // 4
    sources = np.arange(len(level))
    if size:
        worst = order[:size]
        sources[worst] = np.where(seen[worst], chance.choice(order[-size:], size), worst)
    return sources


def copied(sessions: Session, sources: Int[np.ndarray, " N"]) -> Session:
    """Whole sessions of others: networks, optimizers, statistics, worlds; each keeps its own random key."""
    return jax.tree.map(lambda leaf: leaf[jnp.asarray(sources)], sessions)._replace(key=sessions.key)


def _compared(
    sessions: Session,
    groups: Sequence[Group],
    levels: Float[np.ndarray, "S M"],
    time: int,
    explore: Explore | None,
) -> tuple[Session, list[Group]]:
    """After an interval: the best is in use from now on; the worst copy, and explore."""
    sources, then = [], []
    for number, (group, level) in enumerate(zip(groups, levels, strict=True)):
        source, group = _turned(group, level, time, explore)
        sources.append(source + number * len(level))
        then.append(group)
    return (copied(sessions, np.concatenate(sources)) if explore else sessions), then


def _turned(
    group: Group, level: Float[np.ndarray, " M"], time: int, explore: Explore | None
) -> tuple[Int[np.ndarray, " M"], Group]:
    history, seen = _longer(group, level, time), ~np.isnan(level)
    base, level = (np.where(seen, level, before) for before in (group.base, group.level))
    best = in_use(level, group.best)
    if explore is None:
        return np.arange(len(level)), group._replace(best=best, level=level)
    source = quarters(level, seen, group.chance)
    x = group.x[source]
    moved = source != np.arange(len(level))
    if moved.any():
        x[moved] = np.clip(explore(x[moved], history, group.chance), 0.0, 1.0)
    return source, Group(x, best, np.where(moved, np.nan, level), base[source], history, group.chance)


def _longer(group: Group, level: Float[np.ndarray, " M"], time: int) -> History:
    """With what the levels that were seen have risen by."""
    rise = level - group.base
    known = np.isfinite(rise)
    old, when = group.history, np.full(int(known.sum()), float(time))
    pairs = zip(old, (group.x[known], when, rise[known]), strict=True)
    return History(*(np.concatenate(pair)[-REMEMBERED:] for pair in pairs))


def _begun(names: Sequence[str], seed: int, members: int) -> Group:
    drawn = draw(names, members, seed)
    x = np.stack([to_unit(name, drawn[name]) for name in names], axis=1)
    nothing = History(np.zeros((0, len(names))), np.zeros(0), np.zeros(0))
    unknown = np.full(members, np.nan)
    return Group(x, 0, unknown, unknown, nothing, np.random.default_rng([seed, members]))


def _settings(names: Sequence[str], groups: Sequence[Group]) -> Mapping[str, Float[jax.Array, " N"]]:
    x = np.concatenate([group.x for group in groups])
    values = {name: from_unit(name, x[:, d]) for d, name in enumerate(names)}
    return {name: jnp.asarray(value, jnp.float32) for name, value in values.items()}


def member_key(seed: int, member: int) -> int:
    """The seed of one member of a population."""
    return int(np.random.SeedSequence([seed, member]).generate_state(1)[0])


def _grouped(point: Told, count: int) -> Told:
    """Leaves [S M] as [S, M]."""
    return jax.tree.map(lambda leaf: leaf.reshape(count, -1), point)


def _in_use(point: Told, best: Sequence[int]) -> Told:
    rows = np.arange(len(best))
    return jax.tree.map(lambda leaf: leaf[rows, np.asarray(best)], point)


def _levels(interval: Sequence[Told], steps: int, continuing: bool) -> Float[np.ndarray, "S M"]:
    """Of each member in the interval; `nan` where no episode ended, the lowest where it earned no number."""
    if continuing:
        return _lowest_where_broken(np.mean([point.reward for point in interval], axis=0) / steps)
    episodes = np.sum([point.episodes for point in interval], axis=0)
    earned = np.sum([point.returns for point in interval], axis=0) / np.maximum(episodes, 1)
    return np.where(episodes > 0, _lowest_where_broken(earned), np.nan)


def _lowest_where_broken(values: Float[np.ndarray, "S M"]) -> Float[np.ndarray, "S M"]:
    return np.where(np.isfinite(values), values, -np.inf)


def _scaled(name: str, x: Float[np.ndarray, " M"], scale: Float[np.ndarray, " M"]) -> Float[np.ndarray, " M"]:
    return to_unit(name, quantity(name, quantity(name, from_unit(name, x)) * scale))
