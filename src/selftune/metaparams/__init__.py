"""Metaparameters: their constraints, their scopes, and the spec that names them."""

from selftune.metaparams.constraints import (
    BoundNotice,
    Constraint,
    free,
    interval,
    one_minus,
    positive,
    simplex,
    unit,
)
from selftune.metaparams.scopes import Scope, between, contextual, per_layer, per_parameter, scalar
from selftune.metaparams.specification import MetaParam, MetaSpace, Spec, bind, check_names, placed, tuned, values

__all__ = [
    "BoundNotice",
    "Constraint",
    "MetaParam",
    "MetaSpace",
    "Scope",
    "Spec",
    "between",
    "bind",
    "check_names",
    "contextual",
    "free",
    "interval",
    "one_minus",
    "per_layer",
    "per_parameter",
    "placed",
    "positive",
    "scalar",
    "simplex",
    "tuned",
    "unit",
    "values",
]
