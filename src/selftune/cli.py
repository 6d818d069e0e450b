"""The command line.

selftune train CartPole-v1 --steps 400000 --out runs/cartpole
selftune report runs/cartpole
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from selftune.errors import SelftuneError, SettingError
from selftune.runner.reporting import write_report
from selftune.runner.training import train as run_training


def train(
    env: Annotated[str, tyro.conf.Positional],
    agent: str = "a2c",
    tune: tuple[str, ...] | None = None,
    init: tuple[str, ...] = (),
    steps: int = 500_000,
    seed: int = 0,
    out: Path | None = None,
) -> None:
    """Train a self-tuning agent; writes a run folder and its report.

    Args:
        env: Gymnasium's id, such as CartPole-v1.
        agent: Which agent: a2c.
        tune: Metaparameters to learn, by name; omitted, the recipe chooses; "none" for a fixed agent.
        init: Where metaparameters start, as NAME=VALUE.
        steps: Environment steps, summed over parallel environments.
        seed: Of all randomness.
        out: The run folder.
    """
    if tune == ():
        raise SettingError("--tune got no name; give names, or none for a fixed agent, or leave --tune out.")
    names = None if tune is None else [] if list(tune) == ["none"] else list(tune)
    run = run_training(env, agent, tune=names, init=dict(map(_pair, init)), steps=steps, seed=seed, out=out)
    Console().print(f"report: {run.report()}", highlight=False)


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


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point: an error that selftune raises on purpose is one clear message and exit status 1."""
    commands = {"train": train, "report": report}
    try:
        tyro.extras.subcommand_cli_from_dict(
            commands, prog="selftune", description="Agents that tune their own hyperparameters.", args=arguments
        )
    except SelftuneError as error:
        Console(stderr=True).print(f"[bold red]selftune:[/] {_escaped(error)}", highlight=False)
        sys.exit(1)


def _escaped(error: SelftuneError) -> str:
    from rich.markup import escape

    return escape(str(error))


def _pair(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    try:
        return name, float(value)
    except ValueError:
        raise SettingError(
            f"--init got {text!r}, expected NAME=VALUE with a number, such as learning_rate=1e-4."
        ) from None
