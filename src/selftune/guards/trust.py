"""`trust_region`: no update takes the policy further than a stated distance, and a rate that wants more comes down.

A meta-gradient is greedy: unguarded it raises the learning rate until the agent is destroyed. The projection holds
each step within the bound; its shrink, fed back into the logarithm of the rate, makes the rate itself settle where
steps just fit.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import TypeAlias

import jax
import jax.numpy as jnp
import optax

from selftune import _tree
from selftune.errors import EstimatorError, SettingError, UnknownMetaParamError, did_you_mean
from selftune.guards.attempt import Attempt, Fired, Guard, Position
from selftune.learning import BareStep, Learner, Projection, StepInfo
from selftune.metaparams import MetaParam, Spec, tuned
from selftune.types import Array, Batch, Float, Params, PyTree, Scalar

Distance: TypeAlias = Callable[[Params, Params, Batch], Scalar]

SLACK = 1.1
"""A projected step may exceed the bound by this factor: one square-root scaling is second order only."""

MOST_TRIES = 16


def trust_region(
    distance: Distance,
    bound: float = 0.01,
    part: Callable[[Scalar], PyTree] = lambda factor: factor,
    rates: Sequence[str] = ("learning_rate",),
) -> Guard:
    """Scale each inner update so that `distance(old, new, batch) <= bound`, and pull the rates down by the same factor.

    The factor is `sqrt(bound / distance)`, evaluated again and shrunk until the distance is within 1.1 times the
    bound; a step whose distance is no number is not made. The factor is a constant to every gradient, so that an active
    projection does not hide the learning rate from the meta-gradient.

    Args:
        distance: `distance(old_params, new_params, batch) -> scalar`, growing with the square of the step; for agents
            the mean Kullback-Leibler divergence of the policy.
        bound: The largest distance of one update, above 0.
        part: From the factor to a tree prefix of the parameters, to scale the policy's part and leave the critic's
            alone.
        rates: Metaparameters or constants of the spec; the factor is multiplied into those that are tuned.

    Raises:
        SettingError: The bound is not positive, or another guard of the tuner measures its updates.
        UnknownMetaParamError: A rate that the spec has not.
        EstimatorError: The tuner has only a bare step function.
    """
    if not bound > 0:
        raise SettingError(f"trust_region(bound={bound}): expected a bound above 0.")

    def measure(params: Params, updates: PyTree, batch: Batch) -> tuple[PyTree, Scalar]:
        def gone(factor: Scalar) -> Scalar:
            moved = optax.apply_updates(params, _tree.scale(part(factor), updates))
            return jnp.maximum(distance(params, moved, batch), 0.0)

        def shrink(carry: tuple[Scalar, Scalar, Array]) -> tuple[Scalar, Scalar, Array]:
            factor, far, tries = carry
            factor = factor * jnp.fmin(jnp.sqrt(bound / far), 0.9**tries)
            return factor, gone(factor), tries + 1

        one = jnp.ones(())
        whole = gone(one)
        start = (one, whole, jnp.asarray(0))
        limit = SLACK * bound
        factor, far, _ = jax.lax.while_loop(lambda c: ~(c[1] <= limit) & (c[2] < MOST_TRIES), shrink, start)
        return part(jnp.where(far <= limit, factor, 0.0)), whole

    def equip(learner: Learner | BareStep) -> Learner:
        if not isinstance(learner, Learner):
            raise EstimatorError(
                "trust_region scales updates and needs a Learner, got a bare step function: use selftune.learner."
            )
        return projected(learner, Projection(measure))

    def check(spec: Spec, attempt: Attempt) -> tuple[Position, Fired]:
        steps = attempt.info.steps
        assert isinstance(steps, StepInfo)
        check_rates("trust_region", rates, spec)
        factors = smallest(steps.scale).min()
        moving = tuned(spec)
        meta_params = dict(attempt.after.meta_params)
        for name in rates:
            if name in moving:
                meta_params[name] = _multiply(moving[name], meta_params[name], jnp.maximum(factors, 0.1))
        fired = {"trust_region": jnp.where(factors < 1.0, 1, 0)}
        return attempt.after._replace(meta_params=meta_params), fired

    return Guard("trust_region", check, equip)


def smallest(scale: PyTree) -> Float[Array, "..."]:
    """The smallest factor on any part of each update, of the shape that all leaves share."""
    return jnp.stack([jnp.asarray(leaf) for leaf in jax.tree.leaves(scale)]).min(axis=0)


def counting_all(fired: Fired, *scales: PyTree) -> Fired:
    """What fired, with every update counted that a trust region shortened, where one is among the guards.

    Args:
        fired: Counts of the tuner's last update, which sees some of an agent's updates only.
        scales: Factors of all of them, in as many parts as there are; leaves [K].
    """
    if "trust_region" not in fired:
        return fired
    shortened = jnp.concatenate([smallest(scale) < 1.0 for scale in scales])
    return {**fired, "trust_region": shortened.sum(dtype=jnp.int32)}


def check_rates(guard: str, rates: Sequence[str], spec: Spec) -> None:
    """Refuse rates that the spec has not: a guard that moves them would hold nothing.

    Raises:
        UnknownMetaParamError: The spec has no such name.
    """
    for name in rates:
        if name not in spec:
            raise UnknownMetaParamError(
                f"{guard}(rates={tuple(rates)}): the spec has no {name!r}; {did_you_mean(name, spec)} Name the rates "
                "that are to be moved, or none: rates=()."
            )


def projected(learner: Learner, projection: Projection) -> Learner:
    """The learner with a projection.

    Raises:
        SettingError: It has one; a second would silently take the place of the first.
    """
    if learner.projection is not None:
        raise SettingError(
            "Two of a tuner's guards measure each update (trust_region, adaptive_rate); expected one of them. A trust "
            "region that is to hold several parts takes one distance and `part`."
        )
    return dataclasses.replace(learner, projection=projection)


def _multiply(entry: MetaParam, coordinates: PyTree, factor: Scalar) -> PyTree:
    """Coordinates of the value times a factor, kept inside the constraint."""

    def move(x: Float[Array, "..."]) -> Float[Array, "..."]:
        value = jnp.maximum(factor * entry.constraint.forward(x), entry.constraint.lower)
        return jnp.where(factor < 1.0, entry.constraint.inverse(value), x).astype(x.dtype)

    return entry.scope.move(move, coordinates)
