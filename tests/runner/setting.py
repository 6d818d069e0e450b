"""Small runs, and what is read from their folders."""

import selftune as st
from selftune.runner.checkpointing import read_arrays

CLOCK = {"wall_time", "steps_per_second"}
SMALL = {"num_envs": 4, "rollout_length": 8, "hidden": (16,)}


def train(path, env="CartPole-v1", **options):
    return st.train(env, **({"steps": 2000, "progress": False, "out": path} | options))


def last_checkpoint(path):
    return read_arrays(max((path / "checkpoints").glob("step-*.safetensors")))[0]


def told(run):
    """Rows without the fields that a clock makes."""
    return [{key: value for key, value in row.items() if key not in CLOCK} for row in run.rows]
