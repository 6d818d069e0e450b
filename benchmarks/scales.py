"""Does the recipe hold when everything around it has another scale? Rewards, observations, environments, widths, rules.

    python benchmarks/scales.py [--env cartpole] [--agent a2c] [--only rewards observations ...]

In each condition the recipe begins at drawn settings, and beside it a fixed agent at the literature's defaults; both as
returns in the world's own scale. Writes results/scales.json row by row, and goes on where it stopped.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import optax
import tyro
from rich.console import Console
from rich.table import Table

from selftune import optim
from selftune.agents.recipe import Recipe, by_sgd
from selftune.envs import Environment
from selftune.envs.drift import Change, Drift, drifting
from selftune.envs.drift.native_worlds import held
from selftune.envs.opening import open_native
from selftune.experiments.contest.methods import Method, literature, maker
from selftune.experiments.drawing_settings import SEED_STEP, TEST, draw
from selftune.experiments.fleet import fleet
from selftune.experiments.measures import returns, told
from selftune.experiments.records import Records, Row, circumstances, significant
from selftune.experiments.robust.scores import fired
from selftune.experiments.sweep import runs
from selftune.types import Eta, Scalar

OUT = Path(__file__).parent.parent / "results" / "scales.json"
NAMES = ("learning_rate", "entropy_cost", "value_cost", "discount", "trace_decay")


class Condition(NamedTuple):
    """What is otherwise than usual."""

    group: str
    name: str
    rewards: float = 1.0
    observations: float = 1.0
    settings: Mapping[str, Any] = {}
    change: Callable[[Recipe], Recipe] = lambda recipe: recipe


def by_rmsprop(recipe: Recipe) -> Recipe:
    """RMSProp, under the clipped gradient, each network as one vector."""

    def descend(rate: Scalar | float, eta: Eta) -> optax.GradientTransformation:
        return optim.chain(optim.clip_by_global_norm(eta["max_grad_norm"]), optim.rmsprop(rate))

    return replace(recipe, descend=descend)


def conditions() -> Iterator[Condition]:
    """The usual one first, then each thing alone."""
    yield Condition("usual", "usual")
    for factor in (1e-3, 1e3):
        yield Condition("rewards", f"rewards x {factor:g}", rewards=factor)
    for factor in (1e-2, 1e2):
        yield Condition("observations", f"observations x {factor:g}", observations=factor)
    for count in (1, 4, 64, 256):
        yield Condition("environments", f"{count} environments", settings={"num_envs": count})
    for width in (32, 512):
        yield Condition("widths", f"{width} units wide", settings={"hidden": (width, width)})
    yield Condition("rules", "SGD inside", change=by_sgd)
    yield Condition("rules", "RMSProp inside", change=by_rmsprop)


def main(
    env: str = "cartpole",
    agent: str = "a2c",
    only: tuple[str, ...] = (),
    draws: int = 16,
    steps: int = 300_000,
    seed: int = 0,
    out: Path = OUT,
) -> None:
    """Measure whatever is not there yet, and tabulate.

    Args:
        env: A world written in JAX, with episodes.
        agent: a2c, impala or ppo.
        only: Groups or names of conditions; all when omitted.
        draws: Runs of each.
        steps: Environment steps of each run.
        seed: Other draws and seeds.
        out: The results.
    """
    records = Records(out)
    table = Table(title=f"{agent} in {env}, {steps:,} steps: final return, interquartile mean of {draws} runs")
    for column in ("", "fixed, from defaults", "the recipe, from draws", "mean", "worst run"):
        table.add_column(column)
    for one in conditions():
        if only and not {one.group, one.name} & set(only):
            continue
        found = []
        for method in ("fixed", "meta_gradient"):
            key = f"{env} {agent} {one.name}", method, steps
            row = records.find(*key) or _measured(one, method, env, agent, draws, steps, seed)
            records.add(row)
            found.append(row)
        finals = found[1].details["returns"]
        cells = [f"{row.ours:.4g} [{row.ci_low:.4g}, {row.ci_high:.4g}]" for row in found]
        table.add_row(one.name, *cells, f"{np.mean(finals):.4g}", f"{min(finals):.4g}")
    Console().print(table)


def _measured(one: Condition, method: str, env: str, agent: str, draws: int, steps: int, seed: int) -> Row:
    world = _world(env, one)
    first = TEST + SEED_STEP * seed
    program = fleet(maker(agent, world, Method(method, change=one.change), steps, one.settings), world)
    begun = draw(NAMES, draws, first)
    if method == "fixed":
        begun = {name: np.full(draws, value, np.float32) for name, value in literature(agent, world).items()}
    title = f"{one.name} {method}"
    curves = runs(program, lambda step: world.params, begun, range(first, first + draws), steps, 50, title, draws)
    found = returns(curves, continuing=False)
    finals = found["final"] / one.rewards
    numbers = dict(told(finals))
    return Row(
        f"{env} {agent} {one.name}", method, steps, draws, numbers["ours"], numbers["ci_low"], numbers["ci_high"],
        f"python benchmarks/scales.py --env {env} --agent {agent} --only {one.group} --draws {draws} "
        f"--steps {steps} --seed {seed}",
        details={
            "returns": significant(finals), "areas": significant(found["area"] / one.rewards), "guards": fired(curves),
            "finite": bool(curves.finite.all()), **circumstances(),
        },
    )  # fmt: skip


def _world(name: str, one: Condition) -> Environment:
    """The world with its maps, which stand still."""
    plain = open_native(name)
    assert plain is not None
    maps = {"reward_factor": one.rewards, "observation_factor": one.observations}
    mapped = drifting(plain, Drift(tuple(Change(field, values=(value,)) for field, value in maps.items())))
    return held(mapped, 0)


if __name__ == "__main__":
    tyro.cli(main)
