"""Published results, measured again: a registry of experiments, and the bench that runs them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from selftune.errors import SettingError, did_you_mean
from selftune.experiments.published import discounting, gradients, noisy_quadratic, tracking
from selftune.experiments.published.measuring import Found, circumstances
from selftune.experiments.records import Records, Row


class Experiment(NamedTuple):
    """One experiment in two sizes; each yields its rows as they are measured, leaving out those that were found."""

    reduced: Callable[[Found], Iterator[Row]]
    """Minutes."""
    full: Callable[[Found], Iterator[Row]]
    """The published size."""


EXPERIMENTS: Mapping[str, Experiment] = {
    "tracking": Experiment(tracking.reduced, tracking.full),
    "discounting_chain": Experiment(discounting.reduced, discounting.full),
    "noisy_quadratic": Experiment(noisy_quadratic.reduced, noisy_quadratic.full),
    "gradients": Experiment(gradients.reduced, gradients.full),
}


def bench_published(
    out: Path, only: Sequence[str] = (), full: bool = False, say: Callable[[str], None] = print
) -> list[Row]:
    """Measure what is not there yet; every row is on disk as soon as it is known.

    Args:
        out: The results, a JSON file.
        only: Names of experiments; all when empty.
        full: The published sizes instead of the reduced ones.
        say: Where a line for each row goes.

    Returns:
        All rows of the file.

    Raises:
        SettingError: An unknown experiment.
    """
    for name in only:
        if name not in EXPERIMENTS:
            raise SettingError(f"There is no experiment {name!r}; {did_you_mean(name, EXPERIMENTS)}")
    records = Records(out)
    for name in only or EXPERIMENTS:
        command = f"selftune bench published --only {name}{' --full' if full else ''}"
        size = EXPERIMENTS[name].full if full else EXPERIMENTS[name].reduced
        for row in size(_found(records, name)):
            records.add(replace(row, command=command, details={**row.details, **circumstances()}))
            say(f"{row.experiment}, {row.row}: {row.ours:.4g} [{row.ci_low:.4g}, {row.ci_high:.4g}]")
    return records.rows


def _found(records: Records, experiment: str) -> Found:
    return lambda row, steps: records.find(experiment, row, steps) is not None
