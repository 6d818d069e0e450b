"""Runs so small that hundreds of them can be made."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from selftune.runner.run import Run
from selftune.runner.training import train

SMALL = {"num_envs": 2, "rollout_length": 4, "hidden": (8,)}
REMEMBERED = {"batch_size": 4, "replay_capacity": 64, "warm_up": 16}
SETTINGS: Mapping[str, dict[str, Any]] = {
    "a2c": SMALL,
    "impala": SMALL,
    "ppo": SMALL | {"epochs": 1, "minibatches": 1},
    "dqn": SMALL | REMEMBERED | {"updates": 2},
    "sac": SMALL | REMEMBERED,
    "q_lambda": SMALL,
}
STEPS = 48


def small(env: Any, folder: Path, agent: Any = "a2c", **options: Any) -> Run:
    """A run of a few updates."""
    changes = SETTINGS[agent] if isinstance(agent, str) and agent in SETTINGS else SMALL
    options = {"settings": changes, "steps": STEPS, "out": folder / "run", "progress": False} | options
    return train(env, agent, **options)
