"""`audit`: does a meta-gradient reach each metaparameter, can it be trusted, and if it is zero, why?

A meta-gradient of zero trains without complaint. The audit follows each metaparameter through one update, link by link

    coordinate -> value -> gradient and rule -> parameters -> outer loss

and names the first link that is broken.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from selftune import _tree
from selftune.errors import EstimatorError, SettingError
from selftune.estimators import truncated
from selftune.estimators.problem import Problem, length
from selftune.learning import Learner
from selftune.metaparams import tuned
from selftune.tuning.outer_loop import Meta, Tuner
from selftune.types import Array, Batch, Float, MetaParams, PyTree


class Finding(NamedTuple):
    """What the audit found about one metaparameter; all figures over the batches it was given."""

    name: str
    value: float
    """Constrained; the mean where it is more than one number."""
    size: float
    """Mean norm of the one-step meta-gradient in unconstrained coordinates."""
    sign_stability: float
    """How often its sign agrees with the sign of its mean, from 0.5 (noise) to 1; of entries that any batch moves."""
    signal_to_noise: float
    """Norm of the mean over the norm of the standard deviation; infinite where batches agree exactly, as one does."""
    reached: bool
    """Whether any meta-gradient arrives."""
    reason: str
    """Where the path is broken; empty where a meta-gradient arrives."""


class Audit(NamedTuple):
    """Findings, one for each tuned metaparameter; prints as a table."""

    findings: tuple[Finding, ...]

    def __str__(self) -> str:
        head = f"{'metaparameter':24s} {'value':>10s} {'size':>10s} {'sign':>5s} {'signal/noise':>12s}"
        lines = [
            f"{f.name:24s} {f.value:10.4g} {f.size:10.3g} {f.sign_stability:5.2f} {f.signal_to_noise:12.2f}  {f.reason}"
            for f in self.findings
        ]
        return "\n".join(line.rstrip() for line in [head, *lines])


class _Links(NamedTuple):
    """Norms of the derivatives along the path of one metaparameter."""

    value: Float[Array, ""]
    gradient: Float[Array, ""]
    rule: Float[Array, ""]
    """The learner's next state, were the gradient to stay."""
    params: Float[Array, ""]
    state: Float[Array, ""]
    """Parameters, and what the learner carries beside them."""


def audit(tuner: Tuner, meta: Meta, state: PyTree, batches: Batch) -> Audit:
    """Follow every metaparameter through one update on each of a few batches.

    Args:
        tuner: What is audited: its loss, rule, spec and outer loss.
        meta: The tuner's state.
        state: The learner's state; best after some updates, when nothing in the rule is at rest any more.
        batches: At least three, along a leading axis: each is trained on, and the one after it judges.

    Raises:
        EstimatorError: The tuner has only a bare step function, or nothing is tuned.
        SettingError: Fewer than three batches.
    """
    learner, names = tuner.learner, list(tuned(tuner.spec))
    if not isinstance(learner, Learner) or not names:
        raise EstimatorError(
            "audit follows metaparameters through a Learner: got a bare step function, or nothing tuned."
        )
    if length(batches) < 3:
        raise SettingError(f"audit got {length(batches)} batches; expected at least 3 to say anything about noise.")
    problem = tuner.problem(state)
    grads, links = jax.jit(lambda meta_params: _follow(problem, learner, meta_params, state, batches))(meta.meta_params)
    eta = problem.eta(meta.meta_params, _tree.entry(batches, 0))
    return Audit(tuple(_finding(name, eta[name], grads[name], links[name]) for name in names))


def _follow(
    problem: Problem, learner: Learner, meta_params: MetaParams, state: PyTree, batches: Batch
) -> tuple[MetaParams, dict[str, _Links]]:
    """Meta-gradients of every pair of neighbouring batches, and the links of every metaparameter on every batch."""
    estimator, key = truncated(1), jax.random.key(0)

    def one(pair: tuple[Batch, Batch]) -> tuple[MetaParams, dict[str, _Links]]:
        batch, judge = pair
        window = jax.tree.map(lambda leaf: leaf[None], batch)
        meta_grad, *_ = estimator.estimate(problem, meta_params, state, (), window, judge, key)
        return meta_grad, {name: _links(problem, learner, meta_params, state, batch, name) for name in meta_params}

    before, after = (jax.tree.map(lambda leaf, s=s: leaf[s], batches) for s in (slice(-1), slice(1, None)))
    return jax.lax.map(one, (before, after))


def _links(
    problem: Problem, learner: Learner, meta_params: MetaParams, state: PyTree, batch: Batch, name: str
) -> _Links:
    some = jax.tree.map(lambda leaf: jax.random.normal(jax.random.key(1), leaf.shape, leaf.dtype), meta_params[name])
    direction = jax.tree.map(jnp.zeros_like, meta_params) | {name: some}
    gradient, (_, aux) = learner.gradient(problem.eta(meta_params, batch), state, batch)

    def value(meta_params: MetaParams) -> PyTree:
        return problem.eta(meta_params, batch)[name]

    def through_loss(meta_params: MetaParams) -> PyTree:
        return learner.gradient(problem.eta(meta_params, batch), state, batch)[0]

    def through_rule(meta_params: MetaParams) -> PyTree:
        after, _ = learner.apply(problem.eta(meta_params, batch), state, gradient, batch, aux)
        return eqx.filter(after, eqx.is_inexact_array)

    def to_params(meta_params: MetaParams) -> PyTree:
        return problem.step(meta_params, state, batch)[0].params

    def to_state(meta_params: MetaParams) -> PyTree:
        return eqx.filter(problem.step(meta_params, state, batch)[0], eqx.is_inexact_array)

    def norm(function) -> Float[Array, ""]:
        return jnp.sqrt(_tree.squared_norm(jax.jvp(function, (meta_params,), (direction,))[1]))

    return _Links(*map(norm, (value, through_loss, through_rule, to_params, to_state)))


def _finding(name: str, value: PyTree, grads: PyTree, links: _Links) -> Finding:
    flat = np.concatenate(
        [np.reshape(leaf, (len(leaf), -1)) for leaf in jax.tree.leaves(jax.device_get(grads))], axis=1
    )
    mean, spread = flat.mean(axis=0), flat.std(axis=0)
    values = np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(jax.device_get(value))])
    if not np.isfinite(flat).all():
        return Finding(name, float(values.mean()), np.nan, 0.0, 0.0, False, NOT_FINITE)
    moved = (np.abs(flat) > 0).any(axis=0)
    reached = bool(moved.any())
    return Finding(
        name,
        float(values.mean()),
        float(np.linalg.norm(flat, axis=1).mean()),
        float((np.sign(flat) == np.sign(mean))[:, moved].mean()) if reached else 0.0,
        _ratio(np.linalg.norm(mean), np.linalg.norm(spread)) if reached else 0.0,
        reached,
        "" if reached else _reason(jax.tree.map(np.max, jax.device_get(links))),
    )


def _ratio(signal: np.floating, noise: np.floating) -> float:
    """Infinite where there is no noise: of one batch, or of equal ones."""
    return float(signal / noise) if noise > 0 else np.inf


NOT_FINITE = (
    "not finite: a derivative overflows or does not exist on these batches (a root or a logarithm of 0, a division); "
    "look at the loss and the update rule there"
)


def _reason(links: _Links) -> str:
    if links.value == 0:
        return "zero: its constraint is flat at this value; start it further inside"
    if links.gradient == 0 and links.rule == 0:
        return "zero: neither the loss nor the update rule depends on it here"
    if links.state == 0:
        return "zero: it changes the gradient, but the update rule discards the change (a sign, a normalisation)"
    if links.params == 0:
        return "zero: it moves what the learner carries (a momentum, a memory), not the parameters; it may matter later"
    return "zero: it moves only what the outer loss does not look at; it may matter over more than one update"
