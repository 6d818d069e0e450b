"""`train`: an agent, an environment, a number of steps; everything that was learned is in the run folder.

for each update:
batch       = rollout(params)            on the host
state, info = agent.learn(state, batch)  judges the update before, makes the next, moves the metaparameters
"""

import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jax
import numpy as np

from selftune import _tree
from selftune.agents import Agent, AgentState, Recipe
from selftune.agents.catalogue import AGENTS
from selftune.envs import HostEnv, make
from selftune.errors import SettingError, did_you_mean
from selftune.metaparams import tuned, values
from selftune.runner.displaying import Display
from selftune.runner.rollouts import Rollout
from selftune.runner.run import Run
from selftune.runner.run_folder import RunFolder
from selftune.tuning import TunerInfo
from selftune.types import PRNGKey, PyTree

ROWS = 500
"""A run logs about so many rows, whatever its length."""


def train(
    env: str,
    agent: str = "a2c",
    *,
    tune: Sequence[str] | None = None,
    init: Mapping[str, float] | None = None,
    steps: int = 500_000,
    seed: int = 0,
    out: Path | str | None = None,
    progress: bool = True,
) -> Run:
    """Train a self-tuning agent.

    Args:
        env: Gymnasium's id, such as `"CartPole-v1"`.
        agent: `"a2c"`.
        tune: Metaparameters to learn; the recipe's when omitted; `[]` for a fixed agent.
        init: Where metaparameters start, by name; tuned or not.
        steps: Environment steps, summed over parallel environments; rounded up to whole updates.
        seed: Of all randomness.
        out: The run folder; `runs/<env>-<agent>-<number>` when omitted.
        progress: Whether to show the run while it goes.

    Returns:
        The run: its folder, its rows, its final metaparameters, its report. Ctrl-C ends it early and keeps what was
        learned.

    Raises:
        SettingError: A setting that makes no sense; the message says what would.
        RunFolderError: The folder already holds a run.
    """
    if agent not in AGENTS:
        raise SettingError(f"There is no agent {agent!r}; {did_you_mean(agent, AGENTS)}")
    if steps < 1 or seed < 0:
        raise SettingError(f"train(steps={steps}, seed={seed}): expected steps >= 1 and seed >= 0.")
    build, settings = AGENTS[agent]
    host = make(env, settings.num_envs)
    try:
        learner = build(host.observation_space.encoded_shape, host.action_space.n, tune=tune, init=init)
        path = _free_folder(env, agent) if out is None else Path(out)
        config = _config(env, agent, learner, settings, steps)
        command = _command(env, agent, tune, init, steps, seed, out)
        with RunFolder.create(path, config, seed=seed, command=command) as folder:
            display = Display(f"{env} · {agent}{'' if config['tune'] else ' · fixed'} · seed {seed}", steps)
            with display if progress else nullcontext():
                state = _run(host, learner, steps, seed, folder, display.update if progress else lambda row: None)
            folder.save_arrays("final", _arrays(state))
        if progress:
            display.summary()
        return Run(path)
    finally:
        host.close()


def _run(
    host: HostEnv, agent: Agent, steps: int, seed: int, folder: RunFolder, show: Callable[[Mapping[str, Any]], None]
) -> AgentState:
    """The loop. Ends early on Ctrl-C, and saves what was learned before it passes any other failure on."""
    key, init_key = jax.random.split(jax.random.key(seed))
    state = jax.jit(agent.init)(init_key)
    act, learn = _compiled(agent)
    rollout = Rollout(host, act, agent.rollout_length, seed)
    per_update = agent.num_envs * agent.rollout_length
    updates = -(-steps // per_update)
    every = max(1, updates // ROWS)
    fired, begin, last = [], time.perf_counter(), 0.0
    try:
        for update, (act_key, learn_key) in enumerate(_keys(key, updates), start=1):
            batch = rollout.collect(state.learner.params, act_key)
            state, info = learn(state, batch, learn_key)
            fired.append(info.guards)
            if update % every == 0 or update == updates:
                now = time.perf_counter() - begin
                speed = (update % every or every) * per_update / (now - last)
                row = _row(update, update * per_update, now, speed, rollout.take_finished(), info, fired)
                fired, last = [], now
                folder.log(row)
                show(row)
    except KeyboardInterrupt:
        pass
    except BaseException:
        folder.save_arrays("final", _arrays(state))
        raise
    return state


def _compiled(agent: Agent) -> tuple[Callable, Callable]:
    @jax.jit
    def act(params: PyTree, observation: Any, key: PRNGKey) -> tuple[Any, PRNGKey]:
        key, now = jax.random.split(key)
        return agent.act(params, observation, now), key

    return act, jax.jit(agent.learn)


def _keys(key: PRNGKey, updates: int) -> Iterator[tuple[PRNGKey, PRNGKey]]:
    for update in range(updates):
        act_key, learn_key = jax.random.split(jax.random.fold_in(key, update))
        yield act_key, learn_key


def _row(
    update: int, step: int, now: float, speed: float, finished: list[float], info: TunerInfo, fired: list
) -> dict[str, Any]:
    """One line of `metrics.jsonl`; see `RunFolder`."""
    info, fired = jax.device_get((info, fired))
    row: dict[str, Any] = {
        "step": step,
        "update": update,
        "wall_time": now,
        "return_mean": float(np.mean(finished)) if finished else None,
        "return_episodes": len(finished),
        "steps_per_second": speed,
    }
    row |= {f"eta/{name}": value for name, value in info.eta.items() if name in info.meta_grad}
    row |= {f"meta_grad/{name}": value for name, value in info.meta_grad.items()}
    row |= {f"guard/{name}": sum(int(guards[name]) for guards in fired) for name in info.guards}
    row |= {"loss": info.steps.loss[-1], "meta_loss": info.meta_loss, "policy_distance": info.steps.distance[-1]}
    return row | {name: value[-1] for name, value in info.steps.aux.items()} | info.meta_aux


def _arrays(state: AgentState) -> dict[str, Any]:
    return _tree.named_leaves({"params": state.learner.params, "meta_params": state.meta.meta_params})


def _config(env: str, name: str, agent: Agent, settings: Any, steps: int) -> dict[str, Any]:
    """Everything resolved: what is tuned, where it starts, and what does not move."""
    start = {entry: float(value) for entry, value in values(agent.spec).items()}
    recipe = asdict(Recipe())
    return {
        "env": env,
        "agent": name,
        "steps": steps,
        "tune": list(tuned(agent.spec)),
        "init": start,
        "settings": asdict(settings),
    } | {"recipe": recipe}


def _command(env, agent, tune, init, steps, seed, out) -> str:
    """The line that makes the same run again."""
    words = ["selftune", "train", env, "--agent", agent]
    if tune is not None:
        words += ["--tune", *(tune or ["none"])]
    if init:
        words += ["--init", *(f"{name}={value:g}" for name, value in init.items())]
    words += ["--steps", str(steps), "--seed", str(seed)]
    return shlex.join(words + ([] if out is None else ["--out", str(out)]))


def _free_folder(env: str, agent: str) -> Path:
    stem = f"{env.replace('/', '-').replace(':', '-')}-{agent}"
    numbers = (number for number in range(1, 1_000_000) if not Path("runs", f"{stem}-{number}").exists())
    return Path("runs", f"{stem}-{next(numbers)}")
