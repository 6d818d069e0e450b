"""How fast may the world change? A tuned constant against a contextual line, for swaps more and less rare.

Luketina et al. 2022, figure 5: learned entropy costs win where roles swap every 50 000 steps or more, and lose below
25 000: what an update of the context network learns about is over before it is of use. Compared are the two lines that
begin well, so that short runs can tell.
"""

import functools
from collections.abc import Callable, Iterator, Sequence

from selftune.experiments.published.two_colors import DEFAULTS, FIXED, OURS, Line, lines, measured
from selftune.experiments.published.two_colors_agent import Settings
from selftune.experiments.records import Records, Row
from selftune.experiments.side_by_side import side_by_side

COMMAND = "selftune bench published --only two_colors_flips"
RATES = (10_000, 25_000, 50_000, 100_000)
"""Steps between two swaps."""
COMPARED = (FIXED, OURS)
FULL, REDUCED = 3_000_000, 500_000
FULL_SEEDS, REDUCED_SEEDS = range(3), range(2)


def flip_rate_rows(
    reduced: bool,
    records: Records[Row],
    say: Callable[[str], None],
    settings: Settings = DEFAULTS,
    steps: int | None = None,
    seeds: Sequence[int] | None = None,
) -> Iterator[Row]:
    """Two rows for each rate; the constant is the same at all of them."""
    steps = (REDUCED if reduced else FULL) if steps is None else steps
    seeds = (REDUCED_SEEDS if reduced else FULL_SEEDS) if seeds is None else seeds
    known = {line.name: line for line in lines(settings)}
    command = COMMAND if reduced else f"{COMMAND} --full"

    def job(every: int, name: str) -> Callable[[Callable[[str], None]], Row]:
        changed = settings._replace(stream=settings.stream._replace(flip_every=every))
        line = Line(f"{name}, swaps every {every}", known[name].method, known[name].numbers)
        return functools.partial(measured, line, changed, steps, seeds, command, records)

    return side_by_side([job(every, name) for every in RATES for name in COMPARED], say)
