"""Sutton's tracking task: a linear target whose relevant weights change sign one at a time.

Twenty inputs, standard normal and independent; five of them are relevant, with a weight of 1 or −1 in the
target, the other fifteen have weight 0; no noise. Every twenty examples the sign of one relevant weight, drawn
at random, flips (Sutton, "Adapting bias by gradient descent", AAAI 1992, experiments 1 and 2). A good learner
forgets fast along the relevant inputs and not at all along the others, which no single step size can do.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array

INPUTS, RELEVANT, PERIOD = 20, 5, 20


class Tracked(NamedTuple):
    """The outcome of one run of `P` periods of twenty examples."""

    squared_error: Array
    """[P, 20] of the prediction made before each update."""
    squared_target: Array
    """[P, 20] what the prediction 0 would have cost."""
    state: Any
    """The rule's state after the last example."""


def track(rule: optax.GradientTransformation, scales: Array, key: Array) -> Tracked:
    """Runs one linear learner, its weights zero at first, over `P` periods.

    Args:
        rule: gets the gradient of half the squared error, and the inputs as `features`.
        scales: [P, 20] what each input is multiplied by in each period.
        key: of all the randomness.
    """
    rule = optax.with_extra_args_support(rule)

    def example(learner, data):
        weights, state = learner
        inputs, target = data
        error = target - weights @ inputs
        steps, state = rule.update(-error * inputs, state, weights, features=inputs)
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
    start = (weights, rule.init(weights)), weights.at[:RELEVANT].set(signs)
    (learner, _), errors = jax.lax.scan(period, start, (scales, jax.random.split(run_key, len(scales))))
    return Tracked(*errors, learner[1])
