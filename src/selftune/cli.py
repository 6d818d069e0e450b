"""The command line.

selftune train CartPole-v1 --steps 400000 --out runs/cartpole
selftune resume runs/cartpole
selftune eval runs/cartpole
selftune export runs/cartpole
selftune report runs/cartpole
selftune envs
selftune bench learning
selftune bench drift --only two_colors abrupt
selftune bench published --only tracking
selftune bench overhead --only updates
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console
from rich.table import Table

from selftune.errors import SelftuneError, SettingError
from selftune.runner.plan import Plan
from selftune.runner.reporting import write_report
from selftune.runner.training import resume as resume_training, train as run_training


def train(
    env: Annotated[str, tyro.conf.Positional],
    agent: str = "a2c",
    tuner: str = Plan.tuner,
    tune: tuple[str, ...] | None = None,
    init: tuple[str, ...] = (),
    set: tuple[str, ...] = (),
    steps: int = Plan.steps,
    seed: int = 0,
    drift: str | None = None,
    checkpoint_every: int = Plan.checkpoint_every,
    out: Path | None = None,
) -> None:
    """Train a self-tuning agent; writes a run folder and its report.

    Args:
        env: An environment's name, such as CartPole-v1 or cartpole; `selftune envs` lists them.
        agent: Which agent: a2c, impala, ppo, dqn, q_lambda, sac.
        tuner: How they are tuned: meta_gradient, fixed, annealed, kl_adaptive, hoof, prodigy …
        tune: Metaparameters to learn, by name; omitted, the recipe chooses; "none" for a fixed agent.
        init: Where metaparameters start, as NAME=VALUE.
        set: Changes to the agent's settings, as NAME=VALUE, such as num_envs=8 hidden=128,128.
        steps: Environment steps, summed over parallel environments.
        seed: Of all randomness.
        drift: How the environment changes: a file of JSON, or the JSON itself; see `selftune envs --drift`.
        checkpoint_every: Environment steps between two checkpoints.
        out: The run folder.
    """
    if tune == ():
        raise SettingError("--tune got no name; give names, or none for a fixed agent, or leave --tune out.")
    names = None if tune is None else [] if list(tune) == ["none"] else list(tune)
    run = run_training(
        env,
        agent,
        tuner=tuner,
        tune=names,
        init={name: _number(name, value) for name, value in _pairs("--init", init).items()},
        settings=_pairs("--set", set),
        steps=steps,
        seed=seed,
        drift=drift,
        checkpoint_every=checkpoint_every,
        out=out,
    )
    Console().print(f"report: {run.report()}", highlight=False)


def resume(folder: Annotated[Path, tyro.conf.Positional], steps: int | None = None) -> None:
    """Take up a run where its last checkpoint was made.

    Args:
        folder: The run folder.
        steps: A new length of the run; as planned when omitted.
    """
    run = resume_training(folder, steps=steps)
    Console().print(f"report: {run.report()}", highlight=False)


def evaluate(
    folder: Annotated[Path, tyro.conf.Positional],
    episodes: int = 20,
    seed: int = 1_000_000,
    video: Path | None = None,
) -> None:
    """Returns of the learned policy without chance and without learning, and a film of it.

    An environment that drifts stays as it was in the last step of the training.

    Args:
        folder: The run folder.
        episodes: How many.
        seed: Of the environments.
        video: A file for one episode's frames, .gif; where the environment can be drawn.
    """
    from selftune.runner.evaluating import evaluate_run

    returns = evaluate_run(folder, episodes=episodes, seed=seed, video=video)
    told = f"return {returns.mean():.6g} on average of {len(returns)} episodes, {returns.min():.6g} at worst, "
    Console().print(f"{told}{returns.max():.6g} at best", highlight=False)


def export(folder: Annotated[Path, tyro.conf.Positional], out: Path | None = None) -> None:
    """Write the learned policy so that it runs without selftune.

    Args:
        folder: The run folder.
        out: A folder for policy.safetensors, policy.json and policy.stablehlo; "export" in the run folder if omitted.
    """
    from selftune.runner.exporting import export_policy

    Console().print(f"exported: {export_policy(folder, out or folder / 'export')}", highlight=False)


def envs(
    env: Annotated[str | None, tyro.conf.Positional] = None,
    drift: bool = False,
) -> None:
    """List the environments that are installed here, and what an extra would add; or what can change in them.

    Args:
        env: With --drift, one environment, by name.
        drift: List what can change: in every world written in JAX, or in ENV.
    """
    from selftune.runner.listing import drift_listing, listing

    if env is not None and not drift:
        raise SettingError(f"envs got {env!r}; expected --drift as well: selftune envs --drift {env}")
    Console().print(drift_listing(env) if drift else listing())


def report(
    folders: Annotated[tuple[Path, ...], tyro.conf.Positional],
    out: Path | None = None,
) -> None:
    """Write one self-contained HTML page about a run, or comparing several.

    Args:
        folders: Run folders.
        out: The page; report.html in the first folder when omitted.
    """
    if not folders:
        raise SettingError("report got no run folder; expected one or more, such as runs/cartpole.")
    page = write_report(list(folders), out or folders[0] / "report.html")
    Console().print(f"report: {page}", highlight=False)


def bench(
    what: Annotated[Literal["learning", "published", "drift", "overhead"], tyro.conf.Positional],
    only: tuple[str, ...] = (),
    seeds: int | None = None,
    steps: int | None = None,
    full: bool = False,
    out: Path | None = None,
) -> None:
    """Measure selftune on this machine; goes on where it was interrupted.

    Args:
        what: "learning": every agent on its tasks, against a stated bar. "published": what papers report, beside it.
            "drift": methods in worlds that change. "overhead": what self-tuning costs in time and memory.
        only: Tasks, experiments or parts by name, such as CartPole-v1/ppo, tracking or updates; of "drift" worlds,
            ways and subjects of change and methods, such as cartpole gradual reward hoof; all when omitted.
        seeds: Seeds a task, instead of its own number; of "learning" and "drift".
        steps: Environment steps of each run, instead of the bench's own number; of "drift".
        full: The published sizes or the whole protocol, for hours, instead of reduced ones; of all but "learning".
        out: The results; results/WHAT.json when omitted.
    """
    BENCHES[what](out or Path("results", f"{what}.json"), only, seeds, full, steps)


def _bench_learning(out: Path, only: tuple[str, ...], seeds: int | None, full: bool, steps: int | None) -> None:
    from selftune.experiments.learning import bench_learning

    console = Console()
    results = bench_learning(out, only, seeds, lambda line: console.print(line))
    table = Table("task", "steps", "bar", "median", "worst", "held")
    for name, told in results.items():
        numbers = (f"{told[key]:g}" if key in told else "" for key in ("steps", "bar", "median", "worst"))
        table.add_row(name, *numbers, "yes" if told.get("held") else "no")
    console.print(table)


def _bench_published(out: Path, only: tuple[str, ...], seeds: int | None, full: bool, steps: int | None) -> None:
    from selftune.experiments.published import bench_published

    console = Console()
    table = Table("experiment", "row", "steps", "runs", "ours", "95 % interval", "published")
    for row in bench_published(out, only, full, lambda line: console.print(line, highlight=False)):
        interval = f"[{row.ci_low:.4g}, {row.ci_high:.4g}]"
        cells = (f"{row.steps:,}", str(row.seeds), f"{row.ours:.4g}", _escaped(interval), row.published or "")
        table.add_row(row.experiment, _escaped(row.row), *cells)
    console.print(table)


def _bench_drift(out: Path, only: tuple[str, ...], seeds: int | None, full: bool, steps: int | None) -> None:
    from selftune.experiments.nonstationary.bench import asked, bench_drift, command
    from selftune.experiments.nonstationary.rendering import table

    console = Console()
    choice = asked(only, full, seeds, steps)
    rows = bench_drift(
        out, *choice, command(only, full, seeds, steps), lambda line: console.print(line, highlight=False)
    )
    console.print(table(rows))


def _bench_overhead(out: Path, only: tuple[str, ...], seeds: int | None, full: bool, steps: int | None) -> None:
    from selftune.experiments.overhead.bench import bench_overhead
    from selftune.experiments.overhead.promises import verdicts
    from selftune.experiments.overhead.rendering import LEGEND, tables, verdicts_table

    console = Console()
    rows = bench_overhead(out, only, full, lambda line: console.print(line, highlight=False, markup=False))
    checked = verdicts(rows)
    console.print("", LEGEND, "", *tables(rows), *([verdicts_table(checked)] if checked else []), highlight=False)
    if not all(verdict.kept for verdict in checked):
        sys.exit(1)


BENCHES = {
    "learning": _bench_learning,
    "published": _bench_published,
    "drift": _bench_drift,
    "overhead": _bench_overhead,
}

COMMANDS = {
    "train": train,
    "resume": resume,
    "eval": evaluate,
    "export": export,
    "report": report,
    "envs": envs,
    "bench": bench,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point: an error that selftune raises on purpose is one clear message and exit status 1."""
    try:
        tyro.extras.subcommand_cli_from_dict(
            COMMANDS, prog="selftune", description="Agents that tune their own hyperparameters.", args=arguments
        )
    except SelftuneError as error:
        Console(stderr=True).print(f"[bold red]selftune:[/] {_escaped(error)}", highlight=False)
        sys.exit(1)
    except KeyboardInterrupt as interrupt:
        told = "\n".join(["interrupted.", *getattr(interrupt, "__notes__", ())])
        Console(stderr=True).print(f"[bold red]selftune:[/] {_escaped(told)}", highlight=False)
        sys.exit(130)


def _escaped(error: SelftuneError | str) -> str:
    from rich.markup import escape

    return escape("\n".join([str(error), *getattr(error, "__notes__", ())]))


def _pairs(option: str, texts: Sequence[str]) -> dict[str, str]:
    pairs = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise SettingError(f"{option} got {text!r}, expected NAME=VALUE, such as learning_rate=1e-4.")
        pairs[name] = value
    return pairs


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise SettingError(
            f"--init got {name}={text}, expected NAME=VALUE with a number, such as learning_rate=1e-4."
        ) from None
