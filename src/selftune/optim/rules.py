"""Update rules that a meta-gradient can pass through: any constant may be a traced array.

Each rule has optax's values and, where optax's derivative is not finite, a finite one. `optax.adam` has a
slope of infinity wherever the gradient is exactly 0 (a dead unit, a masked entry), and one such entry turns
the meta-gradient of every metaparameter into NaN; so does `optax.clip_by_global_norm` at a zero gradient.
Build a rule inside the trace, from the metaparameters of the moment:

    def rule(eta):
        return chain(clip_by_global_norm(eta["max_grad_norm"]), adam(eta["learning_rate"]))

`learning_rate` and `weight_decay` are scalars or tree prefixes of the parameters: `{"policy": 1e-3, "critic":
1e-2}`, or one scalar or array for each leaf. Where optax is already safe, its pieces are used as they are.
"""

import jax
import jax.numpy as jnp
import optax
from jaxtyping import PyTree, ScalarLike

from selftune.errors import SettingError
from selftune.optim._numerics import global_norm, keep_dtypes, safe_sqrt

chain = optax.chain


def sgd(learning_rate: PyTree) -> optax.GradientTransformation:
    """Gradient descent, `θ ← θ − α g`.

    Args:
        learning_rate: α, scalar or tree prefix of the parameters.
    """
    return scale_by_learning_rate(learning_rate)


def momentum(learning_rate: PyTree, decay: ScalarLike = 0.9) -> optax.GradientTransformation:
    """Gradient descent along a trace of gradients, `m ← g + μ m`, `θ ← θ − α m` (Polyak 1964, heavy ball).

    Args:
        learning_rate: α, scalar or tree prefix of the parameters.
        decay: μ in [0, 1).
    """
    return keep_dtypes(*chain(optax.trace(decay), scale_by_learning_rate(learning_rate)))


def rmsprop(learning_rate: PyTree, decay: ScalarLike = 0.9, eps: ScalarLike = 1e-8) -> optax.GradientTransformation:
    """Gradient descent scaled by a moving root mean square, `θ ← θ − α g / √(v + ε)` (Tieleman, Hinton 2012).

    Args:
        learning_rate: α, scalar or tree prefix of the parameters.
        decay: of the moving average v of g², in [0, 1).
        eps: ε > 0, inside the root; it is what bounds the derivative, by ½ ε^(-3/2).
    """
    return keep_dtypes(*chain(optax.scale_by_rms(decay, eps), scale_by_learning_rate(learning_rate)))


def adam(
    learning_rate: PyTree, b1: ScalarLike = 0.9, b2: ScalarLike = 0.999, eps: ScalarLike = 1e-8
) -> optax.GradientTransformation:
    """Adam, `θ ← θ − α m̂ / (√v̂ + ε)` (Kingma and Ba 2015).

    Equals `optax.adam` with `eps_root=0`. The derivative of an entry whose gradients were all 0 is 1/ε with
    respect to the gradient, which is the true slope of g/(|g| + ε) there, and 0 with respect to b1, b2 and ε.

    Args:
        learning_rate: α, scalar or tree prefix of the parameters.
        b1: decay of the first moment m, in [0, 1).
        b2: decay of the second moment v, in [0, 1).
        eps: ε, outside the root; above 1e-18 in float32, where ε⁻² would overflow in the derivative.
    """
    return keep_dtypes(*chain(_scale_by_adam(b1, b2, eps), scale_by_learning_rate(learning_rate)))


def adamw(
    learning_rate: PyTree,
    b1: ScalarLike = 0.9,
    b2: ScalarLike = 0.999,
    eps: ScalarLike = 1e-8,
    weight_decay: PyTree = 1e-4,
) -> optax.GradientTransformation:
    """Adam with decoupled weight decay, `θ ← θ − α (m̂ / (√v̂ + ε) + λ θ)` (Loshchilov and Hutter 2019).

    Args:
        learning_rate: α, scalar or tree prefix of the parameters.
        b1: decay of the first moment, in [0, 1).
        b2: decay of the second moment, in [0, 1).
        eps: ε, as in `adam`.
        weight_decay: λ ≥ 0, scalar or tree prefix of the parameters.
    """
    return keep_dtypes(
        *chain(
            _scale_by_adam(b1, b2, eps),
            add_decayed_weights(weight_decay),
            scale_by_learning_rate(learning_rate),
        )
    )


def lion(
    learning_rate: PyTree, b1: ScalarLike = 0.9, b2: ScalarLike = 0.99, weight_decay: PyTree = 1e-3
) -> optax.GradientTransformation:
    """Sign of an interpolated momentum, `θ ← θ − α (sign(b1 m + (1 − b1) g) + λ θ)` (Chen et al. 2023).

    A sign is constant in pieces: the derivative with respect to b1, b2 and the gradient is exactly 0, so a
    meta-gradient moves `learning_rate` and `weight_decay` only.

    Args:
        learning_rate: α, scalar or tree prefix of the parameters.
        b1: share of the momentum in the sign, in [0, 1).
        b2: decay of the momentum, in [0, 1).
        weight_decay: λ ≥ 0, scalar or tree prefix of the parameters.
    """
    return keep_dtypes(
        *chain(
            optax.scale_by_lion(b1, b2),
            add_decayed_weights(weight_decay),
            scale_by_learning_rate(learning_rate),
        )
    )


def clip_by_global_norm(max_norm: ScalarLike) -> optax.GradientTransformation:
    """Shrinks the whole gradient to norm `max_norm` when it is longer (Pascanu et al. 2013).

    The derivative with respect to `max_norm` is g/‖g‖ while the clip is active and exactly 0 while it is not.

    Args:
        max_norm: > 0.
    """

    def update(updates, state, params=None, **extra_args):
        norm = global_norm(updates)
        active = norm > max_norm
        scale = jnp.where(active, max_norm / jnp.where(active, norm, 1.0), 1.0)
        return jax.tree.map(lambda u: scale * u, updates), state

    return keep_dtypes(optax.init_empty_state, update)


def scale_by_learning_rate(learning_rate: PyTree) -> optax.GradientTransformation:
    """Multiplies by −α: the last link of a chain.

    Args:
        learning_rate: α, scalar or tree prefix of the parameters.

    Raises:
        SettingError: when it is no prefix of the updates, or a leaf has neither their shape nor is a scalar.
    """

    def update(updates, state, params=None, **extra_args):
        rates = _for_each_leaf(learning_rate, updates)
        return jax.tree.map(lambda u, rate: -rate * u, updates, rates), state

    return keep_dtypes(optax.init_empty_state, update)


def add_decayed_weights(weight_decay: PyTree) -> optax.GradientTransformation:
    """Adds λ θ to the updates; `update` needs `params`.

    Args:
        weight_decay: λ, scalar or tree prefix of the parameters.

    Raises:
        SettingError: as in `scale_by_learning_rate`; also when `update` is called without `params`.
    """

    def update(updates, state, params=None, **extra_args):
        if params is None:
            raise SettingError("weight decay got no parameters: call update(updates, state, params).")
        decays = _for_each_leaf(weight_decay, updates)
        return jax.tree.map(lambda u, decay, p: u + decay * p, updates, decays, params), state

    return keep_dtypes(optax.init_empty_state, update)


def _scale_by_adam(b1: ScalarLike, b2: ScalarLike, eps: ScalarLike) -> optax.GradientTransformation:
    def update(updates, state, params=None, **extra_args):
        count = optax.safe_increment(state.count)
        mu = optax.tree.update_moment(updates, state.mu, b1, 1)
        nu = optax.tree.update_moment(updates, state.nu, b2, 2)
        mean = optax.tree.bias_correction(mu, b1, count)
        mean_square = optax.tree.bias_correction(nu, b2, count)
        scaled = jax.tree.map(lambda m, v: m / (safe_sqrt(v) + eps), mean, mean_square)
        return scaled, optax.ScaleByAdamState(count, mu, nu)

    return optax.GradientTransformation(optax.scale_by_adam().init, update)


def _for_each_leaf(coefficient: PyTree, tree: PyTree) -> PyTree:
    """One coefficient for each leaf of `tree`, from a scalar or a tree prefix."""
    try:
        return jax.tree.broadcast(coefficient, tree)
    except ValueError as error:
        raise SettingError(
            f"a learning rate or weight decay is built as {jax.tree.structure(coefficient)}, the parameters "
            f"as {jax.tree.structure(tree)}. Give a scalar or a prefix of the parameters' tree."
        ) from error
