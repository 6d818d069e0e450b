"""The noisy quadratic: a greedy meta-gradient lowers the learning rate by orders of magnitude.

Wu et al. 2018 (https://arxiv.org/abs/1803.02021). Along steep directions the noise of the gradient soon outweighs
progress, and whatever the rate, a lower one makes the next step less noisy; progress along flat directions shows only
in the long run. Every estimator starts at the best constant rate, found by exact moments, and tunes it while one run of
10 000 updates lasts. The judge is exact: the loss without the noise.
"""

from collections.abc import Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from selftune.estimators import Estimator, bootstrapped, evolution, forward, truncated
from selftune.experiments.published.measuring import Found, row_of_runs
from selftune.experiments.records import Row
from selftune.learning import learner
from selftune.metaparams import MetaParam, values
from selftune.optim import sgd
from selftune.runner.progress import progress
from selftune.tuning import tuner
from selftune.types import Array, Eta, Float, Frozen, Params, PRNGKey, Scalar

CURVATURE = np.repeat([1.0, 1e-4], 4)
"""Four steep directions and four flat ones."""
NOISE = CURVATURE**-0.5
"""Standard deviation of the place where a batch has its minimum: gradients of a variance like the curvature."""
START = 2.0 * CURVATURE**-0.5
"""Every direction has the same share of the loss at first."""
STEPS = 10_000
COPIES = 16
"""Independent learners that share a learning rate: their mean is what is judged."""
META_STEP = 0.002
"""Of Adam, in the logarithm of the rate, for each update between two meta-updates, and at most 0.1 altogether."""

ESTIMATORS = {
    "truncated(1)": truncated(1),
    "truncated(10)": truncated(10),
    "truncated(100)": truncated(100),
    "bootstrapped(1, 20)": bootstrapped(1, 20),
    "evolution('pes')": evolution("pes", unroll=20, population=8, sigma=0.1, lifetime=100),
    "forward()": forward(unroll=10),
}


def loss(params: Params, frozen: Frozen, eta: Eta, minima: Float[Array, "copies D"]) -> tuple[Scalar, None]:
    """Of every copy, on a batch that seems to have its minimum there."""
    return 0.5 * (jnp.asarray(CURVATURE)[None] * (params - minima) ** 2).sum(), None


def expected_loss(params: Params, frozen: Frozen, eta: Eta, batch: Scalar) -> tuple[Scalar, None]:
    """Of a copy on average, but for the constant that the noise adds."""
    return 0.5 * (jnp.asarray(CURVATURE)[None] * params**2).sum(-1).mean(), None


def constant_rate_loss(rate: Float[np.ndarray, " N"], steps: int = STEPS) -> Float[np.ndarray, " N"]:
    """The expected loss after a run at a constant rate, by the closed forms of mean and variance."""
    keep = 1.0 - rate[:, None] * CURVATURE
    stays = keep ** (2 * steps)
    variance = rate[:, None] * CURVATURE * NOISE**2 / (2.0 - rate[:, None] * CURVATURE) * (1.0 - stays)
    return 0.5 * (CURVATURE * (START**2 * stays + variance)).sum(-1)


def best_constant_rate(steps: int = STEPS) -> tuple[float, float]:
    """The rate of the lowest final loss, and that loss."""
    rates = np.logspace(-4.0, 0.2, 2000)
    losses = constant_rate_loss(rates, steps)
    return float(rates[losses.argmin()]), float(losses.min())


class Lives(NamedTuple):
    """What `N` runs did, at every meta-update."""

    rates: Float[np.ndarray, "N W"]
    losses: Float[np.ndarray, "N W"]


def live(estimator: Estimator, seeds: int, updates: int = STEPS) -> Lives:
    """Runs that begin at the best constant rate of a whole run and tune it as they go."""
    spec = {"learning_rate": MetaParam(best_constant_rate()[0])}
    learning = learner(loss, lambda eta: sgd(eta["learning_rate"]))
    window = estimator.window
    tuning = tuner(spec, learning, expected_loss, estimator, optax.adam(min(0.1, META_STEP * window)))
    state = learning.init(jnp.broadcast_to(jnp.asarray(START)[None], (COPIES, len(START))), values(spec))

    def update(carry, key: PRNGKey):
        meta, state = carry
        minima = jnp.asarray(NOISE)[None, None] * jax.random.normal(key, (window, COPIES, len(START)))
        meta, state, info = tuning.update(meta, state, minima, jnp.zeros(()), jax.random.fold_in(key, 1))
        judged = expected_loss(state.params, None, {}, jnp.zeros(()))[0]
        return (meta, state), (info.eta["learning_rate"], judged)

    def run(key: PRNGKey):
        return jax.lax.scan(update, (tuning.init(state), state), jax.random.split(key, updates // window))[1]

    rates, losses = jax.device_get(jax.jit(jax.vmap(run))(jax.random.split(jax.random.key(0), seeds)))
    return Lives(rates, losses)


def relative_loss(lives: Lives, window: int, last: int) -> Float[np.ndarray, " N"]:
    """The mean loss at the last meta-updates over that of the best constant rate at the same updates."""
    rate, count = np.array([best_constant_rate()[0]]), lives.losses.shape[1]
    beside = [constant_rate_loss(rate, window * (count - ago)) for ago in range(last)]
    return lives.losses[:, -last:].mean(1) / np.mean(beside)


def reduced(found: Found) -> Iterator[Row]:
    """Three seeds."""
    return _rows(found, 3)


def full(found: Found) -> Iterator[Row]:
    """Twenty seeds."""
    return _rows(found, 20)


def _rows(found: Found, seeds: int) -> Iterator[Row]:
    rate, _ = best_constant_rate()
    for name, estimator in progress(list(ESTIMATORS.items()), "noisy quadratic"):
        rows = {"rate": f"{name}, final rate / best constant", "loss": f"{name}, final loss / best constant"}
        if all(found(row, STEPS, seeds) for row in rows.values()):
            continue
        lives = live(estimator, seeds)
        last, thin = max(1, len(lives.rates[0]) // 20), max(1, len(lives.rates[0]) // 100)
        curve = {"best_constant_rate": rate, "rates": lives.rates[:, thin - 1 :: thin].mean(0)}
        published = "orders of magnitude below 1 (Wu et al. 2018)" if name.startswith("truncated") else None
        ratios = np.exp(np.log(lives.rates[:, -last:]).mean(1)) / rate
        yield row_of_runs("noisy_quadratic", rows["rate"], STEPS, ratios, published, curve)
        yield row_of_runs("noisy_quadratic", rows["loss"], STEPS, relative_loss(lives, estimator.window, last))
