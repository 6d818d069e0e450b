"""What a run is made of, in names and numbers: enough to make it, to describe it, and to make it again."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from selftune.agents import Agent
from selftune.agents.catalogue import AGENTS
from selftune.envs import Environment, HostEnv, open_env
from selftune.errors import RunFolderError, SettingError, did_you_mean
from selftune.metaparams import tuned, values
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
    """Environment steps between two checkpoints."""

    def __post_init__(self) -> None:
        if self.agent not in AGENTS:
            raise SettingError(f"There is no agent {self.agent!r}; {did_you_mean(self.agent, AGENTS)}")
        for name, lowest in {"steps": 1, "seed": 0, "checkpoint_every": 1}.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < lowest:
                raise SettingError(f"{name} = {value!r}: expected a whole number from {lowest} on.")

    def build(self, env: Environment | HostEnv | None = None) -> tuple[Agent, Experiment, dict[str, Any]]:
        """The agent, the experiment, and all that was resolved, for `config.json`.

        Args:
            env: The environments, where they were opened already.

        Raises:
            SelftuneError: Whatever makes no sense; environments that were opened are closed.
        """
        make, default = AGENTS[self.agent]
        settings = settled(default, {"lifetime": self.steps, **self.settings}, {"lifetime"})
        env = open_env(self.env, settings.num_envs) if env is None else env
        try:
            agent = make(env.observation_space, env.action_space, tune=self.tune, init=self.init, settings=settings)
        except BaseException:
            if isinstance(env, HostEnv):
                env.close()
            raise
        build = native_experiment if isinstance(env, Environment) else host_experiment
        config = {
            "env": self.env,
            "agent": self.agent,
            "steps": self.steps,
            "checkpoint_every": self.checkpoint_every,
            "tune": list(tuned(agent.spec)),
            "init": {entry: float(value) for entry, value in values(agent.spec).items()},
            "settings": asdict(settings),
        }
        return agent, build(agent, env), config

    def command(self, out: Path | str | None) -> str:
        """The line that makes the same run again."""
        words = ["selftune", "train", self.env, "--agent", self.agent]
        if self.tune is not None:
            words += ["--tune", *(self.tune or ["none"])]
        if self.init:
            words += ["--init", *(f"{name}={value:g}" for name, value in self.init.items())]
        if self.settings:
            words += ["--set", *(f"{name}={_spoken(value)}" for name, value in self.settings.items())]
        words += ["--steps", str(self.steps), "--seed", str(self.seed)]
        if self.checkpoint_every != Plan.checkpoint_every:
            words += ["--checkpoint-every", str(self.checkpoint_every)]
        return shlex.join(words + ([] if out is None else ["--out", str(out)]))


def planned(config: Mapping[str, Any]) -> Plan:
    """The plan of a run from its `config.json`.

    Raises:
        RunFolderError: Something is missing there.
    """
    try:
        told = config["settings"]
        names = {"env", "agent", "steps", "checkpoint_every", "tune", "init", "settings"}
        return Plan(**{name: told[name] for name in names} | {"tune": tuple(told["tune"]), "seed": config["seed"]})
    except (KeyError, TypeError) as error:
        raise RunFolderError(
            f"config.json lacks {error}, which says how the run was made; it was written by another version of "
            "selftune, or changed. Make the run again: its command stands in config.json."
        ) from error


def settled(default: Any, changes: Mapping[str, Any], optional: Sequence[str] | set[str] = ()) -> Any:
    """An agent's settings with some of them changed; text is read as the setting's own type.

    Args:
        default: A dataclass of settings.
        changes: By name.
        optional: Names that are passed over where these settings have no such thing.

    Raises:
        SettingError: An unknown name, or a value of the wrong type.
    """
    known = {entry.name for entry in fields(default)}
    for name in changes.keys() - known - set(optional):
        raise SettingError(f"There is no setting {name!r}; {did_you_mean(name, known)}")
    read = {name: _read(name, getattr(default, name), value) for name, value in changes.items() if name in known}
    return replace(default, **read)


def _read(name: str, default: Any, value: Any) -> Any:
    try:
        match default:
            case bool():
                return {"true": True, "false": False}[str(value).lower()]
            case int() | float():
                number = type(default)(value)
                if isinstance(value, str) or number == value:
                    return number
            case str():
                return str(value)
            case tuple():
                kind = str if name == "contextual" else int
                parts = [part for part in value.split(",") if part] if isinstance(value, str) else value
                return tuple(kind(part) for part in parts)
    except (KeyError, TypeError, ValueError):
        pass
    raise SettingError(f"{name} = {value!r}: expected a value such as {_spoken(default)} ({type(default).__name__}).")


def _spoken(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
