"""`selftune bench …`: measure selftune on this machine; each goes on where it was interrupted.

selftune bench learning
selftune bench published --only tracking
selftune bench drift --only two_colors abrupt
selftune bench overhead --only updates
selftune bench robust --envs cartpole
"""

import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from selftune.cli.counting import Count
from selftune.cli.pairs import pairs

RESULTS = Path("results")


def learning(only: tuple[str, ...] = (), seeds: Count | None = None, out: Path = RESULTS / "learning.json") -> None:
    """Every agent on its tasks, against a stated bar.

    Args:
        only: Tasks by name, such as CartPole-v1/ppo; all when omitted.
        seeds: Seeds a task, instead of its own number.
        out: The results.
    """
    from selftune.experiments.learning import bench_learning

    console = Console(emoji=False)
    results = bench_learning(out, only, seeds, lambda line: console.print(line))
    table = Table("task", "steps", "bar", "median", "worst", "held")
    for name, told in results.items():
        numbers = (f"{told[key]:g}" if key in told else "" for key in ("steps", "bar", "median", "worst"))
        table.add_row(name, *numbers, "yes" if told.get("held") else "no")
    console.print(table)


def published(only: tuple[str, ...] = (), full: bool = False, out: Path = RESULTS / "published.json") -> None:
    """What papers report, and what comes out here beside it.

    Args:
        only: Experiments by name, such as tracking; all when omitted.
        full: The published sizes, for hours, instead of reduced ones.
        out: The results.
    """
    from selftune.experiments.published import bench_published
    from selftune.experiments.published.rendering import table

    console = Console(emoji=False)
    rows = bench_published(out, only, full, lambda line: console.print(line, highlight=False, markup=False))
    console.print(table(rows), highlight=False)


def drift(
    only: tuple[str, ...] = (),
    seeds: Count | None = None,
    steps: Count | None = None,
    full: bool = False,
    out: Path = RESULTS / "drift.json",
) -> None:
    """Methods in worlds that change.

    Writes the results, and beside them a page of what happens around a change.

    Args:
        only: Worlds, ways and subjects of change, and methods, such as cartpole gradual reward hoof; all when omitted.
        seeds: Of every method, instead of the bench's own number.
        steps: Environment steps of each run, instead of the bench's own number.
        full: The whole protocol, for hours, instead of a reduced one.
        out: The results.
    """
    from selftune.experiments.nonstationary.asked import asked, command
    from selftune.experiments.nonstationary.bench import bench_drift
    from selftune.experiments.nonstationary.page import figures
    from selftune.experiments.nonstationary.rendering import table
    from selftune.experiments.page import page_beside, write_page

    console = Console(emoji=False)
    choice, beside = asked(only, full, seeds, steps), page_beside(out)
    rows = bench_drift(
        out, *choice, command(only, full, seeds, steps), lambda line: console.print(line, highlight=False)
    )
    page = write_page("bench drift", figures(rows), beside)
    console.print(table(rows), f"page: {page}", highlight=False)


def overhead(only: tuple[str, ...] = (), full: bool = False, out: Path = RESULTS / "overhead.json") -> None:
    """What self-tuning costs in time and memory; exit status 1 where a promise is not kept.

    Args:
        only: Parts by name, such as updates; all when omitted.
        full: More repetitions, for hours.
        out: The results.
    """
    from selftune.experiments.overhead.bench import bench_overhead
    from selftune.experiments.overhead.promises import verdicts
    from selftune.experiments.overhead.rendering import LEGEND, tables, verdicts_table

    console = Console(emoji=False)
    rows = bench_overhead(out, only, full, lambda line: console.print(line, highlight=False, markup=False))
    checked = verdicts(rows)
    console.print("", LEGEND, "", *tables(rows), *([verdicts_table(checked)] if checked else []), highlight=False)
    if not all(verdict.kept for verdict in checked):
        sys.exit(1)


def robust(
    envs: tuple[str, ...] = (),
    methods: tuple[str, ...] = (),
    agent: str = "a2c",
    draws: Count = 32,
    steps: Count | None = None,
    seed: Count = 0,
    hindsight: Count = 64,
    set: tuple[str, ...] = (),
    out: Path = RESULTS / "robust.json",
) -> None:
    """Agents that begin where nobody tuned anything: the whole protocol takes hours.

    Writes the results, and beside them a page with the learning curves, the final score against each initial value,
    and the paths of the metaparameters.

    Args:
        envs: Any that `selftune envs` lists; drifting_cartpole changes as it goes; those of the protocol in which the
            agent can act when omitted.
        methods: Tuners and populations by name, such as fixed kl_adaptive pbt meta_gradient; all that suit the agent
            when omitted.
        agent: Whose settings are drawn: a2c, impala, ppo, dqn, q_lambda or sac.
        draws: Initial settings that are drawn, the same for all methods; a run each.
        steps: Environment steps of each run; the protocol's number when omitted.
        seed: Other draws, other seeds.
        hindsight: Fixed settings among which the best, a score of 1, is sought.
        set: Changes to the agent's settings, as NAME=VALUE, such as hidden=128,128.
        out: The results.
    """
    from selftune.experiments.page import page_beside, write_page
    from selftune.experiments.robust.bench import Asked, bench_robust
    from selftune.experiments.robust.page import figures
    from selftune.experiments.robust.rendering import tables

    console = Console(emoji=False)
    asked = Asked(envs, methods, agent, draws, steps, seed, hindsight, pairs("--set", set))
    beside = page_beside(out)
    rows = bench_robust(out, asked, lambda line: console.print(line, highlight=False, markup=False))
    page = write_page("bench robust", figures(rows), beside)
    console.print(*tables(rows), f"page: {page}", highlight=False)


BENCHES = (learning, published, drift, overhead, robust)
