"""From what chunks tell to one row of `metrics.jsonl`; see `RunFolder`.

A checkpoint may fall within a row. It keeps the sums so far, so that a run that goes on there has the rows of one that
never stopped.
"""

import math
import time
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from selftune.runner.session import Telemetry
from selftune.tuning import TunerInfo


class Rows:
    """Gathers what chunks tell until a row is taken.

    Args:
        steps_per_update: Environment steps of one update.
        spent: Seconds of training before this process took over.
        sums: What `sums` was in the checkpoint that it took over, as JSON said it.
    """

    def __init__(self, steps_per_update: int, spent: float = 0.0, sums: Mapping[str, float | None] | None = None):
        self._steps_per_update = steps_per_update
        self._begin = time.perf_counter() - spent
        known = {name: math.nan if number is None else number for name, number in (sums or {}).items()}
        if known:
            known.setdefault("rewarded", known["updates"])  # which earlier checkpoints do not tell
        self._sums: dict[str, float] = defaultdict(float, known)
        self._told: list[Telemetry] = []
        self._info: TunerInfo | None = None
        self._last: tuple[int, float] | None = None

    def wall_time(self) -> float:
        """Seconds of training so far."""
        return time.perf_counter() - self._begin

    def include(self, told: Telemetry) -> None:
        """One more chunk; what it leaves on the device stays there until somebody looks."""
        self._told.append(told)
        self._info = told.info

    @property
    def waiting(self) -> bool:
        """Whether anything has been told since the last row."""
        return self._info is not None

    def sums(self) -> dict[str, float]:
        """Over all that was told since the last row, by name; empty where a row has just ended."""
        told, self._told = self._told, []
        for one, fired in zip(told, jax.device_get([one.fired for one in told]), strict=True):
            counts = {f"guard/{name}": int(count) for name, count in fired.items()}
            whole, told = np.isfinite(one.returns), np.isfinite(one.reward)  # one broken reward takes no other with it
            counts |= {"updates": len(one.reward), "rewarded": told.sum()}
            counts |= {"episodes": whole.sum(), "lengths": one.lengths[whole].sum()}
            totals = {"returns": one.returns[whole].sum(dtype=float), "rewards": one.reward[told].sum(dtype=float)}
            for name, number in {**counts, **totals}.items():
                self._sums[name] += float(number)
        return dict(self._sums)

    def take(self, update: int) -> dict[str, Any]:
        """The row about everything since the last one."""
        sums, info = defaultdict(float, self.sums()), jax.device_get(self._info)
        self._sums.clear()
        self._info = None
        episodes = int(sums["episodes"])
        now, step = self.wall_time(), update * self._steps_per_update
        row: dict[str, Any] = {
            "step": step,
            "update": update,
            "wall_time": now,
            "return_mean": sums["returns"] / episodes if episodes else None,
            "return_episodes": episodes,
            "reward_mean": sums["rewards"] / sums["rewarded"] if sums["rewarded"] else None,
            "length_mean": sums["lengths"] / episodes if episodes else None,
            "steps_per_second": self._speed(step, now),
        }
        row |= {f"eta/{name}": value for name, value in info.eta.items() if name in info.meta_grad}
        row |= {f"meta_grad/{name}": _size(value) for name, value in info.meta_grad.items()}
        row |= {f"guard/{name}": int(sums[f"guard/{name}"]) for name in info.guards}
        row |= {"loss": info.steps.loss[-1], "meta_loss": info.meta_loss, "policy_distance": info.steps.distance[-1]}
        return row | {name: value[-1] for name, value in info.steps.aux.items()} | dict(info.meta_aux)

    def _speed(self, step: int, now: float) -> float | None:
        """Steps a second since the row before; the first row of a process compiles, and has no speed to tell."""
        before, self._last = self._last, (step, now)
        return None if before is None else (step - before[0]) / max(now - before[1], 1e-9)


def _size(gradient: Any) -> Any:
    """A number as it is; the length of anything larger, such as the weights of a context network."""
    leaves = jax.tree.leaves(gradient)
    if len(leaves) == 1 and np.ndim(leaves[0]) == 0:
        return leaves[0]
    return float(np.sqrt(sum(np.square(leaf).sum() for leaf in leaves)))
