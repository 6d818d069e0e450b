"""`hoof`: take the update under many candidate settings from the same state, and keep the best.

Hyperparameter optimization on the fly (Paul, Kurin and Whiteson 2019, https://arxiv.org/abs/1902.06583), without any
gradient of metaparameters: candidates are ranked on the data that the update was made from.
"""

import math
from collections.abc import Callable, Mapping
from typing import TypeAlias

import jax
import jax.numpy as jnp

from selftune import _tree
from selftune.errors import EstimatorError
from selftune.estimators.problem import Estimate, EstimateInfo, Estimator, Problem, stateless, unpack, whole
from selftune.learning import Learner, StepInfo
from selftune.metaparams import check_names
from selftune.types import Array, Batch, Float, MetaParams, PRNGKey, PyTree, Scalar

Value: TypeAlias = Callable[[PyTree, PyTree, Batch], Scalar]
"""`value(before, after, batch)`: what the state after an update is worth, estimated on the batch of the update."""

_NO_DISTANCE = (
    "hoof chooses among updates that went no further than its bound, and this learner's infos tell no distance: give "
    "the tuner guards=[selftune.guards.measured(distance), ...]."
)


def hoof(
    value: Value,
    ranges: Mapping[str, tuple[Scalar, Scalar]],
    bound: float,
    candidates: int = 8,
    spread: float = 0.3,
) -> Estimator:
    """Search instead of differentiation: the settings of the best of some updates.

    The "gradient" is the way from the chosen coordinates to the present ones, so that `optax.sgd(1.0)` goes there.
    Candidates are the present settings, normal perturbations of them (half of the others), and uniform draws within
    `ranges` (the rest), all in unconstrained coordinates. Chosen is the one of the highest value among those whose
    update went no further than `bound` (`StepInfo.distance`); if all went further, the one that went least.

    As short-sighted as one update, and blind to whatever does not change the value of that very update (a critic's
    learning rate, say). Time and memory: `candidates` plain updates. A bare step function suffices if its infos are
    `StepInfo`s whose distance was measured.

    Args:
        value: How candidates are ranked, higher first.
        ranges: `{name: (lowest, highest)}` in unconstrained coordinates, of tuned metaparameters that are one number.
        bound: The largest distance of an update that may be chosen, above 0.
        candidates: How many, at least 2.
        spread: Standard deviation of the perturbations.

    Raises:
        EstimatorError: A setting out of range, or a learner whose infos tell no distance: give the tuner
            `guards.measured(distance)`, or a range for what is more than one number.
        UnknownMetaParamError: A range for a metaparameter that is not tuned.
    """
    if not whole(candidates, least=2) or not bound > 0 or not 0 <= spread < math.inf:
        raise EstimatorError(
            f"hoof(bound={bound}, candidates={candidates}, spread={spread}): expected a bound above 0, a whole "
            "number of candidates, at least 2, and a finite spread from 0 on."
        )

    def propose(meta_params: MetaParams, key: PRNGKey) -> MetaParams:
        """Candidate coordinates; leaves have a leading axis [N]."""
        return {
            name: _proposals(coordinates, ranges.get(name), candidates, spread, jax.random.fold_in(key, index))
            for index, (name, coordinates) in enumerate(sorted(meta_params.items()))
        }

    def estimate(
        problem: Problem,
        meta_params: MetaParams,
        state: PyTree,
        estimator_state: PyTree,
        batches: Batch,
        validation: Batch | None,
        key: PRNGKey,
    ) -> Estimate:
        if isinstance(problem.learner, Learner) and problem.learner.projection is None:
            raise EstimatorError(_NO_DISTANCE)
        check_names(ranges, meta_params)
        for name in ranges:
            if shapes := [jnp.shape(leaf) for leaf in jax.tree.leaves(meta_params[name]) if jnp.ndim(leaf)]:
                raise EstimatorError(
                    f"hoof: {name!r} has a range, and numbers of the shape {shapes[0]}; expected one number. Leave its "
                    "range out: its neighbours are tried then."
                )
        batch, _ = unpack(_tree.entry(batches, 0))  # of an update that was taken, too, each candidate is measured
        proposals = propose(meta_params, key)

        def attempt(proposal: MetaParams) -> tuple[PyTree, StepInfo, Scalar]:
            after, info = problem.step(proposal, state, batch)
            if not isinstance(info, StepInfo):
                raise EstimatorError(_NO_DISTANCE)
            return after, info, value(state, after, batch)

        states, infos, values = jax.vmap(attempt)(proposals)
        best = select(values, infos.distance, bound)
        chosen, state, info = jax.tree.map(lambda leaf: leaf[best], (proposals, states, infos))
        step = jax.tree.map(lambda now, then: now - then, meta_params, chosen)
        infos = jax.tree.map(lambda leaf: leaf[None], info)
        return step, state, estimator_state, EstimateInfo(-values[best], {}, infos, jnp.asarray(True))

    return Estimator(f"hoof({candidates})", stateless, estimate, 1)


def select(values: Float[Array, " N"], distances: Float[Array, " N"], bound: float) -> Array:
    """The index of the highest value within the bound; of the smallest distance where all exceed it.

    What is not finite is never chosen while something else is.
    """
    distances = jnp.where(jnp.isfinite(distances), distances, jnp.inf)
    within = (distances <= bound) & jnp.isfinite(values)
    best = jnp.argmax(jnp.where(within, values, -jnp.inf))
    return jnp.where(within.any(), best, jnp.argmin(distances))


def _proposals(
    coordinates: PyTree, limits: tuple[Scalar, Scalar] | None, count: int, spread: float, key: PRNGKey
) -> PyTree:
    """One metaparameter's candidates: itself, its neighbours, and, where it has limits, draws between them."""
    leaves, structure = jax.tree.flatten(coordinates)

    def propose(leaf: Array, key: PRNGKey) -> Array:
        near_key, far_key = jax.random.split(key)
        near = leaf + spread * jax.random.normal(near_key, (count, *leaf.shape), leaf.dtype)
        near = near.at[0].set(leaf)
        if limits is None:
            return near
        far = jax.random.uniform(far_key, (count,), leaf.dtype, limits[0], limits[1])
        near = jnp.clip(near, limits[0], limits[1]).at[0].set(leaf)
        return jnp.where(jnp.arange(count) < 1 + count // 2, near, far)

    keys = jax.random.split(key, len(leaves))
    return structure.unflatten([propose(leaf, k) for leaf, k in zip(leaves, keys, strict=True)])
