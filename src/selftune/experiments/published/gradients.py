"""Meta-gradients beside the truth, where the truth is a sum: bias, variance, and correlation component by component.

Random MDPs after Tang et al. 2021 (https://arxiv.org/abs/2106.13125): one learning rate for each of the 50 parameters
of a policy, three updates. The 3 by 3 maze of Vuorio et al. 2022 (https://arxiv.org/abs/2209.11303): one entropy cost,
eight updates, ten places to start from. Each once with exact updates, where only truncation can bias an estimate, and
once with sampled ones, where all that differentiates given data misses how the data would have changed.
"""

import functools
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from selftune.estimators import Estimator, bootstrapped, evolution, forward, truncated
from selftune.experiments.published.measuring import Found, row_of_runs
from selftune.experiments.published.processes import (
    Process,
    exact_loss,
    expected_return,
    judge,
    maze_process,
    random_process,
    sampled_loss,
)
from selftune.experiments.records import Row
from selftune.learning import learner
from selftune.metaparams import MetaParam, Spec, free, per_parameter, values
from selftune.optim import sgd
from selftune.runner.progress import progress
from selftune.tuning import tuner
from selftune.types import Array, Float, Loss, PRNGKey

UPDATES = {"random MDPs": 3, "maze": 8}
EPISODES = {"random MDPs": 50, "maze": 10}
RATES = {"random MDPs": 10.0, "maze": 1.0}
"""Learning rates; large enough that an update changes what the next one finds."""
LOGITS = np.linspace(-2.0, 4.0, 10)
"""Of the entropy cost in the maze, as in Vuorio's comparison."""
FINITE_STEP = 0.1
"""Of the finite differences in the maze, in the logit, as there."""


class Compared(NamedTuple):
    """Estimates beside the truth."""

    estimates: Float[np.ndarray, "C S M"]
    """[case, seed, component]"""
    truth: Float[np.ndarray, "C M"]

    def correlations(self) -> Float[np.ndarray, " C"]:
        """Of the mean estimate with the truth over the components, case by case."""
        pairs = zip(self.estimates.mean(1), self.truth, strict=True)
        return np.array([np.corrcoef(mean, truth)[0, 1] for mean, truth in pairs])

    def single_correlations(self) -> Float[np.ndarray, " C"]:
        """The same of one estimate, on average over the seeds."""
        return np.array(
            [
                np.mean([np.corrcoef(one, truth)[0, 1] for one in of])
                for of, truth in zip(self.estimates, self.truth, strict=True)
            ]
        )

    def bias(self) -> float:
        """Distance of the mean estimate from the truth, relative to the truth; root mean square over the cases.

        Less what the noise of a mean of so many estimates adds.
        """
        distance = np.linalg.norm(self.estimates.mean(1) - self.truth) / np.linalg.norm(self.truth)
        noise = self.deviation() ** 2 / max(1, self.estimates.shape[1] - 1)
        return float(np.sqrt(max(0.0, distance**2 - noise)))

    def deviation(self) -> float:
        """Standard deviation of an estimate, relative to the truth."""
        spread = ((self.estimates - self.estimates.mean(1, keepdims=True)) ** 2).sum(-1).mean(1).sum()
        return float(np.sqrt(spread) / np.linalg.norm(self.truth))


def estimators(updates: int, sampled: bool) -> Mapping[str, Estimator]:
    """What is compared, for a window of that many updates, exact or sampled ones."""
    common = {"truncated(1)": truncated(1), f"truncated({updates})": truncated(updates, mode="mixed")}
    if sampled:
        return common | {"evolution('es')": evolution("es", unroll=updates, population=16, sigma=0.1)}
    target = bootstrapped(updates - 1, 2)  # all but the last: the entropy cost does nothing to the first in the maze
    return common | {"forward()": forward(), target.name: target}


def estimate(
    process: Process, inner: Loss, spec: Spec, estimator: Estimator, updates: int, key: PRNGKey
) -> Float[Array, " M"]:
    """The estimate after so many updates from a uniform policy, with respect to the unconstrained coordinates."""
    learning = learner(inner, lambda eta: sgd(eta["learning_rate"]))
    tuning = tuner(spec, learning, judge(process), estimator, optax.set_to_zero())
    state = learning.init(jnp.zeros(process.rewards.shape), values(spec))
    seeds = jax.random.bits(key, (updates // estimator.window, estimator.window))

    def update(carry: tuple[Any, Any], window: Array) -> tuple[tuple[Any, Any], Any]:
        meta, state, info = tuning.update(*carry, window, jnp.zeros(()), key)
        return (meta, state), info.meta_grad

    _, found = jax.lax.scan(update, (tuning.init(state), state), seeds)
    return jnp.concatenate([leaf[-1].reshape(-1) for leaf in jax.tree.leaves(found)])


def lifetime(process: Process, inner: Loss, eta: Mapping[str, Array], updates: int, key: PRNGKey) -> Float[Array, ""]:
    """The outer loss after so many updates."""
    learning = learner(inner, lambda eta: sgd(eta["learning_rate"]))
    state = learning.init(jnp.zeros(process.rewards.shape), {name: jnp.asarray(value) for name, value in eta.items()})
    seeds = jax.random.bits(key, (updates,))
    state, _ = jax.lax.scan(lambda state, seed: (learning.step(eta, state, seed)[0], None), state, seeds)
    return -expected_return(process, state.params)


def compare_random(estimator: Estimator, sampled: bool, cases: int, seeds: int) -> Compared:
    """Random MDPs: the truth is the derivative of three exact updates, also where updates are sampled."""
    updates, shape = UPDATES["random MDPs"], (10, 5)
    spec = {"learning_rate": MetaParam(RATES["random MDPs"], scope=per_parameter), "entropy_cost": 0.0}

    def one(process: Process, key: PRNGKey) -> Float[Array, " M"]:
        inner = sampled_loss(process, EPISODES["random MDPs"]) if sampled else exact_loss(process)
        return estimate(process, inner, spec, estimator, updates, key)

    def truth(process: Process) -> Float[Array, " M"]:
        def outcome(log_rate: Float[Array, "10 5"]) -> Float[Array, ""]:
            params = jnp.zeros(shape)
            for _ in range(updates):
                params = params + jnp.exp(log_rate) * jax.grad(lambda p: expected_return(process, p))(params)
            return -expected_return(process, params)

        return jax.grad(outcome)(jnp.log(jnp.full(shape, RATES["random MDPs"]))).reshape(-1)

    keys, every = jax.random.split(jax.random.key(0), seeds), random_processes(cases)
    estimates = jax.jit(jax.vmap(jax.vmap(one, (None, 0)), (0, None)))(every, keys)
    return Compared(np.asarray(estimates), np.asarray(jax.jit(jax.vmap(truth))(every)))


@functools.cache
def random_processes(cases: int) -> Process:
    """The processes of the first seeds, along a leading axis."""
    return jax.jit(jax.vmap(random_process))(jnp.arange(cases))


def compare_maze(estimator: Estimator, sampled: bool, seeds: int, truth: Float[np.ndarray, " L"]) -> Compared:
    """The maze: one case, whose components are the ten places to start from."""
    updates, process = UPDATES["maze"], maze_process()
    inner = sampled_loss(process, EPISODES["maze"]) if sampled else exact_loss(process)

    def one(logit: Array, key: PRNGKey) -> Float[Array, ""]:
        spec: dict[str, Any] = {"offset": MetaParam(0.0, free), "learning_rate": RATES["maze"]}
        moved = _moved_by(inner, logit)
        return estimate(process, moved, spec, estimator, updates, key)[0]

    keys = jax.random.split(jax.random.key(0), seeds)
    estimates = jax.jit(jax.vmap(jax.vmap(one, (0, None)), (None, 0)))(jnp.asarray(LOGITS), keys)
    return Compared(np.asarray(estimates)[None], truth[None])


def maze_truth(sampled: bool, seeds: int) -> Float[np.ndarray, " L"]:
    """Central differences of the expected outcome, updates drawn anew from every policy on the way."""
    process = maze_process()
    inner = sampled_loss(process, EPISODES["maze"]) if sampled else exact_loss(process)

    def outcome(logit: Array, key: PRNGKey) -> Float[Array, ""]:
        eta = {"entropy_cost": jax.nn.sigmoid(logit), "learning_rate": jnp.asarray(RATES["maze"])}
        return lifetime(process, inner, eta, UPDATES["maze"], key)

    keys = jax.random.split(jax.random.key(1), seeds)
    places = jnp.asarray(LOGITS)[None] + FINITE_STEP * jnp.array([[1.0], [-1.0]])
    outcomes = jax.jit(jax.vmap(jax.vmap(outcome, (None, 0)), (0, None)))(places.reshape(-1), keys).mean(1)
    above, below = np.asarray(outcomes).reshape(2, -1)
    return (above - below) / (2.0 * FINITE_STEP)


def _moved_by(inner: Loss, logit: Array) -> Loss:
    """A loss whose entropy cost is the sigmoid of a logit and a learned offset from it."""

    def loss(params, frozen, eta, batch):
        return inner(params, frozen, {"entropy_cost": jax.nn.sigmoid(logit + eta["offset"])}, batch)

    return loss


def reduced(found: Found) -> Iterator[Row]:
    """Ten processes, twenty seeds; the truth of the maze from 200 lives at each place."""
    return _rows(found, 10, 20, 200)


def full(found: Found) -> Iterator[Row]:
    """Fifty times as many samples for the truth, ten times as many seeds."""
    return _rows(found, 10, 200, 10_000)


def _rows(found: Found, cases: int, seeds: int, lives: int) -> Iterator[Row]:
    truths: dict[bool, Float[np.ndarray, " L"]] = {}
    work = [(world, sampled) for world in UPDATES for sampled in (False, True)]
    for world, sampled in progress(work, "meta-gradients"):
        steps = UPDATES[world] * (EPISODES[world] * (20 if world == "random MDPs" else 8) if sampled else 1)
        for name, estimator in estimators(UPDATES[world], sampled).items():
            row = f"{world}, {'sampled' if sampled else 'exact'} updates, {name}: correlation"
            count = seeds if sampled or "evolution" in name else 1
            if found(row, steps, count):
                continue
            if world == "maze":
                if sampled not in truths:
                    truths[sampled] = maze_truth(sampled, lives if sampled else 1)
                compared = compare_maze(estimator, sampled, count, truths[sampled])
            else:
                compared = compare_random(estimator, sampled, cases, count)
            details = {"relative_bias": compared.bias(), "relative_deviation": compared.deviation(), "draws": count}
            details["correlation_of_one_estimate"] = compared.single_correlations().mean()
            yield row_of_runs("gradients", row, steps, compared.correlations(), None, details)
