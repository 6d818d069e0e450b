"""What somebody might hand to selftune by accident or in anger, in six categories; drawn anew from a seed."""

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, cast

import gymnasium
import hostile_worlds
import numpy as np
from gymnasium import spaces as gs
from hostile_folders import checkpoints
from hostile_runs import SETTINGS, SMALL, small

from selftune import cli
from selftune.agents.catalogue import AGENTS
from selftune.agents.vocabulary import VOCABULARY
from selftune.runner.online import OnlineAgent

Case = tuple[str, Callable[[Path], Any]]
"""A name, and what is done in a folder of its own."""


def spaces(chance: random.Random) -> Iterator[Case]:
    """Every kind of space, of odd shapes, types and bounds."""
    scalar, three = gs.Box(-1, 1, ()), gs.Box(-np.inf, np.inf, (3,))
    two = gs.Discrete(2)
    huge, low = np.full(3, 3e38, np.float32), np.array([-1, -np.inf, 0], np.float32)
    kinds = {
        "scalar": scalar,
        "unbounded": three,
        "half bounded": gs.Box(low, np.ones(3, np.float32)),
        "nan bounds": _edited(gs.Box(-1, 1, (3,)), low=np.full(3, np.nan, np.float32)),
        "crossed bounds": _edited(gs.Box(-1, 1, (3,)), low=np.full(3, 9, np.float32)),
        "no room": gs.Box(0, 0, (3,)),
        "huge bounds": gs.Box(-huge, huge),
        "of nothing": gs.Box(-1, 1, (0,)),
        "of nothing, two axes": gs.Box(-1, 1, (2, 0)),
        "float64": gs.Box(-1, 1, (3,), np.float64),
        "float16": gs.Box(-1, 1, (3,), np.float16),
        "int64": gs.Box(-5, 5, (3,), np.int64),
        "uint8": gs.Box(0, 255, (3,), np.uint8),
        "int8": gs.Box(-100, 100, (2, 2), np.int8),
        "bool": gs.Box(0, 1, (3,), cast(Any, bool)),
        "matrix": gs.Box(-1, 1, (2, 3)),
        "five axes": gs.Box(-1, 1, (1, 2, 1, 2, 1)),
        "thin image": gs.Box(0, 255, (1, 64, 3), np.uint8),
        "one": gs.Discrete(1),
        "two": two,
        "from -3": gs.Discrete(5, start=-3),
        "none": _edited(gs.Discrete(1), n=0),
        "fewer than none": _edited(gs.Discrete(1), n=-2),
        "very many": _edited(gs.Discrete(1), n=2**62),
        "MultiDiscrete": gs.MultiDiscrete([2, 3]),
        "MultiBinary": gs.MultiBinary(4),
        "Dict": gs.Dict(a=two, b=three),
        "empty Dict": gs.Dict(),
        "Tuple": gs.Tuple([two, three]),
        "empty Tuple": gs.Tuple([]),
        "Text": gs.Text(5),
        "Graph": gs.Graph(three, two),
        "Sequence": gs.Sequence(two),
        "OneOf": gs.OneOf([two, three]),
        "None": "no space at all",
    }
    usual = {True: gs.Box(-2, 2, (1,)), False: two}
    for name, space in kinds.items():
        for continuous in (False, True):
            agent = "sac" if continuous else "a2c"
            yield f"{agent} sees {name}", _space_case(agent, observations=space, actions=usual[continuous])
        agent = chance.choice(["a2c", "ppo", "impala"])
        yield f"{agent} does {name}", _space_case(agent, observations=gs.Box(-1, 1, (3,)), actions=space)
        agent = chance.choice(["dqn", "sac"])
        yield f"{agent} does {name}", _space_case(agent, observations=gs.Box(-1, 1, (3,)), actions=space)


def _edited(space: gymnasium.Space, **attributes: Any) -> gymnasium.Space:
    """A space as its own constructor would not make it."""
    for name, value in attributes.items():
        setattr(space, name, value)
    return space


def _space_case(agent: str, observations: Any, actions: Any) -> Callable[[Path], Any]:
    def observe(step: int) -> Any:
        return observations.sample()

    def run(folder: Path) -> None:
        fault = hostile_worlds.Fault(observation=observe)
        env = hostile_worlds.register(fault, observations=observations, actions=actions)
        small(env, folder, agent, tune=[], steps=24)

    return run


def worlds(chance: random.Random) -> Iterator[Case]:
    """Every fault under one agent at least, and those of numbers under all."""
    for name, fault in hostile_worlds.FAULTS.items():
        numeric = "nan" in name or "inf" in name or "1e" in name or "million" in name or "every" in name
        for agent in AGENTS if numeric else chance.sample(list(AGENTS), 1):

            def run(folder: Path, fault: Any = fault, agent: str = agent) -> None:
                small(hostile_worlds.register(fault, continuous=agent == "sac"), folder, agent)

            yield f"{agent}: {name}", run


WRONG = (
    *(None, True, "", "many", "nan", "-1", "1e400", "0", float("nan"), float("inf"), -float("inf"), -1, 0, 0.5, -0.0),
    *(10**30, 10**400, 1e30, [], {}, (), (1, 2), (-1,), (0,), ("x",), [None], [2.5], {"a": 1}, b"x", object(), len),
    *(np.float32(3), np.array([1.0, 2.0]), np.nan, 1 + 1j, range(3), Path("/dev/null/x"), "../..", "\x00", "ü" * 300),
)


def settings(chance: random.Random) -> Iterator[Case]:
    """Wrong values for every keyword of `train`, every setting of every agent, every metaparameter."""
    words = ("env", "agent", "tune", "init", "steps", "seed", "settings", "checkpoint_every", "out")
    for word in words:
        for wrong in chance.sample(WRONG, 7):
            yield f"train({word}={wrong!r:.40})", _setting_case("a2c", **{word: wrong})
    for agent, changes in SETTINGS.items():
        for field in fields(AGENTS[agent][1]):
            for wrong in chance.sample(WRONG, 3):
                changed = {"settings": changes | {field.name: wrong}}
                yield f"{agent}({field.name}={wrong!r:.40})", _setting_case(agent, tune=[], **changed)
    for name, entry in VOCABULARY.items():
        for wrong in chance.sample((*WRONG, entry.lowest - 1, entry.highest * 2, 1e-300), 3):
            yield f"init {name}={wrong!r:.40}", _setting_case("a2c", tune=[], init={name: wrong})
        yield f"tune {name}", _setting_case("sac", tune=[name, name], init={"discount": -1})
    for key in (None, 3, "", "learning_rat", ("a",)):
        yield f"init {{{key!r}: 1}}", _setting_case("ppo", init={key: 1.0})
        yield f"settings {{{key!r}: 1}}", _setting_case("ppo", settings={key: 1})
        yield f"tune [{key!r}]", _setting_case("ppo", tune=[key])


def _setting_case(agent: Any, /, **options: Any) -> Callable[[Path], Any]:
    """Whatever is accepted is ended soon, as by Ctrl-C."""

    def run(folder: Path) -> None:
        fault = hostile_worlds.Fault(raises_in_step=(20, KeyboardInterrupt))
        chosen = {"env": hostile_worlds.register(fault, continuous=agent == "sac"), "agent": agent} | options
        small(chosen.pop("env"), folder, chosen.pop("agent"), **chosen)

    return run


def commands(chance: random.Random) -> Iterator[Case]:
    """Words in any order, and lines of which one word is wrong."""
    names = [*cli.COMMANDS, "trian", "--help", "--version", "", "-", "--"]
    words = [*names, "CartPole-v1", "cartpole", "NoSuch-v0", "--steps", "-1", "nan", "--seed", "--agent", "dqn"]
    words += ["--tune", "none", "--init", "learning_rate=x", "--set", "hidden=", "--out", "/dev/null", "--episodes"]
    words += ["=", "a=b=c", "\x00", "ü", "--no-such", "learning", "--only", "nothing/x", "9" * 30]
    for _ in range(45):
        line = [chance.choice(names), *chance.choices(words, k=chance.randrange(5))]
        if line[:1] == ["train"] and not {"/dev/null", "-1", "nan"} & set(line):
            line += ["--steps", "-1"]
        yield f"selftune {' '.join(line)!r:.80}", _command(line)
    for slip in (
        *("--steps=0", "--steps=x", "--seed=-1", "--seed=1e3", "--agent=a3c", "--tune=", "--tune", "--init=discount"),
        *(
            "--init=discount=2",
            "--init=x=1",
            "--init=learning_rate=nan",
            "--set=hidden=",
            "--set=num_envs=x",
            "--set=x=1",
        ),
        *("--set=x=1", "--set=num_envs=0", "--checkpoint-every=0", "--out=/dev/null", "--out=/proc/x", "--steps"),
        "--tune=num_envs",
    ):
        yield f"selftune train … {slip}", _command(["train", "WORLD", slip])
    yield "selftune train …", _command(["train", "WORLD"])


def _command(line: list[str]) -> Callable[[Path], Any]:
    def run(folder: Path) -> None:
        small_one = ["--set", "num_envs=2", "rollout_length=4", "hidden=8", "lifetime=48", "--tune", "none"]
        words = [hostile_worlds.register() if word == "WORLD" else word for word in line]
        if "WORLD" in line:
            words = ["train", words[1], "--steps", "48", *small_one, "--out", str(folder / "run"), *words[2:]]
        cli.main(words)

    return run


def online(chance: random.Random) -> Iterator[Case]:
    """An `OnlineAgent` that is handed what it did not ask for; saved, loaded and used again afterwards."""
    three = np.zeros(3, np.float32)
    wrong = (
        *(np.zeros(2), np.zeros((3, 1)), 0.5, None, "x", {}, [], np.full(3, np.nan), np.full(3, np.inf), [1, 2, 3]),
        *(np.full(3, 1e300), ["a", "b", "c"], np.ones(3, complex), object(), [None] * 3, np.ones(3, "datetime64[s]")),
    )
    for observation in wrong:
        told = f"{observation!r:.40}"
        yield f"reset({told})", _online(lambda agent, o=observation: agent.reset(o))
        yield f"step({told})", _online(lambda agent, o=observation: (agent.reset(three), agent.step(o, 1.0)))
    for reward in (*WRONG, "one", [1.0], {"r": 1}, np.ones((2, 2)), np.float64(1e300)):
        yield f"reward {reward!r:.40}", _online(lambda agent, r=reward: _live(agent, three, r))
    for flag in (None, "yes", 1, [], np.array([True, False]), float("nan")):
        yield f"terminated {flag!r:.40}", _online(lambda agent, f=flag: _live(agent, three, 1.0, f))
    yield "step before reset", _online(lambda agent: agent.step(three, 1.0))
    yield "step after the end", _online(lambda a: (a.reset(three), a.step(three, 1.0, True), a.step(three, 1.0)))
    yield "reset again and again", _online(lambda agent: [agent.reset(three) for _ in range(20)])
    yield "closed, then used", _online(lambda agent: (agent.close(), _live(agent, three, 1.0)))
    yield "saved nowhere", _online(lambda agent: agent.save("/dev/null/agent"))
    yield "in the background", _online(lambda agent: _live(agent, three, float("nan")), learning="background")
    yield (
        "closed in the background",
        _online(lambda agent: (agent.close(), _live(agent, three, 1.0)), learning="background"),
    )
    for word in ("agent", "seed", "tune", "init", "settings", "learning", "on_event"):
        for value in chance.sample([wrong for wrong in WRONG if not callable(wrong)], 4):
            yield f"OnlineAgent({word}={value!r:.40})", _online(lambda agent: _live(agent, three, 1.0), **{word: value})
    for value in WRONG[:8]:
        yield f"spaces {value!r:.40}", lambda folder, v=value: OnlineAgent(v, gs.Discrete(2), settings=SMALL)
        yield f"load {value!r:.40}", lambda folder, v=value: OnlineAgent.load(str(v))


def _live(agent: OnlineAgent, observation: Any, reward: Any, ended: Any = False) -> None:
    agent.reset(observation)
    for _ in range(14):
        if agent.step(observation, reward, ended) is None:
            agent.reset(observation)


def _online(use: Callable[[OnlineAgent], Any], **options: Any) -> Callable[[Path], Any]:
    def run(folder: Path) -> None:
        options.setdefault("settings", {"rollout_length": 4, "hidden": (8,)})
        agent = OnlineAgent(gs.Box(-10, 10, (3,)), gs.Discrete(2), **options)
        try:
            use(agent)
        finally:
            agent.save(folder / "misused.safetensors")
            for _ in range(6):
                if agent.reset(np.zeros(3)) not in (0, 1) or agent.step(np.zeros(3), 1.0) not in (0, 1):
                    raise RuntimeError("the agent gave no action after its misuse")
            OnlineAgent.load(agent.save(folder / "agent.safetensors")).reset(np.zeros(3))
            agent.close()

    return run


CATEGORIES: Mapping[str, Callable[[random.Random], Iterator[Case]]] = {
    "spaces": spaces,
    "worlds": worlds,
    "settings": settings,
    "checkpoints": checkpoints,
    "commands": commands,
    "online": online,
}
