"""`numeric`: an update happens whole or not at all."""

import jax
import jax.numpy as jnp

from selftune import _tree
from selftune.guards.attempt import Attempt, Fired, Guard, Position
from selftune.learning import StepInfo
from selftune.metaparams import Spec, tuned
from selftune.types import Array, Float, PyTree

LEARNING = ("loss", "gradient", "step", "meta_loss")
"""What is finite where the data are, and the learner."""


def numeric() -> Guard:
    """Keep everything as it was when any value of an update is not finite.

    Looked at: the inner loss and gradient, the outer loss, the new states of the learner and of the meta-optimizer,
    every meta-gradient and every new metaparameter. If one holds a NaN or an infinity, parameters, metaparameters and
    both optimizers' states stay as they were, and the culprits are named: `numeric/loss`, `numeric/gradient`,
    `numeric/meta_loss`, `numeric/state`, `numeric/meta_state` (the square of a finite meta-gradient can overflow),
    `numeric/meta_grad/<name>`, `numeric/eta/<name>` (also where a value has rounded to an end of its constraint, as
    exp(-200) to 0, whose slope is 0 for good). Where the losses and the learner are finite and the meta-gradient
    is not, what the estimator carries from update to update is forgotten: it may be the culprit, and then every update
    to come would be undone.
    """

    def check(spec: Spec, attempt: Attempt) -> tuple[Position, Fired]:
        steps, after = attempt.info.steps, attempt.after
        looked_at = (
            {"loss": steps.loss, "gradient": steps.gradient_norm} if isinstance(steps, StepInfo) else {"step": steps}
        )
        looked_at |= {"meta_loss": attempt.info.meta_loss, "state": (after.state, after.estimator_state)}
        looked_at |= {"meta_state": after.opt_state}
        looked_at |= {f"meta_grad/{name}": leaf for name, leaf in attempt.meta_grad.items()}
        looked_at |= {f"eta/{name}": _values(spec, name, leaf) for name, leaf in after.meta_params.items()}
        healthy = {name: _tree.finite(tree) for name, tree in looked_at.items()}
        whole = jnp.stack(list(healthy.values())).all()
        fired = {f"numeric/{name}": jnp.where(ok, 0, 1) for name, ok in healthy.items()}
        before = attempt.before
        learned = jnp.stack([ok for name, ok in healthy.items() if name in LEARNING]).all() & _tree.finite(after.state)
        carried_breaks = learned & ~_tree.finite((attempt.meta_grad, after.estimator_state))
        carried = _tree.where(carried_breaks, attempt.forgotten, before.estimator_state)
        return _tree.where(whole, after, before._replace(estimator_state=carried)), fired

    return Guard("numeric", check)


def _values(spec: Spec, name: str, coordinates: PyTree) -> PyTree:
    """Coordinates, and the values they stand for: no number where a value is so flat that no gradient leads back."""
    entry = tuned(spec)[name]

    def value(x: Float[Array, "..."]) -> Float[Array, "..."]:
        value, slope = jax.jvp(entry.constraint.forward, (x,), (jnp.ones_like(x),))
        return value if entry.constraint.name == "simplex" else jnp.where(slope == 0.0, jnp.nan, value)

    return coordinates, entry.scope.move(value, coordinates)
