"""From what chunks tell to one row of `metrics.jsonl`; see `RunFolder`."""

import time
from typing import Any

import jax
import numpy as np

from selftune.runner.session import Telemetry


class Rows:
    """Gathers what chunks tell until a row is taken.

    Args:
        steps_per_update: Environment steps of one update.
        spent: Seconds of training before this process took over.
    """

    def __init__(self, steps_per_update: int, spent: float = 0.0):
        self._steps_per_update = steps_per_update
        self._begin = time.perf_counter() - spent
        self._told: list[Telemetry] = []
        self._last: tuple[int, float] | None = None

    def wall_time(self) -> float:
        """Seconds of training so far."""
        return time.perf_counter() - self._begin

    def include(self, told: Telemetry) -> None:
        """One more chunk."""
        self._told.append(told)

    @property
    def waiting(self) -> bool:
        """Whether anything has been told since the last row."""
        return bool(self._told)

    def take(self, update: int) -> dict[str, Any]:
        """The row about everything since the last one."""
        told, self._told = self._told, []
        returns = np.concatenate([one.returns for one in told])
        lengths = np.concatenate([one.lengths for one in told])
        info, fired = jax.device_get((told[-1].info, [one.fired for one in told]))
        now, step = self.wall_time(), update * self._steps_per_update
        row: dict[str, Any] = {
            "step": step,
            "update": update,
            "wall_time": now,
            "return_mean": float(np.mean(returns)) if len(returns) else None,
            "return_episodes": len(returns),
            "reward_mean": float(np.mean(np.concatenate([one.reward for one in told]))),
            "length_mean": float(np.mean(lengths)) if len(lengths) else None,
            "steps_per_second": self._speed(step, now),
        }
        row |= {f"eta/{name}": value for name, value in info.eta.items() if name in info.meta_grad}
        row |= {f"meta_grad/{name}": _size(value) for name, value in info.meta_grad.items()}
        row |= {f"guard/{name}": sum(int(one[name]) for one in fired) for name in info.guards}
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
