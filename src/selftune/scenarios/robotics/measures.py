"""What a change costs: one number a course, and comparisons of courses with equal seeds.

recovery = environment steps after the change until the mean speed of one window, after one that was slower, is back
           at a share of that before it; 0 where none was slower
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from selftune.envs.drift import Change, Drift
from selftune.envs.drift.schedule import BLENDED, LARGEST
from selftune.errors import SettingError
from selftune.experiments.measures import back
from selftune.experiments.statistics import Interval, paired_ratio
from selftune.scenarios.robotics.courses import Course

SHARE = 0.9
"""Of the speed before the change: what counts as recovered."""
EPISODE = 1000
"""Control steps. Speeds are averaged over one episode, so that the beginnings of episodes, which come at the same time
in all parallel environments, do not count as ups and downs."""


class Cost(NamedTuple):
    """Of one course."""

    before: float
    """Mean speed in the last window before the change, m/s."""
    lowest: float
    """The lowest mean speed of a window after it."""
    last: float
    """Of the last window."""
    recovery: float
    """Steps; 0 where no speed was lost, the length of what was seen after the change where it did not come back."""
    recovered: bool
    reward: float
    """Sum after the change, of one robot's share of the steps: thousands of steps times the mean reward of a step."""
    distance: float
    """Mean speed after the change, m/s."""
    falls: float
    """Episodes that ended by a fall, after the change, in 100,000 steps."""
    on_back: float
    """Share of the steps after the change."""


def cost(course: Course, before: int, window: int, share: float = SHARE) -> Cost:
    """What the change after `before` updates cost.

    Args:
        course: Of `P` updates.
        before: Updates before the change, at least one and fewer than `P`.
        window: Updates that are averaged, one episode; all there are where there are fewer.
        share: In (0, 1], of the speed before. Where that is not above 0 there is none to come back to: not recovered.

    Raises:
        SettingError: No update before the change, or none after it.
    """
    if not 0 < before < len(course.speed):
        raise SettingError(f"before = {before}: expected at least 1 and fewer than the course's {len(course.speed)}.")
    per_update = int(course.steps[0])
    after = slice(before, None)
    usual = float(course.speed[max(0, before - window) : before].mean())
    levels = windows(course.speed[after], window)
    points = len(course.speed) - before
    ends, recovered = _ends(levels < share * usual, points) if usual > 0.0 else (points, False)
    steps = points * per_update
    return Cost(
        usual,
        float(levels.min()),
        float(levels[-1]),
        float(ends * per_update),
        recovered,
        float(course.reward[after].mean() * steps / 1000.0),
        float(course.speed[after].mean()),
        float(course.falls[after].sum() / steps * 1e5),
        float(course.on_back[after].mean()),
    )


def _ends(slow: Bool[np.ndarray, " W"], points: int) -> tuple[int, bool]:
    """Points until a window is not slow any more, after the first that is; and whether there is such a one."""
    found = int(back(slow[None])[0])
    return (0 if found < 0 else min(points, found + points - len(slow) + 1)), found < len(slow)


def updates_before(drift: Drift, per_update: int) -> int:
    """Updates before a drift's first change; of a change by degrees, before it begins.

    Args:
        drift: What changes, and when.
        per_update: Environment steps of an update.

    Raises:
        SettingError: Nothing changes, or it does from the first step on, or not between two updates.
    """
    begins = {change.field: at for change in drift.changes if (at := _begins(drift, change)) is not None}
    if not begins:
        raise SettingError("Nothing changes in the drift; expected a change, such as of geom_friction.")
    field, at = min(begins.items(), key=lambda pair: pair[1])
    if at % per_update or at == 0:
        raise SettingError(
            f"{field} begins to change at step {at:,}; expected a multiple of {per_update:,}, the steps of an update, "
            "so that there is something to compare with. What is gradual or periodic is on its way from its start on, "
            "all else jumps every so many steps after it."
        )
    return at // per_update


def _begins(drift: Drift, change: Change) -> int | None:
    """The step at which a change is first felt; `None` if it never is."""
    table = drift.table(change)
    if np.ptp(table) == 0.0:
        return None
    if change.kind not in BLENDED:
        return next(change.boundaries(LARGEST, table), None)
    return change.start + int(np.argmax(table != np.roll(table, -1))) * change.every


def windows(values: Float[np.ndarray, " P"], window: int) -> Float[np.ndarray, " W"]:
    """Means of all stretches of so many points, or of all points where they are fewer."""
    return np.lib.stride_tricks.sliding_window_view(values, min(window, len(values))).mean(axis=-1)


def column(costs: Sequence[Cost], name: str) -> Float[np.ndarray, " N"]:
    """One number of each course."""
    return np.array([getattr(one, name) for one in costs], float)


def against(ours: Sequence[Cost], theirs: Sequence[Cost], name: str, seed: int) -> Interval | None:
    """How many times as much of something, on courses with equal seeds; `None` where theirs is not above 0."""
    own, other = column(ours, name), column(theirs, name)
    return paired_ratio(own, other, seed) if (other > 0.0).all() else None


def row(
    robot: str, agent: str, kind: str, method: str, costs: Sequence[Cost], fixed: Sequence[Cost], seed: int
) -> Mapping[str, Any]:
    """A method's figures under one change, beside those of the fixed agent."""
    names = ("before", "lowest", "last", "recovery", "recovered", "reward", "distance", "falls", "on_back")
    told: dict[str, Any] = {"robot": robot, "agent": agent, "change": kind, "method": method, "seeds": len(costs)}
    told |= {name: float(column(costs, name).mean()) for name in names}
    for name in ("recovery", "reward"):
        interval = against(costs, fixed, name, seed)
        ends = (None, None, None) if interval is None else interval
        told |= dict(zip((f"{name}_ratio", f"{name}_low", f"{name}_high"), ends, strict=True))
    return told | {"recoveries": column(costs, "recovery").tolist(), "rewards": column(costs, "reward").tolist()}
