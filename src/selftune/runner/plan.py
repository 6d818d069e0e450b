"""What a run is made of, in names and numbers: enough to make it, to describe it, and to make it again."""

import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from numbers import Real
from pathlib import Path
from typing import Any

from selftune.agents import Agent, recipe_for
from selftune.agents.catalogue import AGENTS
from selftune.agents.vocabulary import VOCABULARY
from selftune.envs import Environment, HostEnv, open_env
from selftune.envs.drift import Drift, plain, read, to_json
from selftune.errors import RunFolderError, SettingError, did_you_mean
from selftune.metaparams import tuned, values
from selftune.runner.host_experiment import host_experiment
from selftune.runner.native_experiment import native_experiment
from selftune.runner.session import Experiment

LARGEST = 2**31 - 1
"""The largest whole number: counters on the device have 32 bits."""

_RANGES: Mapping[str, tuple[float, float]] = {
    "warm_up": (0, LARGEST),
    **dict.fromkeys(("outer_discount", "outer_trace_decay"), (0.0, 1.0)),
    **dict.fromkeys(("outer_entropy_cost", "outer_value_cost", "outer_divergence_cost"), (0.0, 1e6)),
    **dict.fromkeys(("softness", "replay_ratio"), (1e-6, 1e6)),
}
"""Of settings that are numbers; every other one is a whole number from 1 on, or from 0 where it is 0 by default."""


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
        for name, lowest in {"steps": 1, "seed": 0, "checkpoint_every": 1}.items():
            whole(name, getattr(self, name), lowest)
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
        RunFolderError: Something is missing there, or is not what it was.
    """
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


def whole(name: str, value: Any, lowest: int) -> int:
    """The value, if it is a whole number of 64 bits.

    Raises:
        SettingError: It is not.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value < 2**63:
        raise SettingError(f"{name} = {_short(value)}: expected a whole number from {lowest} on, below 2^63.")
    return value


def names(tune: Any) -> tuple[str, ...] | None:
    """What is to be tuned, as it is handed on; `None` stays.

    Raises:
        SettingError: These are no names.
    """
    if tune is None:
        return None
    listed: tuple = tuple(tune) if isinstance(tune, Iterable) and not isinstance(tune, str) else (None,)
    if not all(isinstance(name, str) for name in listed):
        raise SettingError(f"tune = {_short(tune)}: expected a list of names, such as ['learning_rate'].")
    return listed


def starts(init: Any) -> dict[str, float]:
    """Where metaparameters start, by name; nothing where `None` is given.

    Raises:
        SettingError: These are no numbers by name.
    """
    return {name: _start(name, value) for name, value in by_name("init", init).items()}


def _start(name: str, value: Any) -> float:
    try:
        if isinstance(value, Real) and not isinstance(value, bool):
            return float(value)
    except OverflowError:
        pass
    raise SettingError(f"init: {name} = {_short(value)}: expected a number, such as 1e-3.")


def by_name(word: str, given: Any) -> dict[str, Any]:
    """Values by name; nothing where `None` is given.

    Raises:
        SettingError: It is no mapping of names.
    """
    given = {} if given is None else given
    if not isinstance(given, Mapping) or not all(isinstance(name, str) for name in given):
        raise SettingError(f"{word} = {_short(given)}: expected values by name, such as {{'learning_rate': 1e-4}}.")
    return dict(given)


def settled(default: Any, changes: Mapping[str, Any], optional: Iterable[str] = ()) -> Any:
    """An agent's settings with some of them changed; text is read as the setting's own type.

    Args:
        default: A dataclass of settings.
        changes: By name.
        optional: Names that are passed over where these settings have no such thing.

    Raises:
        SettingError: An unknown name, or a value of the wrong type or out of its range.
    """
    known = {entry.name for entry in fields(default)}
    for name in changes.keys() - known - set(optional):
        start = f" It is a metaparameter: give where it starts, as init (--init {name}=VALUE)."
        raise SettingError(
            f"There is no setting {name!r}; {did_you_mean(name, known)}{start if name in VOCABULARY else ''}"
        )
    read = {name: _read(name, getattr(default, name), value) for name, value in changes.items() if name in known}
    return replace(default, **read)


def _read(name: str, default: Any, value: Any) -> Any:
    try:
        read = _parsed(name, default, value)
    except (KeyError, TypeError, ValueError, OverflowError):
        expected = f"a value such as {as_typed(default)} ({type(default).__name__})"
        raise SettingError(f"{name} = {_short(value)}: expected {expected}.") from None
    lowest, highest = _RANGES.get(name, (0 if default == 0 else 1, LARGEST))
    for number in read if isinstance(read, tuple) else (read,):
        if not isinstance(number, bool | str) and not lowest <= number <= highest:
            raise SettingError(f"{name} = {_short(value)}: expected a number from {lowest} to {highest}.")
    return read


def _parsed(name: str, default: Any, value: Any) -> Any:
    match default:
        case bool():
            return {"true": True, "false": False}[str(value).lower()]
        case tuple():
            parts = [part for part in value.split(",") if part] if isinstance(value, str) else value
            return tuple(str(part) if name == "contextual" else _number(int, part) for part in parts)
    return _number(type(default), value)


def _number(kind: type, value: Any) -> Any:
    number = kind(value)
    if not isinstance(value, str) and number != value:
        raise ValueError
    return number


def _short(value: Any) -> str:
    """What was got, in a line of a message."""
    text = repr(value) if not isinstance(value, int) or abs(value) < 10**60 else "a number of more than 60 digits"
    return text if len(text) <= 80 else f"{text[:77]}..."


def as_typed(value: Any) -> str:
    """A setting's value as the command line writes it."""
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
