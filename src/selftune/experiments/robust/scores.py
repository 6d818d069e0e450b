"""What is told of a method in one environment: a row for how good it ends, and one for how good it was on the way.

score = 1 + (return - best fixed setting in hindsight) / (best fixed setting in hindsight - random policy)
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from selftune.experiments.measures import told
from selftune.experiments.records import significant
from selftune.experiments.statistics import interquartile_mean
from selftune.experiments.sweep import Curves

SCORES = ("final", "area")
DRAWS, DEFAULTS = "draws", "defaults"
"""Where runs begin: at settings that were drawn, or at the literature's."""
KEPT = 20
"""Points of a metaparameter's path that are kept."""


@dataclass(frozen=True)
class Score:
    """One row of `results/robust.json`."""

    env: str
    agent: str
    method: str
    start: str
    """`"draws"` or `"defaults"`."""
    draws: int
    """Runs, each from its own draw and seed."""
    steps: int
    seed: int
    hindsight: int
    """Fixed settings among which the best, a score of 1, was sought."""
    score: str
    """`"final"`: mean over the episodes that ended in the last fifth of the steps. `"area"`: over all steps."""
    iqm: float
    ci_low: float
    ci_high: float
    mean: float
    lower_quartile: float
    dead_share: float
    command: str
    settings: str = ""
    """Changes to the agent's own settings, as the command line writes them."""
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> tuple:
        """No two rows of a file have the same."""
        told = self.env, self.agent, self.method, self.start, self.draws, self.steps, self.seed
        return *told, self.hindsight, self.score, self.settings


class Scale(NamedTuple):
    """What 0 and 1 mean in an environment, of one score."""

    random: float
    best: float

    @classmethod
    def between(cls, chance: Float[np.ndarray, " N"], best: Float[np.ndarray, " M"]) -> "Scale":
        """From returns of the random policy and of the best fixed setting: interquartile means, as all scores are.

        A run of the best setting that is no number is a dead one, as in `of`; one of the random policy does not count.
        """
        low = interquartile_mean(chance[np.isfinite(chance)])
        return cls(low, interquartile_mean(np.where(np.isfinite(best), best, low)))

    def of(self, values: Float[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
        """Returns as scores; a run that is no number counts as 0, a dead one.

        The best fixed setting is 1 also where it is no better than the random policy.
        """
        least = 1e-3 * max(abs(self.random), abs(self.best), 1e-6)
        scores = 1.0 + (values - self.best) / max(self.best - self.random, least)
        return np.where(np.isfinite(scores), scores, 0.0)


def numbers(scores: Float[np.ndarray, " N"]) -> dict[str, float]:
    """The numbers of a row."""
    found = dict(told(scores))
    return {"iqm": found.pop("ours"), "dead_share": found.pop("dead"), **found}


def curve(curves: Curves, continuing: bool) -> dict[str, list]:
    """The middle half of the runs, as they learn; points at which no run has a level are left out."""
    level = curves.level(continuing)
    known = np.isfinite(level).any(axis=0)
    level = np.where(np.isfinite(level), level, np.nan)[:, known]
    low, middle, high = np.nanquantile(level, [0.25, 0.5, 0.75], axis=0).reshape(3, -1)
    return {
        "steps": curves.steps[known].tolist(),
        "low": significant(low),
        "middle": significant(middle),
        "high": significant(high),
    }


def paths(curves: Curves) -> dict[str, Any]:
    """The way of every metaparameter that moved in any run, [N][points], and the steps of the points."""
    chosen = np.unique(np.linspace(0, len(curves.steps) - 1, KEPT).astype(int))
    moved = {name: path for name, path in curves.eta.items() if np.nanmax(np.ptp(path, axis=1), initial=0.0) > 0}
    ways = {name: [significant(row[chosen], 4) for row in path] for name, path in moved.items()}
    return {"steps": curves.steps[chosen].tolist(), "ways": ways}


def fired(curves: Curves) -> dict[str, float]:
    """How often each guard fired in a run, on average; those that never did are left out."""
    means = {name: float(counts.sum(axis=1).mean()) for name, counts in curves.guards.items()}
    return {name: float(f"{mean:.6g}") for name, mean in means.items() if mean > 0}
