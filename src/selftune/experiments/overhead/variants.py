"""The estimators that are compared, each with its floor."""

from collections.abc import Callable
from typing import NamedTuple

import jax

from selftune.estimators import Estimator, bootstrapped, evolution, forward, implicit, truncated
from selftune.experiments.overhead.floors import Floors
from selftune.experiments.overhead.workload import IN_LOSS, Workload, loss, other_loss
from selftune.metaparams import Spec, tuned, values
from selftune.tuning import tuner
from selftune.types import Loss

PAIRS = 4
"""Antithetic pairs of the evolution strategy."""


class Variant(NamedTuple):
    """A way to tune, at one size."""

    name: str
    estimator: Estimator
    floor: float
    """Least operations for each inner update, in units of a plain one."""
    meta_loss: Loss = other_loss
    waits: bool = False
    """Whether the next training batch is the judge, instead of a validation batch."""


def variants(spec: Spec, width: int, unroll: int) -> list[Variant]:
    """Every estimator with a window of `unroll` updates of a network of that width."""
    count = len(tuned(spec))
    in_loss = any(name in tuned(spec) for name in IN_LOSS)
    floors = Floors.of(width)
    tangent = floors.tangent
    if unroll == 1:
        windows = [
            Variant("truncated", truncated(1), floors.one_step(in_loss)),
            Variant("truncated, next judges", truncated(1), floors.next_batch(in_loss, False), waits=True),
            Variant("truncated, same loss", truncated(1), floors.next_batch(in_loss, True), loss, waits=True),
        ]
    else:
        modes = [
            ("reverse", "reverse", False, ()),
            ("reverse remat", "reverse", True, (floors.plain,)),
            ("mixed", "mixed", False, (tangent,)),
            ("mixed remat", "mixed", True, (floors.plain,)),
        ]
        windows = [
            Variant(f"truncated, {name}", truncated(unroll, mode, remat), floors.window(unroll, *again))
            for name, mode, remat, again in modes
        ]
    return [
        *windows,
        Variant("forward", forward(unroll=unroll), floors.forward_mode(unroll, count, floors.hessian_vector)),
        Variant(
            "forward, no Hessian",
            forward(hessian=False, unroll=unroll),
            floors.forward_mode(unroll, count, in_loss * tangent),
        ),
        Variant(
            "bootstrapped",
            bootstrapped(unroll, unroll + 1),
            floors.bootstrapped(unroll, in_loss),
        ),
        Variant(f"evolution, {PAIRS} pairs", evolution("es", unroll, PAIRS), floors.evolution(unroll, PAIRS, in_loss)),
        Variant(
            "implicit, Neumann",
            implicit("neumann", unroll=unroll, iterations=unroll),
            floors.neumann(unroll, in_loss),
        ),
    ]


def tuned_update(work: Workload, variant: Variant) -> tuple[Callable, tuple]:
    """The whole update of a tuner: function and arguments. Guards, meta-optimizer and all."""
    tuning = tuner(work.spec, work.learner, variant.meta_loss, variant.estimator)
    batches = jax.tree.map(lambda leaf: leaf[: variant.estimator.window], work.batches)
    validation = None if variant.waits else work.validation
    meta = tuning.init(work.state, batches)
    return tuning.update, (meta, work.state, batches, validation, jax.random.key(0))


def plain_updates(work: Workload, unroll: int) -> tuple[Callable, tuple]:
    """`unroll` updates of the learner alone, in one program."""
    eta = values(work.spec)
    batches = jax.tree.map(lambda leaf: leaf[:unroll], work.batches)

    def updates(eta, state, batches):
        return jax.lax.scan(lambda state, batch: work.learner.step(eta, state, batch), state, batches)

    return updates, (eta, work.state, batches)
