"""What `selftune envs` prints: the environments that are installed here, and what an extra would add."""

from importlib.util import find_spec
from typing import Any

import numpy as np
from rich.table import Table

from selftune.envs.opening import what_can_drift
from selftune.envs.worlds import WORLDS

EXTRAS = {
    "box2d": ("Box2D", "LunarLander-v3, BipedalWalker-v3", "box2d"),
    "MuJoCo": ("mujoco", "HalfCheetah-v5, Ant-v5, Hopper-v5 …", "mujoco"),
    "Atari": ("ale_py", "ALE/Pong-v5, ALE/Breakout-v5 …", "atari"),
    "gymnax": ("gymnax", "gymnax:Breakout-MinAtar, gymnax:FourRooms-misc …", "gymnax"),
    "brax": ("brax", "brax:ant, brax:halfcheetah …", "brax"),
    "EnvPool": ("envpool", "envpool:Pong-v5, envpool:Ant-v4 …", "envpool"),
}
"""By suite: the module that must be there, examples, the extra that brings it."""


def listing() -> Table:
    """A table of suites."""
    table = Table("suite", "environments", "here")
    table.add_row("selftune, in JAX", ", ".join(sorted(WORLDS)), "yes")
    table.add_row("Gymnasium", _registered(), "yes")
    for suite, (module, examples, extra) in EXTRAS.items():
        here = "yes" if find_spec(module) else f'pip install "selftune\\[{extra}]"'
        table.add_row(suite, examples, here)
    return table


def drift_listing(env: str | None = None) -> Table:
    """A table of what can change in one environment, or in every world written in JAX."""
    table = Table("environment", "field", "as it is")
    for name in [env] if env is not None else sorted(WORLDS):
        for place, (field, value) in enumerate(what_can_drift(name).items()):
            table.add_row("" if place else name, field, _short(value))
        table.add_section()
    return table


def _short(value: Any) -> str:
    """A number, or the shape of an array and its range."""
    array = np.asarray(value)
    if array.ndim == 0:
        return f"{array.item():g}" if array.dtype != bool else str(value).lower()
    shape = "x".join(map(str, array.shape))
    return f"{shape} numbers from {array.min():.4g} to {array.max():.4g}"


def _registered() -> str:
    """Gymnasium's own environments that need nothing else."""
    import gymnasium

    plain = ("classic_control", "toy_text")
    specs = gymnasium.registry.values()
    newest = {spec.name: spec.id for spec in specs if any(part in str(spec.entry_point) for part in plain)}
    return ", ".join(sorted(newest.values()))
