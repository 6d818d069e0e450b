"""What a run is made of, in names and numbers: enough to make it, to describe it, and to make it again."""

import shlex
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from selftune.agents import Agent, recipe_for
from selftune.agents.catalogue import AGENTS
from selftune.envs import Environment, HostEnv, open_env
from selftune.envs.drift import Drift, plain, read, to_json
from selftune.envs.own_modules import refuse_unasked
from selftune.errors import RunFolderError, SettingError, did_you_mean
from selftune.metaparams import tuned, values
from selftune.runner.asked import LARGEST, as_typed, by_name, names, settled, starts, whole
from selftune.runner.host_experiment import host_experiment
from selftune.runner.native_experiment import native_experiment
from selftune.runner.session import Experiment


@dataclass(frozen=True)
class Plan:
    """A run before it is made."""

    env: str
    agent: str = "a2c"
    tune: tuple[str, ...] | None = None
    """`None` lets the recipe choose."""
    init: Mapping[str, float] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Changes to the agent's settings."""
    steps: int = 500_000
    seed: int = 0
    checkpoint_every: int = 100_000
    """Environment steps between two checkpoints, at most; rounded up to whole updates."""
    drift: Drift | None = None
    """How the environment changes."""
    tuner: str = "meta_gradient"

    def __post_init__(self) -> None:
        if not isinstance(self.env, str):
            raise SettingError(f"env = {self.env!r}: expected an environment's name, such as 'CartPole-v1'.")
        agent_named(self.agent)
        recipe_for(self.tuner, self.agent)
        for name in ("steps", "checkpoint_every"):
            whole(name, getattr(self, name), 1)
        whole("seed", self.seed, 0, bits=32)
        if self.drift is not None and self.steps > LARGEST:
            raise SettingError(
                f"steps = {self.steps}: a schedule of changes counts at most {LARGEST} environment steps."
            )

    def build(self, env: Environment | HostEnv | None = None) -> tuple[Agent, Experiment, dict[str, Any]]:
        """The agent, the experiment, and all that was resolved, for `config.json`.

        Args:
            env: The environments, where they were opened already.

        Raises:
            SelftuneError: Whatever makes no sense; environments that were opened are closed.
        """
        make, default = agent_named(self.agent)
        settings = settled(default, {"lifetime": min(self.steps, LARGEST), **self.settings}, {"lifetime"})
        env = open_env(self.env, settings.num_envs, self.drift) if env is None else env
        try:
            spaces, recipe = (env.observation_space, env.action_space), recipe_for(self.tuner, self.agent)
            agent = make(*spaces, tune=self.tune, init=self.init, settings=settings, recipe=recipe)
        except BaseException:
            if isinstance(env, HostEnv):
                env.close()
            raise
        config = {
            "env": self.env,
            "agent": self.agent,
            "tuner": self.tuner,
            "steps": self.steps,
            "checkpoint_every": self.checkpoint_every,
            "tune": list(tuned(agent.spec)),
            "init": {entry: float(value) for entry, value in values(agent.spec).items()},
            "settings": asdict(settings),
        }
        if agent.home:
            config["home"] = {entry: float(value) for entry, value in agent.home.items()}
        if self.drift is not None:
            config["drift"] = plain(self.drift)
        native = isinstance(env, Environment)
        return agent, native_experiment(agent, env) if native else host_experiment(agent, env), config

    def command(self, out: Path | str | None) -> str:
        """The line that makes the same run again."""
        words = ["selftune", "train", self.env, "--agent", self.agent]
        if self.tuner != Plan.tuner:
            words += ["--tuner", self.tuner]
        if self.tune is not None:
            words += ["--tune", *(self.tune or ["none"])]
        if self.init:
            words += ["--init", *(f"{name}={float(value)!r}" for name, value in self.init.items())]
        if self.settings:
            words += ["--set", *(f"{name}={as_typed(value)}" for name, value in self.settings.items())]
        if self.drift is not None:
            words += ["--drift", to_json(self.drift)]
        words += ["--steps", str(self.steps), "--seed", str(self.seed)]
        if self.checkpoint_every != Plan.checkpoint_every:
            words += ["--checkpoint-every", str(self.checkpoint_every)]
        return shlex.join(words + ([] if out is None else ["--out", str(out)]))


def planned(config: Mapping[str, Any]) -> Plan:
    """The plan of a run from its `config.json`.

    Raises:
        RunFolderError: Something is missing there, or is not what it was; or its environment is made by code that
            nobody asked for.
    """
    plan = _read_plan(config)
    refuse_unasked(plan.env)
    return plan


def _read_plan(config: Mapping[str, Any]) -> Plan:
    try:
        told = config["settings"]
        changes = starts(told["init"]), by_name("settings", told["settings"])
        length = whole("steps", told["steps"], 1)
        if changes[1].get("lifetime") == min(length, LARGEST):  # it was not asked for, and follows the length
            del changes[1]["lifetime"]
        counts = config.get("extended", length), config["seed"], told["checkpoint_every"]
        drift = read(told["drift"]) if "drift" in told else None
        tuner = told.get("tuner", Plan.tuner)
        return Plan(told["env"], told["agent"], names(told["tune"]), *changes, *counts, drift, tuner)
    except (KeyError, TypeError, SettingError) as error:
        raise RunFolderError(
            f"config.json does not say how the run was made ({type(error).__name__}: {error}); it was written by "
            "another version of selftune, or changed. Make the run again: its command stands in config.json."
        ) from error


def agent_named(name: Any) -> tuple[Callable[..., Agent], Any]:
    """An agent's factory and its default settings.

    Raises:
        SettingError: There is none of that name.
    """
    if not isinstance(name, str) or name not in AGENTS:
        raise SettingError(f"There is no agent {name!r}; {did_you_mean(str(name), AGENTS)}")
    return AGENTS[name]
