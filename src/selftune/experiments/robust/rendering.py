"""Results of protocol R for people: tables in the terminal, the same in Markdown, and what became of the bars."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich import box
from rich.table import Table

from selftune.experiments.measures import told
from selftune.experiments.records import Records
from selftune.experiments.robust.bench import ENVS, LONGER, STEPS
from selftune.experiments.robust.scores import DEFAULTS, DRAWS, SCORES, Score
from selftune.experiments.statistics import Interval, bootstrap, mean

OURS, ALONE = "meta_gradient", "fixed"
LEAST = -0.02
"""Where the interval of the paired difference from the literature's defaults must end, or above it."""


EXPLAINED = (
    "0 is the random policy, 1 the best in hindsight of drawn fixed settings, at the test's seeds. All: the protocol's",
    "worlds that the recipe has. Final: the last fifth of the steps; area: all of them. Numbers are interquartile",
    "means, and so is what 0 and 1 mean; dead are runs under 0.2.",
    "Runs begin at drawn settings where nothing else is said. `leak_alone` is the recipe without its meta-gradient.",
)


class Verdict(NamedTuple):
    """A bar of the protocol, and what was measured."""

    bar: str
    measured: str
    held: bool


def tables(rows: Sequence[Score]) -> list[Table]:
    """One for each agent and score, and one of the bars."""
    agents = dict.fromkeys(row.agent for row in rows)
    shown = [_table(agent, score, rows) for agent in agents for score in SCORES]
    for agent in agents:
        checked = verdicts([row for row in rows if row.agent == agent])
        if checked:
            shown.append(_verdicts(agent, checked))
    return shown


def markdown(path: Path) -> str:
    """A page of tables and verdicts, one for each agent, from the rows of a file."""
    rows: list[Score] = Records(path, Score).rows
    parts = ["# From any setting: every row of `selftune bench robust`", "", *EXPLAINED, ""]
    for measured in dict.fromkeys(_measured(row) for row in rows):
        own = [row for row in rows if _measured(row) == measured]
        agent = own[0].agent
        for score in SCORES:
            chosen = [row for row in own if row.score == score]
            heads, lines = _cells(chosen)
            commands = ", ".join(f"`{command}`" for command in dict.fromkeys(row.command for row in chosen))
            parts += [f"## {agent}, {score}", "", f"{commands}", "", f"| {' | '.join(heads)} |"]
            parts += ["|---" * len(heads) + "|", *(f"| {' | '.join(line)} |" for line in lines), ""]
        parts += [f"- {bar}: {measured} ({'held' if held else 'missed'})" for bar, measured, held in verdicts(own)]
        parts += [""]
    return "\n".join(parts)


def verdicts(rows: Sequence[Score]) -> list[Verdict]:
    """The bars that the rows of one agent speak of: those of the protocol's environments, where there are any."""
    found, rows = [], [row for row in rows if row.env in ENVS] or rows
    for score, least in (("final", 1.0), ("area", 0.9)):
        ours = _of(rows, OURS, DRAWS, score)
        if ours:
            number = _together(ours)["ours"]
            found.append(Verdict(f"{score} from draws at least {least}", f"{number:.3f}", number >= least))
    ours = _of(rows, OURS, DRAWS, "final")
    if ours:
        worst = min(ours, key=lambda row: row.iqm)
        lost = sum(row.dead_share * row.draws for row in ours)
        found.append(Verdict("no environment under 0.8", f"{worst.env} {worst.iqm:.3f}", worst.iqm >= 0.8))
        found.append(Verdict("no dead run", f"{lost:.0f} of {sum(row.draws for row in ours)}", lost == 0))
    difference = paired(rows)
    if difference is not None:
        low, high = difference.low, difference.high
        measured = f"{difference.estimate:+.3f} [{low:+.3f}, {high:+.3f}]"
        found.append(Verdict(f"from defaults, the difference's lower end above {LEAST}", measured, low > LEAST))
    return found


def paired(rows: Sequence[Score]) -> Interval | None:
    """Final score of self-tuning from the literature's defaults less that of leaving them alone, run by run."""
    tuned, alone = ({row.env: row for row in _of(rows, name, DEFAULTS, "final")} for name in (OURS, ALONE))
    shared = [env for env in tuned if env in alone]
    if not shared:
        return None
    pairs = ((np.asarray(which[env].details["scores"]) for which in (tuned, alone)) for env in shared)
    return bootstrap([ours - theirs for ours, theirs in pairs], mean)


def _measured(row: Score) -> tuple:
    """What must be the same where rows stand in one table; the protocol's own lengths differ from world to world."""
    steps = None if row.steps == LONGER.get(row.env, STEPS) else row.steps
    return row.agent, row.draws, row.seed, row.hindsight, row.settings, steps


def _of(rows: Sequence[Score], method: str, start: str, score: str) -> list[Score]:
    return [row for row in rows if (row.method, row.start, row.score) == (method, start, score)]


def _together(rows: Sequence[Score]) -> dict[str, float]:
    """All runs in all environments in a few numbers, resampled environment by environment."""
    scores = [np.asarray(row.details["scores"]) for row in rows]
    strata = np.repeat(np.arange(len(rows)), [len(part) for part in scores])
    return dict(told(np.concatenate(scores), strata.tolist()))


def _cells(rows: Sequence[Score]) -> tuple[list[str], list[list[str]]]:
    """Heads and lines of one agent and score: each environment, and those of the protocol that ours has together."""
    envs = list(dict.fromkeys(row.env for row in rows))
    measured: dict[tuple, dict[str, Score]] = {}
    for row in rows:
        if row.method != "random":
            measured.setdefault((row.method, row.start), {})[row.env] = row
    ours = measured.get((OURS, DRAWS), {})
    shared = [env for env in envs if env in ENVS and env in ours] or envs
    heads = ["method", *envs, f"all {len(shared)}", "95 % interval", "lower quartile", "dead"]
    lines = []
    for (method, start), own in measured.items():
        numbers = [f"{own[env].iqm:.2f}" if env in own else "" for env in envs]
        name = method.replace("_", " ") + (" from defaults" if start == DEFAULTS else "")
        whole = own.keys() >= set(shared)
        lines.append([name, *numbers, *_pooled([own[env] for env in shared] if whole else [])])
    return heads, lines


def _pooled(rows: Sequence[Score]) -> list[str]:
    """Interquartile mean, interval, lower quartile and dead share of all runs; empty cells where there are none."""
    if not rows:
        return [""] * 4
    whole = _together(rows)
    interval = f"{whole['ci_low']:.2f} … {whole['ci_high']:.2f}"
    return [f"{whole['ours']:.2f}", interval, f"{whole['lower_quartile']:.2f}", f"{whole['dead']:.0%}"]


def _table(agent: str, score: str, rows: Sequence[Score]) -> Table:
    heads, lines = _cells([row for row in rows if row.agent == agent and row.score == score])
    shown = Table(title=f"{agent}, {score} score", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), title_justify="left")
    for place, head in enumerate(heads):
        shown.add_column(head.replace("_", " "), justify="left" if place == 0 else "right")
    for line in lines:
        shown.add_row(*line)
    return shown


def _verdicts(agent: str, checked: Sequence[Verdict]) -> Table:
    shown = Table("bar", "measured", "held", title=agent, box=box.SIMPLE_HEAD, title_justify="left")
    for bar, measured, held in checked:
        shown.add_row(bar, measured, "yes" if held else "no")
    return shown
