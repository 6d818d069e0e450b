"""`train` and `resume`: an agent, an environment, a number of steps; everything that was learned is in the run folder.

for each chunk of updates:
    session, told = experiment.advance(session, updates)
    log, show, save
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import jax

from selftune.envs.drift import Drift, read
from selftune.envs.own_modules import resume_command
from selftune.errors import SettingError
from selftune.runner.asked import by_name, names, starts
from selftune.runner.checkpointing import Checkpoints
from selftune.runner.chunks import chunks
from selftune.runner.displaying import Display
from selftune.runner.locking import lock
from selftune.runner.plan import Plan, planned
from selftune.runner.rows import Rows
from selftune.runner.run import Run
from selftune.runner.run_folder import RunFolder, free_folder, named_folder
from selftune.runner.session import Experiment, Session
from selftune.runner.stopping import stop_requests
from selftune.runner.watching import Watchdog, end_resumably

_logger = logging.getLogger(__name__)
MOST_SECONDS = 120.0
"""From one checkpoint to the next, where environments are so slow that the steps between two take longer."""


def train(
    env: str,
    agent: str = "a2c",
    *,
    tuner: str = Plan.tuner,
    tune: Sequence[str] | None = None,
    init: Mapping[str, float] | None = None,
    steps: int = 500_000,
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
    drift: Drift | Mapping[str, Any] | Path | str | None = None,
    checkpoint_every: int = Plan.checkpoint_every,
    out: Path | str | None = None,
    progress: bool = True,
) -> Run:
    """Train a self-tuning agent.

    Args:
        env: An environment's name: Gymnasium's id, such as `"CartPole-v1"`, or one of those that `selftune envs` lists.
        agent: `"a2c"`, `"impala"`, `"ppo"`, `"dqn"`, `"q_lambda"`, `"sac"`.
        tuner: How they are tuned; `selftune.agents.TUNERS` says what each does.
        tune: Metaparameters to learn; the recipe's when omitted; `[]` for a fixed agent. To name exactly what the
            recipe tunes is to say nothing: what it has come home by a leak alone no gradient moves then either.
        init: Where metaparameters start, by name; tuned or not.
        steps: Environment steps, summed over parallel environments; rounded up to whole updates.
        seed: Of all randomness.
        settings: Changes to the agent's settings, which nothing tunes, such as `{"num_envs": 8}`.
        drift: How the environment changes: a `Drift`, or one in JSON: as a mapping, a text, or the name of a file.
        checkpoint_every: Environment steps between two checkpoints, at most; rounded up to whole updates. However many
            they are, two minutes after a checkpoint the next one is due.
        out: The run folder; `runs/<env>-<agent>-<number>` when omitted.
        progress: Whether to show the run while it goes.

    Returns:
        The run: its folder, its rows, its final metaparameters, its report. Ctrl-C ends it early and keeps what was
        learned; `resume` takes it up again.

    Raises:
        SettingError: A setting that makes no sense; the message says what would.
        RunFolderError: The folder already holds a run, or another process writes it.
    """
    changes = starts(init), by_name("settings", settings)
    schedule = None if drift is None else read(drift)
    plan = Plan(env, agent, names(tune), *changes, steps, seed, checkpoint_every, schedule, tuner)
    _, experiment, config = plan.build()
    try:
        path = free_folder(env, agent) if out is None else named_folder(out)
        with (
            stop_requests() as stopped,
            lock(path),
        ):
            folder = RunFolder.create(path, config, seed=seed, command=plan.command(out))
            _make(plan, experiment, folder, lambda: (experiment.begin(seed), {}), progress, stopped)
        return Run(path)
    finally:
        experiment.close()


def resume(path: Path | str, *, steps: int | None = None, progress: bool = True) -> Run:
    """Take up a run where its last checkpoint was made; one that came to none begins anew.

    In worlds written in JAX the run goes on bitwise as if it had never stopped (same machine and versions; times
    aside). Environments on the host begin new episodes: their states cannot be stored; nothing else is lost. A drift
    goes on where it stood. A run that has taken all its steps is left as it is.

    Args:
        path: The run folder.
        steps: A new length of the run, which is recorded, and a new `lifetime` for what follows it; as planned when
            omitted.
        progress: Whether to show the run while it goes.

    Raises:
        RunFolderError: There is no run, or another process writes it.
        CheckpointError: Its checkpoints are damaged or missing, all of them.
        SettingError: It has taken more steps than that.
    """
    folder = RunFolder.open(path)
    plan = planned(folder.config)
    if steps is not None:
        plan = replace(plan, steps=steps)
    _, experiment, _ = plan.build()
    try:
        with stop_requests() as stopped, lock(folder.path):
            session, facts = _restored(experiment, folder, plan)
            reached = int(session.update) * experiment.steps_per_update
            if steps is not None and steps < reached:
                raise SettingError(f"steps = {steps:,}: {folder.path} has taken {reached:,}; expected more than that.")
            if steps is not None:
                folder.extend(steps)
            if reached < plan.steps:
                _make(plan, experiment, folder, lambda: (session, facts), progress, stopped)
            else:
                folder.settle(reached)
                if progress:
                    more = f"{resume_command(folder.path, plan.env)} --steps {2 * reached}"
                    print(f"{folder.path} has taken {reached:,} of {plan.steps:,} steps. To go on: {more}")
        return Run(folder.path)
    finally:
        experiment.close()


def _make(
    plan: Plan,
    experiment: Experiment,
    folder: RunFolder,
    begin: Callable[[], tuple[Session, Mapping[str, Any]]],
    progress: bool,
    stopped: Callable[[], bool],
) -> None:
    """Begin or go on, and run to the end with everything that watches over it."""
    fixed = "" if folder.config["settings"]["tune"] else " · fixed"
    fixed = fixed if plan.tuner == Plan.tuner else f" · {plan.tuner}"
    display = Display(
        f"{plan.env} · {plan.agent}{fixed} · seed {plan.seed}",
        plan.steps,
        earlier=folder.rows() if progress else (),
        starts=folder.config["settings"]["init"],
    )
    again = resume_command(folder.path, plan.env)
    with display if progress else nullcontext(), Watchdog(partial(end_resumably, folder.path, again)) as watchdog:
        session, facts = begin()
        show = display.update if progress else lambda row: None
        _run(plan, experiment, session, facts, folder, show, watchdog.beat, stopped)
    if progress:
        display.summary()
        if not Run(folder.path).finished:
            display.say(f"stopped early; to go on: {again}")


def _run(
    plan: Plan,
    experiment: Experiment,
    session: Session,
    facts: Mapping[str, Any],
    folder: RunFolder,
    show: Callable[[Mapping[str, Any]], None],
    beat: Callable[[], None],
    stopped: Callable[[], bool],
) -> None:
    """The loop. Ends early when asked to; whatever ends it, what was learned is saved first."""
    per_update, again = experiment.steps_per_update, resume_command(folder.path, plan.env)
    steps = plan.steps, folder.config["settings"]["steps"], plan.checkpoint_every
    updates, at_first, most = (-(-count // per_update) for count in steps)
    grouped = chunks(updates, at_first, most, experiment.native)
    begun = done = saved = int(session.update)
    rows = Rows(per_update, facts.get("wall_time", 0.0), facts.get("sums"))
    checkpoints, saved_at = Checkpoints(folder.path), rows.wall_time()

    def save(write: Callable[..., None]) -> None:
        update = int(session.update)
        told = {"update": update, "wall_time": rows.wall_time(), "sums": rows.sums()}
        write(update * per_update, session, told)

    def log() -> None:
        row = rows.take(done) | _drifted(plan, done * per_update - experiment.num_envs)
        folder.log(row)
        show(row)

    def close_row() -> None:
        if rows.waiting:  # a run can stop within one
            log()

    def finish() -> None:
        save(checkpoints.finish)
        close_row()

    try:
        while done < grouped.updates and not stopped():
            chunk = grouped.next(done)
            session, told = experiment.advance(session, chunk, beat)
            done += chunk
            rows.include(told)
            beat()
            if grouped.ends_row(done):
                log()
            if grouped.checkpoint_is_due(done, saved) or rows.wall_time() - saved_at > MOST_SECONDS:
                save(checkpoints.save)
                saved, saved_at = done, rows.wall_time()
    except KeyboardInterrupt as interrupt:
        if _taken(session):
            interrupt.add_note(
                "Interrupted inside an update: what was learned since the last checkpoint is lost. To go on from it: "
                f"{again}"
            )
            raise
        finish()
    except BaseException as error:
        with suppress(Exception):  # the failure itself is what must be told
            save(checkpoints.finish)
            if "RESOURCE_EXHAUSTED" in str(error):
                error.add_note("An update does not fit into memory; fewer environments or shorter rollouts would.")
            error.add_note(f"What was learned is kept; to go on: {again}")
            close_row()
        raise
    else:
        finish()
    finally:
        folder.settle(begun * per_update)
        checkpoints.close()


def _came_to_none(folder: RunFolder, plan: Plan) -> bool:
    """Whether a run has told of so little that no checkpoint was due: else those that it had are missing."""
    last = (folder.rows() or [{"step": 0, "wall_time": 0.0}])[-1]
    return last["step"] < min(plan.checkpoint_every, plan.steps) and last["wall_time"] < 2.0 * MOST_SECONDS


def _taken(session: Session) -> bool:
    """Whether an update that was interrupted had begun to write its results in the session's place."""
    return any(isinstance(leaf, jax.Array) and leaf.is_deleted() for leaf in jax.tree.leaves(session))


def _drifted(plan: Plan, step: int) -> dict[str, float]:
    """Where each changing field stood at an environment step: a value, or a factor of its own."""
    levels = {} if plan.drift is None else plan.drift.levels(step)
    return {f"drift/{name}": float(level) for name, level in levels.items()}


def _restored(experiment: Experiment, folder: RunFolder, plan: Plan) -> tuple[Session, dict[str, Any]]:
    """The session of the newest whole checkpoint, and what was told beside it; the next row replaces later ones.

    So is the last one of a run that stopped within a row: the checkpoint has its sums, and it is taken again, whole. A
    run that was killed before its first checkpoint is where it began.
    """
    checkpoints = Checkpoints(folder.path)
    if not checkpoints.steps() and _came_to_none(folder, plan):
        _logger.warning("%s had come to no checkpoint; it begins anew.", folder.path)
        folder.cut(0)
        return experiment.begin(plan.seed), {}
    step, session, facts = checkpoints.latest(experiment.example())
    within = facts.get("sums", {}).get("updates", 0)
    folder.cut(step - int(within) * experiment.steps_per_update)
    return experiment.resume(session), facts
