"""Sutton's tracking task: a linear target whose relevant weights change sign one at a time.

Twenty inputs, standard normal and independent; five of them are relevant, with a weight of 1 or -1 in the target, the
other fifteen have weight 0; no noise. Every twenty examples the sign of one relevant weight, drawn at random, flips
(Sutton, "Adapting bias by gradient descent", AAAI 1992, experiments 1 and 2). A good learner forgets fast along the
relevant inputs and not at all along the others, which no single step size can do.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import ScalarLike

from selftune import optim
from selftune.experiments.published.measuring import Found, row_of_runs
from selftune.experiments.records import Row
from selftune.runner.progress import progress
from selftune.types import Array, Float, PRNGKey

INPUTS, RELEVANT, PERIOD = 20, 5, 20
BURN_IN, MEASURED = 20_000, 10_000
LONG = 250_000
INITIAL = 0.05
"""The step size of every input at first."""
RATES = (0.01, 0.02, 0.03, 0.035, 0.04, 0.05, 0.07)
META_RATES = (0.005, 0.01, 0.015, 0.02)
CHOOSING = 30
"""Seeds on which the best setting is chosen; none of them is measured again. IDBD's larger rates do well on most."""


class Tracked(NamedTuple):
    """The outcome of one run of `P` periods of twenty examples."""

    squared_error: Float[Array, "P 20"]
    """Of the prediction made before each update."""
    squared_target: Float[Array, "P 20"]
    """What the prediction 0 would have cost."""
    state: Any
    """The rule's state after the last example."""


def track(rule: optax.GradientTransformation, scales: Float[Array, "P 20"], key: PRNGKey) -> Tracked:
    """Run one linear learner, its weights zero at first, over `P` periods.

    Args:
        rule: gets the gradient of half the squared error, and the inputs as `features`.
        scales: [P, 20] what each input is multiplied by in each period.
        key: of all the randomness.
    """
    extended = optax.with_extra_args_support(rule)

    def example(learner, data):
        weights, state = learner
        inputs, target = data
        error = target - weights @ inputs
        steps, state = extended.update(-error * inputs, state, weights, features=inputs)
        return (optax.apply_updates(weights, steps), state), (error**2, target**2)

    def period(carry, data):
        learner, target_weights = carry
        scale, key = data
        flip_key, input_key = jax.random.split(key)
        target_weights = target_weights.at[jax.random.randint(flip_key, (), 0, RELEVANT)].multiply(-1.0)
        inputs = scale[None] * jax.random.normal(input_key, (PERIOD, INPUTS))
        learner, errors = jax.lax.scan(example, learner, (inputs, inputs @ target_weights))
        return (learner, target_weights), errors

    sign_key, run_key = jax.random.split(key)
    signs = jax.random.rademacher(sign_key, (RELEVANT,), float)
    weights = jnp.zeros(INPUTS)
    start = (weights, extended.init(weights)), weights.at[:RELEVANT].set(signs)
    (learner, _), errors = jax.lax.scan(period, start, (scales, jax.random.split(run_key, len(scales))))
    return Tracked(*errors, learner[1])


def unit_scales(examples: int) -> Float[Array, "P 20"]:
    """Inputs as they are, for this many examples."""
    return jnp.ones((examples // PERIOD, INPUTS))


def growing_scales(key: PRNGKey, periods: int = 600) -> Float[Array, "P 20"]:
    """1 for the first half; then every input grows by its own factor, log-uniform in [10, 100]."""
    growth = 10.0 ** jax.random.uniform(key, (INPUTS,), minval=1.0, maxval=2.0)
    return jnp.where(jnp.arange(periods)[:, None] < periods // 2, 1.0, growth[None])


def reduced(found: Found) -> Iterator[Row]:
    """Six seeds; the change of scale, where a share of runs is told, has its thirty all the same."""
    return _rows(found, 6, 4)


def full(found: Found) -> Iterator[Row]:
    """Thirty seeds."""
    return _rows(found, 30, 30)


def _rows(found: Found, seeds: int, long_seeds: int) -> Iterator[Row]:
    errors = {
        "LMS, best step size, MSE": (optim.sgd, RATES, "3.5 (Sutton 1992); 3.63 (30-seed replication)"),
        "IDBD, best theta, MSE": (_idbd, META_RATES, "1.5 (Sutton 1992); 1.56 (30-seed replication)"),
    }
    for name, (make, settings, published) in progress(list(errors.items()), "tracking"):
        if not found(name, BURN_IN + MEASURED, seeds):
            sought = asymptotic_errors(make, settings, CHOOSING, jax.random.key(3)).mean(1)
            best = int(np.nanargmin(sought))  # runs that diverge have no error
            errors = asymptotic_errors(make, (settings[best],), seeds, jax.random.key(0))[0]
            details = {"settings": settings, "mean_by_setting": sought, "best_setting": settings[best]}
            yield row_of_runs("tracking", name, BURN_IN + MEASURED, errors, published, details)
    yield from _step_size_rows(found, long_seeds)
    yield from _scale_rows(found)


def asymptotic_errors(
    make: Callable, settings: tuple[float, ...], seeds: int, key: PRNGKey
) -> Float[np.ndarray, "S N"]:
    """Mean squared error of each setting and seed over 10k examples that follow 20k of burn-in."""

    def run(setting, key):
        return track(make(setting), unit_scales(BURN_IN + MEASURED), key).squared_error[BURN_IN // PERIOD :].mean()

    keys = jax.random.split(key, seeds)
    return np.asarray(jax.jit(jax.vmap(jax.vmap(run, (None, 0)), (0, None)))(jnp.array(settings), keys))


def _step_size_rows(found: Found, seeds: int) -> Iterator[Row]:
    published = {"relevant": ".13 +- .015 (Sutton 1992)", "irrelevant": "below .007 (Sutton 1992)"}
    names = {group: f"IDBD, step size of {group} inputs" for group in published}
    if all(found(name, LONG, seeds) for name in names.values()):
        return

    def run(key):
        return jnp.exp(track(optim.idbd(INITIAL, 0.001), unit_scales(LONG), key).state.log_step_size)

    sizes = np.asarray(jax.jit(jax.vmap(run))(jax.random.split(jax.random.key(1), seeds)))
    parts = {"relevant": sizes[:, :RELEVANT], "irrelevant": sizes[:, RELEVANT:]}
    for group, part in parts.items():
        yield row_of_runs("tracking", names[group], LONG, part.mean(1), published[group], {"theta": 0.001})


def _scale_rows(found: Found, seeds: int = 30) -> Iterator[Row]:
    rules = {
        "IDBD": (_idbd(0.01), "30 of 30 (30-seed replication)"),
        "Autostep": (optim.autostep(INITIAL), "0 of 30 (30-seed replication)"),
    }
    steps = 600 * PERIOD
    for name, (rule, published) in rules.items():
        row = f"{name}, inputs grow, share of runs that diverge"
        if not found(row, steps, seeds):
            yield row_of_runs("tracking", row, steps, diverged(rule, seeds), published)


def diverged(rule: optax.GradientTransformation, seeds: int) -> Float[np.ndarray, " N"]:
    """1 for each run whose error is not finite after the inputs grew."""

    def run(key):
        scale_key, run_key = jax.random.split(key)
        return ~jnp.isfinite(track(rule, growing_scales(scale_key), run_key).squared_error).all()

    return np.asarray(jax.jit(jax.vmap(run))(jax.random.split(jax.random.key(2), seeds)), float)


def _idbd(meta_rate: ScalarLike) -> optax.GradientTransformation:
    return optim.idbd(INITIAL, meta_rate)
