"""`annealed`: metaparameters that follow the clock, as an optimizer that needs no gradient."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from selftune.errors import SettingError
from selftune.metaparams import MetaParam, Spec, tuned
from selftune.types import Array, Int, MetaParams, PyTree


class AnnealedState(NamedTuple):
    """Where the coordinates began, and how many updates ago."""

    start: MetaParams
    elapsed: Int[Array, ""]


def annealed(spec: Spec, length: int, lowest: dict[str, float]) -> optax.GradientTransformation:
    """Everything that is tuned goes linearly from where it starts to 0, in constrained values, and then stays.

    After `n` updates a value is `start * (1 - n / length)`, held at `lowest`, or at the start where that is below it.

    Args:
        spec: Metaparameters by name.
        length: Updates until 0 is reached, at least 1.
        lowest: `{name: value}` above 0: coordinates of 0 are infinitely far away.

    Raises:
        SettingError: No updates, a metaparameter without a lowest value, or one that is a function of the context.
    """
    moving = tuned(spec)
    if length < 1 or set(moving) - set(lowest):
        raise SettingError(f"annealed(length={length}): expected at least 1, and a lowest value for {sorted(moving)}.")
    if functions := sorted(name for name, entry in moving.items() if entry.scope.reads_context):
        raise SettingError(
            f"annealed got {functions}, functions of the context; expected numbers, which a clock moves."
        )

    def init(meta_params: MetaParams) -> AnnealedState:
        return AnnealedState(meta_params, jnp.zeros((), jnp.int32))

    def update(
        updates: MetaParams, state: AnnealedState, meta_params: MetaParams | None = None
    ) -> tuple[MetaParams, AnnealedState]:
        assert meta_params is not None
        left = jnp.maximum(1.0 - (state.elapsed + 1) / length, 0.0)
        steps = {name: _step(moving[name], state.start[name], x, left, lowest[name]) for name, x in meta_params.items()}
        return steps, AnnealedState(state.start, state.elapsed + 1)

    return optax.GradientTransformation(init, update)  # pyright: ignore[reportArgumentType]


def _step(entry: MetaParam, start: PyTree, now: PyTree, left: Array, lowest: float) -> PyTree:
    """From the present coordinates to those of the fraction of the start that is left."""

    def step(start: Array, now: Array) -> Array:
        first = entry.constraint.forward(start)
        value = jnp.maximum(first * left, jnp.minimum(lowest, first))
        return (entry.constraint.inverse(value) - now).astype(now.dtype)

    return jax.tree.map(step, start, now)
