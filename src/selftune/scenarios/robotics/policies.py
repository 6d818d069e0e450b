"""Policies that were trained before: written, shipped and read as arrays; reading executes nothing."""

import json
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import jax

from selftune.agents.beginning import Learned, learned
from selftune.agents.ppo import ppo
from selftune.envs.opening import spaces_of
from selftune.errors import SettingError
from selftune.runner.arrays import pack, unpack
from selftune.runner.checkpointing import read_arrays, write_arrays


def ship(known: Learned, file: Path, facts: Mapping[str, Any]) -> Path:
    """Write what was learned, and facts about it, to one file of arrays."""
    return write_arrays(file, pack(known), facts)


def trained(env: str) -> Learned:
    """A PPO policy that comes with selftune; loading it executes nothing.

    Args:
        env: Of an environment, such as `"HalfCheetah-v5"`.

    Raises:
        SettingError: There is none.
        CheckpointError: The file is damaged, or belongs to other networks.
    """
    if not comes_with(env):
        raise SettingError(
            f"No trained policy of {env} comes with selftune; train one (`selftune train {env} --agent ppo`) and pass "
            "`selftune.Run(folder).learned()`."
        )
    agent = ppo(*spaces_of(env))
    with resources.as_file(_trained() / f"{env}.safetensors") as file:
        arrays, _ = read_arrays(file)
    return unpack(jax.eval_shape(lambda key: learned(agent.init(key)), jax.random.key(0)), arrays)


def facts(name: str) -> dict[str, Any]:
    """How a shipped policy was made, and what it is worth."""
    return json.loads((_trained() / f"{name}.json").read_text("utf-8"))


def comes_with(name: str) -> bool:
    """Whether there is a trained policy of an environment."""
    return (_trained() / f"{name}.safetensors").is_file()


def _trained() -> Any:
    return resources.files("selftune.scenarios.robotics") / "trained"
