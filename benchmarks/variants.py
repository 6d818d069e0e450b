"""The estimators that are compared, each with its theoretical floor."""

from collections.abc import Callable
from typing import NamedTuple

import jax
from costs import Floors
from workload import IN_LOSS, Workload, loss, other_loss

import selftune as st
from selftune.estimators import Estimator, implicit
from selftune.metaparams import tuned
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


def variants(work: Workload, unroll: int) -> list[Variant]:
    """Every estimator with a window of `unroll` updates."""
    count = len(tuned(work.spec))
    in_loss = any(name in tuned(work.spec) for name in IN_LOSS)
    floors = Floors.of(work.width)
    tangent = floors.tangent
    if unroll == 1:
        windows = [
            Variant("truncated", st.truncated(1), floors.one_step(in_loss)),
            Variant("truncated, next judges", st.truncated(1), floors.next_batch(in_loss, False), waits=True),
            Variant("truncated, same loss", st.truncated(1), floors.next_batch(in_loss, True), loss, waits=True),
        ]
    else:
        modes = [
            ("reverse", "reverse", False, ()),
            ("reverse remat", "reverse", True, (floors.plain,)),
            ("mixed", "mixed", False, (tangent,)),
            ("mixed remat", "mixed", True, (floors.plain,)),
        ]
        windows = [
            Variant(f"truncated, {name}", st.truncated(unroll, mode, remat), floors.window(unroll, *again))
            for name, mode, remat, again in modes
        ]
    return [
        *windows,
        Variant("forward", st.forward(unroll=unroll), floors.forward_mode(unroll, count, floors.hessian_vector)),
        Variant(
            "forward, no Hessian",
            st.forward(hessian=False, unroll=unroll),
            floors.forward_mode(unroll, count, in_loss * tangent),
        ),
        Variant(
            "bootstrapped",
            st.bootstrapped(unroll, unroll + 1),
            floors.bootstrapped(unroll, in_loss),
        ),
        Variant(
            f"evolution, {PAIRS} pairs", st.evolution("es", unroll, PAIRS), floors.evolution(unroll, PAIRS, in_loss)
        ),
        Variant(
            "implicit, Neumann",
            implicit("neumann", unroll=unroll, iterations=unroll),
            floors.neumann(unroll, in_loss),
        ),
    ]


def tuned_update(work: Workload, variant: Variant) -> tuple[Callable, tuple]:
    """The whole update of a tuner: function and arguments. Guards, meta-optimizer and all."""
    tuner = st.tuner(work.spec, work.learner, variant.meta_loss, variant.estimator)
    batches = jax.tree.map(lambda leaf: leaf[: variant.estimator.window], work.batches)
    validation = None if variant.waits else work.validation
    meta = tuner.init(work.state, batches)
    return tuner.update, (meta, work.state, batches, validation, jax.random.key(0))


def plain_updates(work: Workload, unroll: int) -> tuple[Callable, tuple]:
    """`unroll` updates of the learner alone, in one program."""
    eta = st.values(work.spec)
    batches = jax.tree.map(lambda leaf: leaf[:unroll], work.batches)

    def updates(eta, state, batches):
        return jax.lax.scan(lambda state, batch: work.learner.step(eta, state, batch), state, batches)

    return updates, (eta, work.state, batches)
