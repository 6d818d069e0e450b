"""Many seeds of one agent side by side in one compiled program, and the time that an update of all of them takes."""

import time
from collections.abc import Callable

import jax
import jax.numpy as jnp

from selftune.envs import Environment, open_env
from selftune.experiments.fleet import Fleet, fleet
from selftune.experiments.sweep import keys
from selftune.runner.plan import Plan
from selftune.types import PyTree


def side_by_side(env: str, agent: str) -> tuple[Fleet, PyTree]:
    """A fleet of an agent at its defaults, self-tuned by its recipe, and the physics of its world."""
    world = open_env(env, 1)
    assert isinstance(world, Environment), "seeds are side by side in worlds written in JAX"
    built = Plan(env, agent).build(world)[0]
    return fleet(lambda settings: built, world), jax.tree.map(jnp.asarray, world.params)


def lap(of: tuple[Fleet, PyTree], seeds: int, sharding: jax.sharding.Sharding | None = None) -> Callable[[], float]:
    """Seconds of one more update of `seeds` seeds, each time it is called; the first call compiles.

    Args:
        of: From `side_by_side`.
        seeds: How many.
        sharding: Of their axis; all on one device when omitted.
    """
    many, physics = of
    sessions = many.begin({}, keys(range(seeds)))
    if sharding is not None:
        sessions = jax.device_put(sessions, sharding)

    def run() -> float:
        nonlocal sessions
        begin = time.perf_counter()
        sessions, told = many.advance({}, sessions, physics, 1)
        jax.block_until_ready((sessions, told))
        return time.perf_counter() - begin

    return run
