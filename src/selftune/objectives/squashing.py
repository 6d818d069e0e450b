"""The squashed Gaussian: a normal draw sent through tanh, so that every action lies in [-1, 1].

    u ~ N(mean, std),   a = tanh(u),   log p(a) = log N(u) - sum log(1 - tanh(u)^2)

Haarnoja et al. 2018 (https://arxiv.org/abs/1801.01290), appendix C. Draws are functions of parameters and standard
normal noise, so that gradients pass through them.
"""

import math

import jax
import jax.numpy as jnp

from selftune.objectives.distributions import Gaussian, gaussian
from selftune.types import Array, Float

LOWEST_LOG_STD = -5.0
HIGHEST_LOG_STD = 2.0


def bounded_gaussian(outputs: Float[Array, "*batch twice_A"]) -> Gaussian:
    """A Gaussian from what a network puts out: `A` means, then `A` logarithms of standard deviations.

    Logarithms are bent softly into (-5, 2): nearly as they are between, and never without a slope at the ends.

    Args:
        outputs: [*batch, 2 A].
    """
    mean, log_std = jnp.split(outputs, 2, axis=-1)
    log_std = HIGHEST_LOG_STD - jax.nn.softplus(HIGHEST_LOG_STD - log_std)
    log_std = LOWEST_LOG_STD + jax.nn.softplus(log_std - LOWEST_LOG_STD)
    return Gaussian(mean, log_std)


def squashed_gaussian(
    parameters: Gaussian, noise: Float[Array, "*batch A"]
) -> tuple[Float[Array, "*batch A"], Float[Array, "*batch"]]:
    """A draw and its log density.

    Args:
        parameters: Of the normal distribution before the squashing.
        noise: [*batch, A] standard normal.

    Returns:
        The action [*batch, A] in [-1, 1], and the logarithm of its density [*batch]; finite for any finite draw, also
        where the action rounds to 1.
    """
    unsquashed = parameters.mean + jnp.exp(parameters.log_std) * noise
    log_probability = gaussian.log_probability(parameters, unsquashed) - log_slope(unsquashed).sum(axis=-1)
    return jnp.tanh(unsquashed), log_probability


def squashed_mode(parameters: Gaussian) -> Float[Array, "*batch A"]:
    """The action without chance: the squashed mean, as is customary (the density's own peak may lie elsewhere)."""
    return jnp.tanh(parameters.mean)


def log_slope(unsquashed: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
    """`log(1 - tanh(u)^2)`, written as `2 (log 2 - u - softplus(-2 u))`, which neither rounds to -inf nor overflows."""
    return 2.0 * (math.log(2.0) - unsquashed - jax.nn.softplus(-2.0 * unsquashed))
