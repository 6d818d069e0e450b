"""Published results, measured again: a registry of experiments, and the bench that runs them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeAlias

from selftune.errors import SettingError, did_you_mean
from selftune.experiments.published import discounting, gradients, noisy_quadratic, tracking
from selftune.experiments.published.measuring import Found
from selftune.experiments.published.two_colors import actor_critic_rows
from selftune.experiments.published.two_colors_flips import flip_rate_rows
from selftune.experiments.published.two_colors_q import q_lambda_rows
from selftune.experiments.records import Records, Row, circumstances, tell_kept

Say: TypeAlias = Callable[[str], None]
Rows: TypeAlias = Callable[[Records, Say], Iterator[Row]]


class Experiment(NamedTuple):
    """One experiment in two sizes; each yields rows as they are measured, and those that were measured before."""

    reduced: Rows
    """Minutes."""
    full: Rows
    """The published size."""


def _of(name: str, rows: Callable[[Found], Iterator[Row]]) -> Rows:
    def of(records: Records, say: Say) -> Iterator[Row]:
        kept: dict[tuple, Row] = {}

        def found(row: str, steps: int, runs: int) -> bool:
            known = records.find(name, row, steps)
            if known is None or known.details.get("draws", known.seeds) < runs:
                return False
            kept[known.key] = known
            return True

        yield from rows(found)
        yield from kept.values()

    return of


EXPERIMENTS: Mapping[str, Experiment] = {
    **{
        name: Experiment(_of(name, module.reduced), _of(name, module.full))
        for name, module in {
            "tracking": tracking,
            "discounting_chain": discounting,
            "noisy_quadratic": noisy_quadratic,
            "gradients": gradients,
        }.items()
    },
    "two_colors": Experiment(partial(actor_critic_rows, True), partial(actor_critic_rows, False)),
    "two_colors_q": Experiment(partial(q_lambda_rows, True), partial(q_lambda_rows, False)),
    "two_colors_flips": Experiment(partial(flip_rate_rows, True), partial(flip_rate_rows, False)),
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
    before, asked = {row.key: row for row in records.rows}, set()
    for name in only or EXPERIMENTS:
        command = f"selftune bench published --only {name}{' --full' if full else ''}"
        size = EXPERIMENTS[name].full if full else EXPERIMENTS[name].reduced
        for row in size(records, say):
            asked.add(row.key)
            if "machine" not in row.details:  # nobody has written it yet
                records.add(replace(row, command=command, details={**row.details, **circumstances()}))
                say(f"{row.experiment}, {row.row}: {row.ours:.4g} [{row.ci_low:.4g}, {row.ci_high:.4g}]")
    kept = [key for key in asked if key in before and records.find(*key) == before[key]]
    tell_kept(len(kept), len(asked), out, say)
    return records.rows
