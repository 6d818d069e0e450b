"""A rule is asked once, before it is trusted: is its derivative finite where the gradient is exactly zero?

One entry of the gradient that is 0 (a dead unit, a masked head, an unvisited feature) is enough for a square
root at 0 to turn the meta-gradient of every metaparameter into NaN, silently and often only after hours.
"""

from collections.abc import Hashable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.core import Tracer
from jaxtyping import Array, PyTree, Shaped

from selftune.errors import RuleError, UnknownMetaParamError, did_you_mean
from selftune.types import Eta, Params, Rule

_CURE = (
    "One dead unit would make every meta-gradient NaN. The usual cause is a square root or a norm at zero: "
    "use adam, adamw or clip_by_global_norm of selftune.optim, or keep zero out of the root, as "
    "optax.adam(..., eps_root=1e-8) does."
)


def probe_rule(rule: Rule, params: Params, eta: Eta, extras: Mapping[str, Any] | None = None) -> None:
    """Differentiates one update at an exactly zero gradient, with respect to that gradient and to `eta`.

    Only shapes and dtypes of `params` and `extras` matter, so all arguments may be tracers: stand-ins take
    their place (ones for the parameters, zeros for the extras, 0.5 for a metaparameter whose value is not
    known yet). The update and the new state are both differentiated.

    Args:
        rule: `rule(eta)`, an optax transformation.
        params: what it updates.
        eta: constrained metaparameters by name.
        extras: named extra arguments that the rule's `update` needs; callables in it are passed as they are.

    Raises:
        RuleError: a derivative is not finite, or the rule closes over a traced value.
        UnknownMetaParamError: the rule asks for a name that `eta` does not hold.
    """
    with jax.ensure_compile_time_eval():
        try:
            values = jax.tree.map(_known, dict(eta))
            gradient_names, eta_names = map(_names_of_false, _finite(rule, params, values, extras or {}))
        except (jax.errors.UnexpectedTracerError, jax.errors.ConcretizationTypeError) as error:
            raise RuleError(
                "the update rule uses a traced value that is neither in eta nor in the extras, so its "
                "derivative cannot be probed. Pass the value through eta; or, what a function among the extras "
                "closes over, as in jax.tree_util.Partial(function, params)."
            ) from error
    _refuse(gradient_names, eta_names)


def question(params: Params, eta: Eta, extras: Mapping[str, Any]) -> Hashable:
    """All that the answer depends on, beside the rule: shapes and dtypes, and the values of `eta` that are known."""
    leaves, structure = jax.tree.flatten((params, dict(eta), dict(extras)))
    looks = [leaf if callable(leaf) else (jnp.shape(leaf), jnp.result_type(leaf)) for leaf in leaves]
    known = [None if traced(leaf) else np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(dict(eta))]
    return structure, *looks, *known


def traced(tree: PyTree) -> bool:
    """Whether any leaf has no value yet."""
    return any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(tree))


def _finite(rule: Rule, params: Params, values: Eta, extras: Mapping[str, Any]) -> tuple[PyTree, PyTree]:
    """Whether each derivative is finite: one flag for each leaf of the gradient, and one for each of eta.

    The stand-ins are made inside the compiled function: they take no memory, and compile fast.
    """

    @jax.jit
    def finite(values):
        gradient, ones = jax.tree.map(_filled(0.0), params), jax.tree.map(_filled(1.0), params)
        quiet = {name: jax.tree.map(_quiet, extra) for name, extra in extras.items()}

        def one_update(moving_gradient, moving_values):
            transformation = optax.with_extra_args_support(_build(rule, _merge(moving_values, values)))
            state = transformation.init(ones)
            outputs = transformation.update(_merge(moving_gradient, gradient), state, ones, **quiet)
            return jax.tree.leaves(_inexact(outputs))

        outputs, pull_back = jax.vjp(one_update, _inexact(gradient), _inexact(values))
        return jax.tree.map(lambda d: jnp.isfinite(d).all(), pull_back([jnp.ones_like(x) for x in outputs]))

    return finite(values)


def _build(rule: Rule, eta: Eta) -> optax.GradientTransformation:
    try:
        return rule(eta)
    except KeyError as error:
        name = str(error.args[0]) if error.args else ""
        if name in eta:
            raise
        raise UnknownMetaParamError(
            f"the update rule asks for the metaparameter {name!r}, which eta does not hold: "
            f"{did_you_mean(name, eta)} Declare it, or write a constant into the rule in its place."
        ) from error


def _refuse(gradient_names: list[str], eta_names: list[str]) -> None:
    """Raises if there is any name to complain about."""
    culprits = [f"the gradient of {', '.join(gradient_names)}"] if gradient_names else []
    culprits += [f"the metaparameter {', '.join(eta_names)}"] if eta_names else []
    if culprits:
        raise RuleError(
            "the update rule's derivative at a gradient of exactly zero must be finite, and is not with "
            f"respect to {' and '.join(culprits)}. {_CURE}"
        )


def _names_of_false(flags: PyTree) -> list[str]:
    paths = [path for path, flag in jax.tree_util.tree_leaves_with_path(flags) if not flag]
    return [jax.tree_util.keystr(path, simple=True, separator=".") or "params" for path in paths]


def _filled(value: float):
    return lambda leaf: jnp.full(jnp.shape(leaf), value, jnp.result_type(leaf))


def _quiet(leaf: Any) -> Any:
    return leaf if callable(leaf) else _filled(0.0)(leaf)


def _known(leaf: Any) -> Shaped[Array, "..."]:
    """The leaf itself if its value is known, else a stand-in inside every usual range."""
    return _filled(0.5)(leaf) if isinstance(leaf, Tracer) else jnp.asarray(leaf)


def _inexact(tree: PyTree) -> PyTree:
    """The tree with None in place of every leaf that has no derivative."""
    return jax.tree.map(lambda leaf: leaf if jnp.issubdtype(jnp.result_type(leaf), jnp.inexact) else None, tree)


def _merge(moving: PyTree, whole: PyTree) -> PyTree:
    """`whole`, with the leaves that `moving` holds."""
    return jax.tree.map(lambda m, w: w if m is None else m, moving, whole, is_leaf=lambda leaf: leaf is None)
