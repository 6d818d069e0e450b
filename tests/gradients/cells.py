"""Cells of the gradient matrix: an inner problem, its meta-gradient by an estimator, and by central differences."""

import itertools
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from selftune.estimators import Estimator, Problem, forward, truncated
from selftune.learning import learner
from selftune.metaparams import values
from selftune.tuning import tuner

from .objectives import OBJECTIVES, UPDATES
from .rules import RULES

QUICKLY = {"xla_backend_optimization_level": 0}
"""Programs that run once are mostly compile time."""


class Inner(NamedTuple):
    """One objective under one rule, away from all symmetric starting points."""

    problem: Problem
    meta_params: Any
    state: Any
    batches: Any
    """Leading axis `UPDATES`."""
    validation: Any


@cache
def inner(objective: str, rule: str) -> Inner:
    """The inner problem of a pair."""
    row, column = OBJECTIVES[objective](), RULES[rule]()
    spec = {**row.spec, **column.spec}
    inner_learner = learner(row.loss, column.make, freeze=row.freeze, memory=row.memory)
    state = inner_learner.init(row.params, values(spec))
    tuning = tuner(spec, inner_learner, row.meta_loss, context=row.context, through=row.through)
    flat, unravel = ravel_pytree(tuning.init(state).meta_params)
    meta_params = unravel(flat + 0.1 * jax.random.normal(jax.random.key(4), flat.shape))
    batches = jax.tree.map(lambda leaf: leaf[:-1], row.batches)
    validation = jax.tree.map(lambda leaf: leaf[-1], row.batches)
    return Inner(tuning.problem(state), meta_params, state, batches, validation)


def _estimate(estimator: Estimator, this: Inner, meta_params):
    batches = jax.tree.map(lambda leaf: leaf[: estimator.window], this.batches)
    carried = estimator.init(this.problem, meta_params, this.state, None)
    arguments = (this.state, carried, batches, this.validation, jax.random.key(0))
    return estimator.estimate(this.problem, meta_params, *arguments)[0]


def _shared(this: Inner, meta_params):
    """`validation=None`: the validation batch comes as the next training batch, in a second call."""
    estimator, key = truncated(1), jax.random.key(0)
    first = jax.tree.map(lambda leaf: leaf[:1], this.batches)
    then = jax.tree.map(lambda leaf: leaf[None], this.validation)
    carried = estimator.init(this.problem, meta_params, this.state, first)
    _, state, carried, _ = estimator.estimate(this.problem, meta_params, this.state, carried, first, None, key)
    return estimator.estimate(this.problem, meta_params, state, carried, then, None, key)[0]


class Exact(NamedTuple):
    """An estimator that must agree with central differences."""

    steps: int
    meta_gradient: Callable[[Inner, Any], Any]


def _exact(estimator: Estimator) -> Exact:
    return Exact(estimator.window, partial(_estimate, estimator))


ESTIMATORS = {
    "shared": Exact(1, _shared),
    "reverse_1": _exact(truncated(1)),
    "reverse_2": _exact(truncated(2)),
    "reverse_3": _exact(truncated(3)),
    "remat": _exact(truncated(3, remat=True)),
    "mixed": _exact(truncated(3, "mixed")),
    "mixed_remat": _exact(truncated(2, "mixed", remat=True)),
    "forward": _exact(forward(unroll=2)),
}


def meta_gradient(objective: str, rule: str, estimator: str) -> dict[str, Any]:
    """What an estimator says, flat, by the name of the metaparameter; one compiled program."""
    this = inner(objective, rule)
    function = partial(ESTIMATORS[estimator].meta_gradient, this)
    compiled = jax.jit(function, compiler_options=QUICKLY)
    return {name: ravel_pytree(leaf)[0] for name, leaf in compiled(this.meta_params).items()}


@cache
def central_differences(objective: str, rule: str, step: float = 2e-3) -> list[dict[str, Any]]:
    """The same from judged outcomes alone, after 1, 2, ... updates.

    All perturbations go through one compiled step together. What the judge holds still stays where the unperturbed run
    led. Two differences are extrapolated to an error of order `step ** 4`: (8 [f(h) - f(-h)] - [f(2h) - f(-2h)]) / 12h.
    """
    problem, meta_params, state, batches, validation = inner(objective, rule)
    flat, unravel = ravel_pytree(meta_params)
    offsets = jnp.multiply.outer(step * jnp.array([-2.0, -1.0, 0.0, 1.0, 2.0]), jnp.eye(flat.size))

    def advance(offset, state, batch):
        return problem.step(unravel(flat + offset), state, batch)[0]

    def judge(offset, state, unperturbed):
        moved, still = (
            {"eta": problem.eta(unravel(coordinates), validation), "frozen": problem.learner.split(at)[1]}
            for coordinates, at in ((flat + offset, state), (flat, unperturbed))
        )
        frozen, eta = ((moved if seen in problem.through else still)[seen] for seen in ("frozen", "eta"))
        return problem.meta_loss(state.params, frozen, eta, validation)[0]

    def over_all(function):
        return jax.jit(jax.vmap(jax.vmap(function, (0, 0, None)), (0, 0, None)), compiler_options=QUICKLY)

    advance, judge = over_all(advance), over_all(judge)
    states = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (*offsets.shape[:2], *leaf.shape)), state)
    gradients = []
    for k in range(UPDATES):
        states = advance(offsets, states, jax.tree.map(lambda leaf, k=k: leaf[k], batches))
        outcomes = judge(offsets, states, jax.tree.map(lambda leaf: leaf[2, 0], states))
        slope = jnp.array([1.0, -8.0, 0.0, 8.0, -1.0]) @ outcomes / (12.0 * step)
        gradients.append({name: ravel_pytree(leaf)[0] for name, leaf in unravel(slope).items()})
    return gradients


def pairwise(*axes: Sequence[str]) -> list[tuple[str, ...]]:
    """Few cells that hold every pair of entries of any two axes, by greedy choice; the same ones every time."""
    cells = list(itertools.product(*axes))

    def pairs(cell: tuple[str, ...]) -> set:
        return set(itertools.combinations(enumerate(cell), 2))

    missing, chosen = set().union(*map(pairs, cells)), []
    while missing:
        chosen.append(max(cells, key=lambda cell: len(pairs(cell) & missing)))
        missing -= pairs(chosen[-1])
    return sorted(chosen, key=cells.index)
