"""A run that has been made, seen through its folder."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selftune.runner.reporting import write_report
from selftune.runner.run_folder import RunFolder

if TYPE_CHECKING:
    from selftune.agents.beginning import Learned


class Run:
    """What a run left behind.

    Attributes:
        path: The run folder.
    """

    def __init__(self, path: Path | str):
        """Open a run.

        Raises:
            RunFolderError: There is no run in that folder.
        """
        self.path = Path(path)
        self._folder = RunFolder.open(path)

    @property
    def config(self) -> Mapping[str, Any]:
        """Resolved settings, seed, command and versions."""
        return self._folder.config

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """What was logged, oldest first; see `RunFolder`."""
        return self._folder.rows()

    @property
    def eta(self) -> dict[str, float]:
        """The last value of each tuned metaparameter."""
        last = self.rows[-1] if self.rows else {}
        return {key.removeprefix("eta/"): value for key, value in last.items() if key.startswith("eta/")}

    @property
    def steps(self) -> int:
        """Environment steps that were logged."""
        return self.rows[-1]["step"] if self.rows else 0

    @property
    def planned_steps(self) -> int:
        """Environment steps that it is to take: as planned at first, or as `resume` was told since."""
        return self._folder.planned_steps

    @property
    def finished(self) -> bool:
        """Whether it has taken all its steps."""
        return self.steps >= self.planned_steps

    @property
    def final_return(self) -> float | None:
        """Mean return of the episodes that ended in the last fifth of the steps; `None` if none did."""
        end = self.rows[-1]["step"] if self.rows else 0
        late = [row for row in self.rows if row["step"] > 0.8 * end and row["return_mean"] is not None]
        episodes = sum(row["return_episodes"] for row in late)
        return sum(row["return_mean"] * row["return_episodes"] for row in late) / episodes if episodes else None

    @property
    def final_reward(self) -> float | None:
        """Mean reward of a step in the rows of the last fifth of the steps; `None` if no row tells it."""
        end = self.rows[-1]["step"] if self.rows else 0
        begins = [0, *(row["step"] for row in self.rows)]
        late = [(begin, row) for begin, row in zip(begins, self.rows, strict=False) if row["step"] > 0.8 * end]
        told = [(row["step"] - begin, row.get("reward_mean")) for begin, row in late]
        known = [(steps, reward) for steps, reward in told if reward is not None]
        taken = sum(steps for steps, _ in known)
        return sum(steps * reward for steps, reward in known) / taken if taken else None

    def learned(self) -> "Learned":
        """What its last checkpoint knows, for `OnlineAgent.begin_with`: networks and running statistics.

        The run's environment is opened, for its spaces. Where it is not installed, load there what an `OnlineAgent`
        that began with this has saved.

        Raises:
            CheckpointError: There is no whole checkpoint.
            SettingError: The environment is not here, or
            MissingExtraError: needs a package that is not.
        """
        from selftune.agents.beginning import learned  # who only reads a run does not load JAX
        from selftune.runner.evaluating import last_state

        return learned(last_state(self.path)[1])

    def report(self, out: Path | str | None = None) -> Path:
        """Write one self-contained HTML page; `report.html` in the run folder when no name is given."""
        return write_report([self.path], Path(out) if out is not None else self.path / "report.html")
