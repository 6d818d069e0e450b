"""Policies as distributions: pure functions of what a network puts out, differentiable in it.

Written out rather than taken from distrax, which pulls in a nightly build of another framework: these are the few
formulas that the losses need.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from selftune.types import Array, Float, Int, PRNGKey, PyTree

LOG_TWO_PI = math.log(2.0 * math.pi)


class Distribution(NamedTuple):
    """A family of distributions; `parameters` is what a policy network gives, with leading axes `*batch`."""

    name: str
    sample: Callable[[PyTree, PRNGKey], Array]
    """`sample(parameters, key) -> action`, [*batch] or [*batch, A]."""
    mode: Callable[[PyTree], Array]
    """The likeliest action."""
    log_probability: Callable[[PyTree, Array], Float[Array, "*batch"]]
    """`log_probability(parameters, action)`."""
    entropy: Callable[[PyTree], Float[Array, "*batch"]]
    divergence: Callable[[PyTree, PyTree], Float[Array, "*batch"]]
    """`divergence(before, after)`: Kullback-Leibler, in nats."""


class Gaussian(NamedTuple):
    """Parameters of a normal distribution with independent entries."""

    mean: Float[Array, "*batch A"]
    log_std: Float[Array, "*batch A"]


def _categorical_log_probability(logits: Float[Array, "*batch A"], action: Int[Array, "*batch"]) -> Any:
    return jnp.take_along_axis(jax.nn.log_softmax(logits), action[..., None], axis=-1)[..., 0]


def _categorical_entropy(logits: Float[Array, "*batch A"]) -> Any:
    log_probability = jax.nn.log_softmax(logits)
    probability = jnp.exp(log_probability)
    return -(probability * jnp.where(probability > 0.0, log_probability, 0.0)).sum(axis=-1)


def _categorical_divergence(before: Float[Array, "*batch A"], after: Float[Array, "*batch A"]) -> Any:
    p, q = jax.nn.log_softmax(before), jax.nn.log_softmax(after)
    probability = jnp.exp(p)
    return (probability * jnp.where(probability > 0.0, p - q, 0.0)).sum(axis=-1)


categorical = Distribution(
    "categorical",
    sample=lambda logits, key: jax.random.categorical(key, logits),
    mode=lambda logits: jnp.argmax(logits, axis=-1),
    log_probability=_categorical_log_probability,
    entropy=_categorical_entropy,
    divergence=_categorical_divergence,
)
"""One of `A` actions; parameters are logits [*batch, A], -inf for what cannot be done."""


def _gaussian_log_probability(parameters: Gaussian, action: Float[Array, "*batch A"]) -> Any:
    standardized = (action - parameters.mean) * jnp.exp(-parameters.log_std)
    return (-0.5 * jnp.square(standardized) - parameters.log_std - 0.5 * LOG_TWO_PI).sum(axis=-1)


def _gaussian_sample(parameters: Gaussian, key: PRNGKey) -> Array:
    noise = jax.random.normal(key, parameters.mean.shape, parameters.mean.dtype)
    return parameters.mean + jnp.exp(parameters.log_std) * noise


def _gaussian_divergence(before: Gaussian, after: Gaussian) -> Any:
    ratio = 2.0 * (before.log_std - after.log_std)
    shift = jnp.square(before.mean - after.mean) * jnp.exp(-2.0 * after.log_std)
    return 0.5 * (jnp.exp(ratio) + shift - 1.0 - ratio).sum(axis=-1)


gaussian = Distribution(
    "gaussian",
    sample=_gaussian_sample,
    mode=lambda parameters: parameters.mean,
    log_probability=_gaussian_log_probability,
    entropy=lambda parameters: (parameters.log_std + 0.5 * (1.0 + LOG_TWO_PI)).sum(axis=-1),
    divergence=_gaussian_divergence,
)
"""`A` independent normals; parameters are a `Gaussian`. Actions are unbounded: an environment clips them to its box,
and the density is that of the action before the clipping."""
