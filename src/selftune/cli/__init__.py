"""The command line.

selftune train CartPole-v1 --steps 400000 --out runs/cartpole
selftune resume runs/cartpole
selftune eval runs/cartpole
selftune export runs/cartpole
selftune report runs/cartpole
selftune envs
selftune agents a2c
selftune scenario education --quick
selftune bench learning
selftune bench robust --envs cartpole
selftune --version
"""

import sys
from collections import Counter
from collections.abc import Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console
from rich.text import Text
from tyro.extras import SubcommandApp

from selftune import __version__
from selftune.cli.benches import BENCHES
from selftune.cli.counting import Count
from selftune.cli.pairs import pairs
from selftune.envs.own_modules import import_asked, look_here
from selftune.errors import SelftuneError, SettingError
from selftune.runner.compile_cache import keep_compiled
from selftune.runner.displaying import lasting_console
from selftune.runner.plan import Plan
from selftune.runner.reporting import write_report
from selftune.runner.run import Run
from selftune.runner.training import resume as resume_training, train as run_training

Folder = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FOLDER")]


def train(
    env: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="ENV")],
    agent: str = "a2c",
    tuner: str = Plan.tuner,
    tune: tuple[str, ...] | None = None,
    init: tuple[str, ...] = (),
    set: tuple[str, ...] = (),
    steps: Count = Plan.steps,
    seed: Count = 0,
    drift: str | None = None,
    checkpoint_every: Count = Plan.checkpoint_every,
    out: Path | None = None,
) -> None:
    """Train a self-tuning agent; writes a run folder and its report.

    Args:
        env: An environment's name, such as CartPole-v1 or cartpole; `selftune envs` lists them.
        agent: Which agent: a2c, impala, ppo, dqn, q_lambda, sac.
        tuner: How they are tuned: meta_gradient, fixed, annealed, kl_adaptive, hoof, prodigy …
        tune: Metaparameters to learn, by name; omitted, or all those that the recipe tunes, the recipe says how; "none"
            for a fixed agent.
        init: Where metaparameters start, as NAME=VALUE, one or more: learning_rate=1e-4 discount=.9.
        set: Changes to the agent's settings, as NAME=VALUE, one or more: num_envs=8 hidden=128,128; `selftune agents
            NAME` lists both kinds.
        steps: Environment steps, summed over parallel environments; rounded up to whole updates.
        seed: Of all randomness.
        drift: How the environment changes: a file of JSON, or the JSON itself; see `selftune envs --drift`.
        checkpoint_every: Environment steps between two checkpoints, at most; rounded up to whole updates.
        out: The run folder; runs/ENV-AGENT-NUMBER when omitted.
    """
    named = None if tune is None else [name for word in tune for name in word.split(",") if name]
    if named == []:
        raise SettingError("--tune got no name; give names, or none for a fixed agent, or leave --tune out.")
    names = [] if named == ["none"] else named
    run = run_training(
        env,
        agent,
        tuner=tuner,
        tune=names,
        init={name: _number(name, value) for name, value in pairs("--init", init).items()},
        settings=pairs("--set", set),
        steps=steps,
        seed=seed,
        drift=drift,
        checkpoint_every=checkpoint_every,
        out=out,
    )
    _made(run)


def _made(run: Run) -> None:
    """Name the report; a run that was stopped ends as a program does that Ctrl-C stops."""
    _tell(f"report: {run.report()}")
    if not run.finished:
        sys.exit(130)


def _tell(line: str) -> None:
    """One line for people, where it can be written."""
    lasting_console().print(Text(line), soft_wrap=True)


def resume(folder: Folder, steps: Count | None = None, imports: tuple[str, ...] = ()) -> None:
    """Take up a run where its last checkpoint was made.

    Args:
        folder: The run folder.
        steps: A new length of the run; as planned when omitted.
        imports: Modules of your own that make the environment, by name: my_envs for my_envs:Corridor-v0. Reading a run
            executes nothing that you do not name.
    """
    import_asked(imports)
    _made(resume_training(folder, steps=steps))


def evaluate(
    folder: Folder,
    episodes: Count = 20,
    seed: Count = 1_000_000,
    video: Path | None = None,
    imports: tuple[str, ...] = (),
) -> None:
    """Returns of the learned policy without chance and without learning, and a film of it.

    An environment that drifts stays as it was in the last step of the training.

    Args:
        folder: The run folder.
        episodes: How many.
        seed: Of the environments.
        video: A file for one episode's frames, .gif; where the environment can be drawn.
        imports: Modules of your own that make the environment, by name, as for resume.
    """
    from selftune.runner.evaluating import evaluation
    from selftune.runner.telling import outcome

    import_asked(imports)
    with Console(stderr=True).status(Text(f"{episodes} episodes of {folder}")):
        seen = evaluation(folder, episodes=episodes, seed=seed, video=video)
    _tell(f"{outcome(seen.returns, seen.lengths, seen.ended)}{_unfinished(folder)}")
    if video is not None:
        _tell(f"film: {video}")


def _unfinished(folder: Path) -> str:
    run = Run(folder)
    return "" if run.finished else f" (the run has taken {run.steps:,} of {run.planned_steps:,} steps)"


def export(folder: Folder, out: Path | None = None, imports: tuple[str, ...] = ()) -> None:
    """Write the learned policy so that it runs without selftune.

    Args:
        folder: The run folder.
        out: A folder for policy.safetensors, policy.json and policy.stablehlo; "export" in the run folder if omitted.
        imports: Modules of your own that make the environment, by name, as for resume.
    """
    from selftune.runner.exporting import export_policy

    import_asked(imports)
    _tell(f"exported: {export_policy(folder, out or folder / 'export')}{_unfinished(folder)}")


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
    lasting_console().print(drift_listing(env) if drift else listing())


def agents(agent: Annotated[str | None, tyro.conf.Positional] = None) -> None:
    """List the agents; or everything that can be said of one: metaparameters, settings, tuners.

    Args:
        agent: One of them, by name.
    """
    from selftune.runner.agent_listing import agent_listing, agents_listing

    lasting_console().print(agents_listing() if agent is None else agent_listing(agent), highlight=False)


def report(
    folders: Annotated[tuple[Path, ...], tyro.conf.Positional],
    out: Path | None = None,
) -> None:
    """Write one self-contained HTML page about a run, or comparing several.

    Args:
        folders: Run folders.
        out: The page; when omitted report.html in the folder, or comparison.html in the first of several.
    """
    if not folders:
        raise SettingError("report got no run folder; expected one or more, such as runs/cartpole.")
    page = write_report(list(folders), out or folders[0] / ("comparison.html" if folders[1:] else "report.html"))
    _tell(f"report: {page}")


def scenario(
    name: Annotated[str, tyro.conf.Positional],
    quick: bool = False,
    seed: Count = 0,
    out: Path | None = None,
    eject: Path | None = None,
) -> None:
    """Show what self-tuning does where conditions change: a report for whoever knows the field.

    Args:
        name: education; robotics (pip install "selftune[mujoco]"); trading (pip install "selftune[trading]").
        quick: Minutes, instead of the whole experiment.
        seed: Of all randomness.
        out: A folder for report.html and results.json; scenarios/NAME when omitted.
        eject: Run nothing; copy the beginning of a project of one's own into this folder.
    """
    from selftune.cli.scenes import ejected, shown

    console = lasting_console()
    if eject is not None:
        if quick or seed or out is not None:
            raise SettingError("--eject runs nothing; leave --quick, --seed and --out out.")
        ejected(name, eject, console)
    else:
        shown(name, quick, seed, out or Path("scenarios") / name, console)


COMMANDS = {
    "train": train,
    "resume": resume,
    "eval": evaluate,
    "export": export,
    "report": report,
    "scenario": scenario,
    "envs": envs,
    "agents": agents,
}


READING = {"resume", "eval", "export", "report"}
"""Commands that read a run's folder, which may be a stranger's: nothing is imported from the current one unasked."""


def _commands() -> SubcommandApp:
    app, benches = SubcommandApp(), SubcommandApp()
    for name, function in COMMANDS.items():
        app.command(None, name=name)(function)
    for function in BENCHES:
        benches.command(None)(function)
    app.command(benches, name="bench", help="Measure selftune on this machine; goes on where it was interrupted.")
    return app


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point: an error that selftune raises on purpose is one clear message and exit status 1."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    if not set(words[:1]) & READING:
        look_here()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # an arrow that a terminal has not is no reason to end
    if words == ["--version"]:
        print(f"selftune {__version__}")
        return
    keep_compiled()
    try:
        _check(words)
        _commands().cli(
            prog="selftune",
            description="Agents that tune their own hyperparameters. Its version: selftune --version",
            args=words,
            sort_subcommands=False,
        )
    except SystemExit as end:
        if end.code == 2:
            _hint(words)
        raise
    except SelftuneError as error:
        _complain(str(error), *getattr(error, "__notes__", ()))
        sys.exit(1)
    except KeyboardInterrupt as interrupt:
        _complain("interrupted.", *getattr(interrupt, "__notes__", ()))
        sys.exit(130)


def _check(words: Sequence[str]) -> None:
    """Refuse what would be read as something else: of an option that comes twice only the last is seen."""
    options = Counter(word.partition("=")[0].replace("_", "-") for word in words if word.startswith("--"))
    for option, times in options.items():
        if times > 1:
            raise SettingError(f"{option} was given {times} times; expected once, with all its values after it.")
    for word in words:
        if not word or (word.startswith("--") and word.endswith("=")):
            raise SettingError(f"Got an empty word ({word!r}); expected a value. Is a variable of the shell not set?")


def _hint(words: Sequence[str]) -> None:
    """What somebody may have meant by an option that there is not."""
    from selftune.agents.vocabulary import VOCABULARY

    for word in words:
        name = word.partition("=")[0].lstrip("-").replace("-", "_")
        if word.startswith("--") and name in VOCABULARY:
            _complain(f"{name} is a metaparameter; where it starts: --init {name}=VALUE, after ENV.")


def _complain(*lines: str) -> None:
    """Lines on standard error, with every name as it is."""
    told = Text.assemble(("selftune:", "bold red"), " ", "\n".join(lines))
    Console(stderr=True).print(told)


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise SettingError(
            f"--init got {name}={text}, expected NAME=VALUE with a number, such as learning_rate=1e-4."
        ) from None
