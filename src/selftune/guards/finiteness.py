"""`numeric`: an update happens whole or not at all."""

import jax
import jax.numpy as jnp

from selftune import _tree
from selftune.guards.attempt import Attempt, Fired, Guard, Position
from selftune.learning import StepInfo
from selftune.metaparams import MetaParam, Spec, tuned
from selftune.types import Array, Bool, Float, PyTree

LEARNING = ("loss", "gradient", "step", "meta_loss")
"""What is finite where the data are, and the learner."""


def numeric() -> Guard:
    """Keep everything as it was when any value of an update is not finite.

    Looked at: the inner loss and gradient, the outer loss, the new states of the learner and of the meta-optimizer,
    every meta-gradient and every new metaparameter. If one holds a NaN or an infinity, parameters, metaparameters and
    both optimizers' states stay as they were, and the culprits are named: `numeric/loss`, `numeric/gradient`,
    `numeric/meta_loss`, `numeric/state`, `numeric/meta_state` (the square of a finite meta-gradient can overflow),
    `numeric/meta_grad/<name>`, `numeric/eta/<name>`. Where the losses and the learner are finite and the meta-gradient
    is not, what the estimator carries from update to update is forgotten: it may be the culprit, and then every update
    to come would be undone.

    A metaparameter alone stays where it was, named likewise, when its value would overflow or become so flat that no
    gradient leads back: exp(-200) is 0, and so is its slope. Functions of the context and what `between` holds are not
    asked.
    """

    def check(spec: Spec, attempt: Attempt) -> tuple[Position, Fired]:
        steps, after = attempt.info.steps, attempt.after
        looked_at = (
            {"loss": steps.loss, "gradient": steps.gradient_norm} if isinstance(steps, StepInfo) else {"step": steps}
        )
        looked_at |= {"meta_loss": attempt.info.meta_loss, "state": (after.state, after.estimator_state)}
        looked_at |= {"meta_state": after.opt_state}
        looked_at |= {f"meta_grad/{name}": leaf for name, leaf in attempt.meta_grad.items()}
        looked_at |= {f"eta/{name}": leaf for name, leaf in after.meta_params.items()}
        healthy = {name: _tree.finite(tree) for name, tree in looked_at.items()}
        whole = jnp.stack(list(healthy.values())).all()
        before, meta_params = attempt.before, {}
        for name, moved in after.meta_params.items():
            meta_params[name], stayed = _with_a_way_back(tuned(spec)[name], before.meta_params[name], moved)
            healthy[f"eta/{name}"] &= ~stayed
        fired = {f"numeric/{name}": jnp.where(ok, 0, 1) for name, ok in healthy.items()}
        learned = jnp.stack([ok for name, ok in healthy.items() if name in LEARNING]).all() & _tree.finite(after.state)
        carried_breaks = learned & ~_tree.finite((attempt.meta_grad, after.estimator_state))
        carried = _tree.where(carried_breaks, attempt.forgotten, before.estimator_state)
        after = after._replace(meta_params=meta_params)
        return _tree.where(whole, after, before._replace(estimator_state=carried)), fired

    return Guard("numeric", check)


def _with_a_way_back(entry: MetaParam, before: PyTree, after: PyTree) -> tuple[PyTree, Bool[Array, ""]]:
    """The coordinates where they moved to, or where they were if no way leads back; and whether any stayed."""
    if entry.scope.reads_context or entry.scope.held:
        return after, jnp.asarray(False)

    def stuck(old: Float[Array, "..."], new: Float[Array, "..."]) -> Bool[Array, "..."]:
        (_, slope), (value, flat) = (jax.jvp(entry.constraint.forward, (x,), (new - old,)) for x in (old, new))
        return ~jnp.isfinite(value) | ((slope != 0.0) & (flat == 0.0))

    flags = jax.tree.map(stuck, before, after)
    stayed = jax.tree.map(lambda flag, old, new: jnp.where(flag, old, new), flags, before, after)
    return stayed, jnp.stack([flag.any() for flag in jax.tree.leaves(flags)]).any()
