"""`selftune bench overhead`: protocol O, part by part, block by block; what was measured is not measured again."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeAlias

from selftune.errors import SettingError, did_you_mean
from selftune.experiments.overhead import agents, compilation, end_to_end, libraries, scaling, updates
from selftune.experiments.overhead.measuring import Block, Say, missing, row_of
from selftune.experiments.records import Records, Row, circumstances, tell_kept

Blocks: TypeAlias = Callable[[Say], Iterator[Block]]


class Part(NamedTuple):
    """A question of the protocol, in two sizes."""

    reduced: Blocks
    """Minutes."""
    full: Blocks
    """More rounds, sizes and steps."""


MODULES = {
    "updates": updates,
    "agents": agents,
    "end_to_end": end_to_end,
    "libraries": libraries,
    "compilation": compilation,
    "scaling": scaling,
}
PARTS: Mapping[str, Part] = {
    name: Part(partial(module.blocks, module.REDUCED), partial(module.blocks, module.FULL))
    for name, module in MODULES.items()
}


def bench_overhead(
    out: Path, only: Sequence[str] = (), full: bool = False, say: Say = print, parts: Mapping[str, Part] = PARTS
) -> list[Row]:
    """Measure what is not there yet, in fewer rounds, or from elsewhere; every row is on disk as soon as it is known.

    Args:
        out: The results, a JSON file.
        only: Names of parts; all when empty.
        full: More rounds and sizes.
        say: Where a line for each row goes, and one for everything that cannot be measured here.
        parts: From which to choose.

    Returns:
        The rows of these parts, in this size.

    Raises:
        SettingError: An unknown part, or another interpreter that does not do its work.
    """
    for name in only:
        if name not in parts:
            raise SettingError(f"The bench has no part {name!r}; {did_you_mean(name, parts)}")
    records, asked, kept = Records(out), set(), 0
    for name in dict.fromkeys(only or parts):
        command = f"selftune bench overhead --only {name}{' --full' if full else ''}"
        for block in (parts[name].full if full else parts[name].reduced)(say):
            names = missing(block, records)
            asked |= {(block.experiment, row, block.steps) for row in block.rows}
            kept += len(block.rows) - len(names)
            if older := [row for row in names if records.find(block.experiment, row, block.steps)]:
                say(
                    f"{block.experiment}: {', '.join(older)} again, since what is there is of fewer rounds, another "
                    "machine or other versions"
                )
            for measured in block.measure(names) if names else ():
                load = f"{os.getloadavg()[0]:.2g}" if hasattr(os, "getloadavg") else None
                row = row_of(block, measured, command, {"part": name, "load": load, **circumstances()})
                records.add(row)
                say(f"{row.experiment}, {row.row}: {row.ours:.3g} [{row.ci_low:.3g}, {row.ci_high:.3g}]")
    tell_kept(kept, len(asked), out, say)
    return [row for row in records.rows if row.key in asked]
