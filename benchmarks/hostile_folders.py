"""Run folders that were damaged in every way, and then taken up, evaluated, exported or reported."""

import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hostile_worlds
from hostile_runs import STEPS, small

from selftune.runner.evaluating import evaluate_run
from selftune.runner.exporting import export_policy
from selftune.runner.run import Run
from selftune.runner.training import resume


def checkpoints(chance: random.Random) -> Iterator[tuple[str, Callable[[Path], Any]]]:
    """Every damage once or more, before every action in turn."""
    env = hostile_worlds.register()
    made: dict[str, Path] = {}

    def base(agent: str, folder: Path) -> Path:
        if agent not in made or not made[agent].exists():
            home = folder.parent / f"base-{agent}"
            small(env, home, agent, checkpoint_every=8)
            made[agent] = home / "run"
        return made[agent]

    damages = (*_DAMAGES, *chance.choices([_truncated, _flipped, _edited_config, _garbage], k=30))
    for number, damage in enumerate(damages):
        agent, other = chance.sample(["a2c", "ppo", "dqn"], 2)
        action = _ACTIONS[number % len(_ACTIONS)]
        luck = random.Random(chance.random())

        def run(
            folder: Path, agent: str = agent, other: str = other, damage: Any = damage, action: Any = action, luck=luck
        ) -> None:
            path = folder / "damaged"
            shutil.copytree(base(agent, folder), path)
            damage(path, luck, base(other, folder))
            action(path)

        yield f"{agent}: {damage.__name__[1:]}, then {action.__name__[1:]}", run


def _newest(path: Path) -> Path:
    return max((path / "checkpoints").glob("step-*"))


def _truncated(path: Path, luck: random.Random, other: Path) -> None:
    for file in (path / "checkpoints").glob("step-*"):
        if file == _newest(path) or luck.random() < 0.5:
            file.write_bytes(file.read_bytes()[: luck.randrange(file.stat().st_size)])


def _flipped(path: Path, luck: random.Random, other: Path) -> None:
    file = _newest(path)
    data = bytearray(file.read_bytes())
    for _ in range(luck.choice([1, 1, 10, 1000])):
        data[luck.randrange(len(data) if luck.random() < 0.5 else 2000)] ^= 1 << luck.randrange(8)
    file.write_bytes(data)


def _all_empty(path: Path, luck: random.Random, other: Path) -> None:
    for file in (path / "checkpoints").glob("step-*"):
        file.write_bytes(b"")


def _swapped(path: Path, luck: random.Random, other: Path) -> None:
    shutil.copyfile(_newest(other), _newest(path))


def _config_of_another(path: Path, luck: random.Random, other: Path) -> None:
    shutil.copyfile(other / "config.json", path / "config.json")


def _deleted(path: Path, luck: random.Random, other: Path) -> None:
    shutil.rmtree(path / "checkpoints")


def _folders_for_files(path: Path, luck: random.Random, other: Path) -> None:
    for file in (_newest(path), path / luck.choice(["config.json", "metrics.jsonl"])):
        file.unlink()
        file.mkdir()


def _file_for_folder(path: Path, luck: random.Random, other: Path) -> None:
    shutil.rmtree(path / "checkpoints")
    (path / "checkpoints").write_text("no folder")


def _everything_gone(path: Path, luck: random.Random, other: Path) -> None:
    shutil.rmtree(path)


def _renamed(path: Path, luck: random.Random, other: Path) -> None:
    _newest(path).rename(path / "checkpoints" / f"step-{10 ** luck.randrange(12, 30)}.safetensors")


def _torn_rows(path: Path, luck: random.Random, other: Path) -> None:
    data = (path / "metrics.jsonl").read_bytes()
    (path / "metrics.jsonl").write_bytes(data[: luck.randrange(len(data))])


def _garbled_rows(path: Path, luck: random.Random, other: Path) -> None:
    lines = (path / "metrics.jsonl").read_bytes().splitlines(keepends=True)
    lines[luck.randrange(len(lines))] = luck.choice([b"{}\n", b"[]\n", b"\xff\xfe\n", b'{"step": "x"}\n', b"\n"])
    (path / "metrics.jsonl").write_bytes(b"".join(lines))


def _garbage(path: Path, luck: random.Random, other: Path) -> None:
    file = luck.choice([path / "config.json", path / "metrics.jsonl", _newest(path)])
    texts = [b"", b"null", b"[1]", b"{}", b'{"settings": 3}', b"[" * 100_000, luck.randbytes(500), b'{"seed": NaN}']
    file.write_bytes(luck.choice(texts))


def _edited_config(path: Path, luck: random.Random, other: Path) -> None:
    file = path / "config.json"
    config = json.loads(file.read_text())
    where = luck.choice([config, config["settings"], config["settings"]["settings"], config["settings"]["init"]])
    name = luck.choice(sorted(where))
    if luck.random() < 0.3:
        del where[name]
    else:
        where[name] = luck.choice([None, -1, 0, "x", [], {}, 10**30, 1.5, True, [None], {"a": 1}, "a" * 1000, 1e308])
    file.write_text(json.dumps(config))


_DAMAGES = (
    *(_truncated, _flipped, _all_empty, _swapped, _config_of_another, _deleted, _folders_for_files, _file_for_folder),
    *(_everything_gone, _renamed, _torn_rows, _garbled_rows, _garbage, _edited_config) * 3,
)


def _resume(path: Path) -> None:
    resume(path, steps=STEPS + 16, progress=False)


def _eval(path: Path) -> None:
    evaluate_run(path, episodes=2)


def _export(path: Path) -> None:
    export_policy(path, path / "export")


def _report(path: Path) -> None:
    Run(path).report()


_ACTIONS = (_resume, _eval, _resume, _report, _resume, _eval, _export)
