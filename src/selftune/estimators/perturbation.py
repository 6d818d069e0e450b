"""`evolution`: estimate the meta-gradient from what perturbed metaparameters lead to; nothing is differentiated.

    es    antithetic evolution strategies: every window starts from the learner's own state
    pes   persistent evolution strategies: particles live on across windows, their perturbations add up
    nres  noise-reuse: particles live on, each with one perturbation for its whole life

Salimans et al. 2017 (https://arxiv.org/abs/1703.03864), Vicol et al. 2021
(https://proceedings.mlr.press/v139/vicol21a.html), Li et al. 2023 (https://arxiv.org/abs/2304.12180).
"""

import math
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from selftune import _tree
from selftune.errors import EstimatorError
from selftune.estimators.problem import (
    Estimate,
    EstimateInfo,
    Estimator,
    Problem,
    needs_validation,
    unroll as unroll_steps,
    whole,
)
from selftune.types import Array, Batch, Float, Int, MetaParams, PRNGKey, PyTree

KINDS = ("es", "pes", "nres")


class Particles(eqx.Module):
    """`N` antithetic pairs of learners, each living under its own metaparameters."""

    states: PyTree
    """Leading axes [2, N]: the pair, then the particle."""
    noise: Float[Array, "N M"]
    """The perturbation of the window before (what `nres` keeps)."""
    total: Float[Array, "N M"]
    """The sum of all perturbations of this life (what `pes` weighs the loss with)."""
    age: Int[Array, ""]
    """Windows since birth."""


def evolution(
    kind: Literal["es", "pes", "nres"] = "pes",
    unroll: int = 1,
    population: int = 16,
    sigma: float = 0.1,
    lifetime: int | None = None,
) -> Estimator:
    """Antithetic perturbations of the metaparameters, in unconstrained coordinates.

    Each estimates the gradient of a Gaussian-smoothed outer loss. `es`: of the loss after one window, so it is as
    short-sighted as `truncated(unroll)`, its expectation as sigma goes to 0. `pes` and `nres`: of the summed losses of
    all windows of a lifetime, without truncation bias; `nres` has the lower variance, `pes` updates within a life. The
    variance is of order M / population; that of `pes` grows with the windows since birth, which is why a life should
    end, and `nres` sees only the `population` directions of M that its particles drew at birth. What the judge holds
    still (`through` of the tuner) is the learner's own, whatever the particles have come to. Time: `2 * population +
    1` plain updates for each update; memory: `2 * population` states. A bare step function suffices, and nothing need
    be differentiable.

    Args:
        kind: `"es"`, `"pes"` or `"nres"`.
        unroll: Updates in a window, `K`.
        population: Antithetic pairs, `N`.
        sigma: Standard deviation of the perturbations, above 0.
        lifetime: Of `"pes"` and `"nres"`: windows after which the particles are born again from the learner's own
            state; `None`: they never are, for lives that are short anyway. With `"es"` every window is a life.

    Raises:
        EstimatorError: An unknown kind, or a setting out of range.
    """
    counts = (unroll, population) if lifetime is None else (unroll, population, lifetime)
    if kind not in KINDS or not whole(*counts) or not 0 < sigma < math.inf:
        raise EstimatorError(
            f"evolution(kind={kind!r}, unroll={unroll}, population={population}, sigma={sigma}, lifetime={lifetime}): "
            f"expected a kind in {KINDS}, a finite sigma > 0 and whole numbers >= 1."
        )
    if kind == "es" and lifetime is not None:
        raise EstimatorError(
            f"evolution('es', lifetime={lifetime}): the particles of es are born again with every window; leave "
            "lifetime out, or choose 'pes' or 'nres'."
        )

    def born(state: PyTree, flat: Float[Array, " M"]) -> Particles:
        states = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (2, population, *jnp.shape(leaf))), state)
        zeros = jnp.zeros((population, flat.size), flat.dtype)
        return Particles(states, zeros, zeros, jnp.asarray(0))

    def init(problem: Problem, meta_params: MetaParams, state: PyTree, batches: Batch | None) -> PyTree:
        return () if kind == "es" else born(state, ravel_pytree(meta_params)[0])

    def estimate(
        problem: Problem,
        meta_params: MetaParams,
        state: PyTree,
        estimator_state: PyTree,
        batches: Batch,
        validation: Batch | None,
        key: PRNGKey,
    ) -> Estimate:
        validation = needs_validation(validation, f"evolution({kind!r})")
        flat, unravel = ravel_pytree(meta_params)
        particles = born(state, flat) if kind == "es" else estimator_state
        fresh = sigma * jax.random.normal(key, (population, flat.size), flat.dtype)
        noise = jnp.where(particles.age > 0, particles.noise, fresh) if kind == "nres" else fresh
        total = noise if kind == "nres" else particles.total + noise

        after, infos = unroll_steps(problem, meta_params, state, batches)
        still = problem.held_still(meta_params, after, validation)

        def live(offset: Float[Array, " M"], state: PyTree) -> tuple[PyTree, Float[Array, ""]]:
            moved = unravel(flat + offset)
            state, _ = unroll_steps(problem, moved, state, batches)
            return state, problem.judge(moved, state, validation, still)[0]

        states, losses = jax.vmap(jax.vmap(live))(jnp.stack([noise, -noise]), particles.states)
        slopes = (losses[0] - losses[1]) / (2.0 * sigma**2)
        meta_grad = unravel((slopes[:, None] * total).mean(axis=0).astype(flat.dtype))

        value, aux = problem.judge(meta_params, after, validation)
        info = EstimateInfo(value, aux, infos, jnp.asarray(True))
        if kind == "es":
            return meta_grad, after, estimator_state, info
        aged = Particles(states, noise, total, particles.age + 1)
        if lifetime is not None:
            aged = _tree.where(aged.age >= lifetime, born(after, flat), aged)
        return meta_grad, after, aged, info

    def forget(particles: PyTree, state: PyTree) -> PyTree:
        return () if kind == "es" else born(state, particles.noise[0])

    return Estimator(f"evolution({kind})", init, estimate, unroll, forget)
