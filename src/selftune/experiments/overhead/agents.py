"""Part `agents`: what an agent's learning takes, self-tuned by its default recipe, over the same agent fixed.

One call of `learn`, from one rollout: the inner updates, and what tunes them. Acting and the world are left out.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from selftune.envs import Environment, open_env
from selftune.experiments.overhead.costs import Cost, measure
from selftune.experiments.overhead.measuring import Block, Measured, Say
from selftune.experiments.overhead.timing import alternate, median_milliseconds, ratio, stopwatch
from selftune.runner.native_experiment import native_functions
from selftune.runner.plan import Plan
from selftune.runner.progress import progress


class Case(NamedTuple):
    """An agent in a world written in JAX."""

    env: str
    agent: str
    settings: Mapping[str, Any] = {}

    @property
    def name(self) -> str:
        """The row."""
        return f"{self.env} {self.agent}"


class Size(NamedTuple):
    """How much is measured."""

    cases: tuple[Case, ...]
    rounds: int


LEARNING_AT_ONCE = {"warm_up": 0, "replay_capacity": 10_000}
"""Of agents with a replay; a small one, because it is copied where it is not donated. An update does not see it."""
CASES = (Case("cartpole", "a2c"), Case("cartpole", "ppo"), Case("pendulum", "sac", LEARNING_AT_ONCE))
REDUCED, FULL = Size(CASES, rounds=10), Size(CASES, rounds=30)
TUNED: Mapping[str, tuple[str, ...] | None] = {"self-tuned": None, "fixed": ()}
"""What is tuned: what the recipe chooses, and nothing."""


def blocks(size: Size, say: Say) -> Iterator[Block]:
    """A block for each agent."""
    for case in size.cases:
        measured = partial(_measured, case, size.rounds)
        yield Block(
            "agents", (case.name,), steps_of_a_rollout(case), size.rounds, "time over the fixed agent", measured
        )


def learning(case: Case, tune: tuple[str, ...] | None) -> tuple[Callable, tuple]:
    """`learn` of a fresh agent, and what it is given: its state, a rollout, a key."""
    env = open_env(case.env, 1)
    assert isinstance(env, Environment), "the agents are measured in worlds written in JAX"
    agent, _, _ = Plan(case.env, case.agent, tune=tune, settings=case.settings).build(env)
    pure = native_functions(agent, env)
    session = jax.jit(pure.begin)(jax.random.key(0))
    session, batch, _ = jax.jit(pure.rollout)(session, jax.tree.map(jnp.asarray, env.params), jax.random.key(1))
    return agent.learn, (session.agent, batch, jax.random.key(2))


def _measured(case: Case, rounds: int, names: Sequence[str]) -> list[Measured]:
    title = f"agents: {case.name}"
    costs: dict[str, Cost] = {
        name: measure(partial(learning, case, tune)) for name, tune in progress(TUNED.items(), f"{title}: compiling")
    }
    seconds = alternate({name: stopwatch(cost.program, cost.arguments) for name, cost in costs.items()}, rounds, title)
    tuned, fixed = costs["self-tuned"], costs["fixed"]
    details = {
        "flops": tuned.flops / fixed.flops,
        "temporary_mib": tuned.temporary_bytes / 2**20,
        "temporary_mib_fixed": fixed.temporary_bytes / 2**20,
        "milliseconds": median_milliseconds(seconds["self-tuned"]),
        "milliseconds_fixed": median_milliseconds(seconds["fixed"]),
    }
    return [Measured(case.name, ratio(seconds["self-tuned"], seconds["fixed"]), details)]


def steps_of_a_rollout(case: Case) -> int:
    """Environment steps between two updates, of all environments together."""
    agent, _, _ = Plan(case.env, case.agent, settings=case.settings).build(open_env(case.env, 1))
    return agent.num_envs * agent.rollout_length
