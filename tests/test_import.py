"""`import selftune` is light, and so is the engine."""

import subprocess
import sys

import pytest

HEAVY = {"gymnasium", "plotly", "tensorboardX", "orbax", "ray", "rich", "tyro", "safetensors", "wandb", "mujoco"}

LIGHT = {
    "the package": "selftune",
    "the engine": "selftune.MetaParam, selftune.learner, selftune.tuner, selftune.truncated, selftune.audit",
    "its modules": "selftune.guards, selftune.objectives, selftune.optim, selftune.networks, selftune.errors",
    "agents": "selftune.agents",
}


def loaded_by(expression: str) -> set[str]:
    """Top-level modules in a fresh interpreter after an expression."""
    code = f"import sys, selftune; {expression}; print(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("expression", LIGHT.values(), ids=LIGHT)
def test_nothing_heavy_is_loaded(expression):
    assert loaded_by(expression) & HEAVY == set()


def test_the_package_alone_does_not_even_load_jax():
    assert "jax" not in loaded_by("selftune.__version__")


def test_what_is_heavy_would_be_seen():
    assert "rich" in loaded_by("__import__('rich')")
