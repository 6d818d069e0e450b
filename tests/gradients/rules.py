"""Update rules of the gradient matrix; all their constants are metaparameters, and each is behind an active clip."""

from collections.abc import Callable
from typing import NamedTuple

from selftune import optim
from selftune.metaparams import MetaParam, per_layer, per_parameter, positive, unit


class UpdateRule(NamedTuple):
    """A column of the matrix."""

    spec: dict[str, MetaParam]
    make: Callable


def _clipped(spec: dict, make: Callable) -> UpdateRule:
    return UpdateRule(
        {**spec, "max_grad_norm": MetaParam(0.05)},
        lambda eta: optim.chain(optim.clip_by_global_norm(eta["max_grad_norm"]), make(eta)),
    )


def sgd() -> UpdateRule:
    """A rate for each layer."""
    return _clipped(
        {"learning_rate": MetaParam(3.0, positive, per_layer)},
        lambda eta: optim.sgd(eta["learning_rate"]),
    )


def momentum() -> UpdateRule:
    """Heavy ball."""
    return _clipped(
        {"learning_rate": MetaParam(2.0), "momentum": MetaParam(0.8, unit)},
        lambda eta: optim.momentum(eta["learning_rate"], eta["momentum"]),
    )


def rmsprop() -> UpdateRule:
    """Root mean square."""
    return _clipped(
        {"learning_rate": MetaParam(0.1), "rms_decay": MetaParam(0.8, unit), "rms_eps": MetaParam(1e-3)},
        lambda eta: optim.rmsprop(eta["learning_rate"], eta["rms_decay"], eta["rms_eps"]),
    )


def adam() -> UpdateRule:
    """With an epsilon that matters, or the first step would hide the size of the gradient altogether."""
    return _clipped(_adam_spec(), lambda eta: optim.adam(*_adam_constants(eta)))


def adamw() -> UpdateRule:
    """A decay for each parameter."""
    return _clipped(
        {**_adam_spec(), "weight_decay": MetaParam(0.1, positive, per_parameter)},
        lambda eta: optim.adamw(*_adam_constants(eta), eta["weight_decay"]),
    )


def lion() -> UpdateRule:
    """The sign of a momentum."""
    return _clipped(
        {
            "learning_rate": MetaParam(0.05),
            "lion_b1": MetaParam(0.8, unit),
            "lion_b2": MetaParam(0.9, unit),
            "weight_decay": MetaParam(0.2),
        },
        lambda eta: optim.lion(eta["learning_rate"], eta["lion_b1"], eta["lion_b2"], eta["weight_decay"]),
    )


RULES = {column.__name__: column for column in (sgd, momentum, rmsprop, adam, adamw, lion)}


def _adam_spec() -> dict[str, MetaParam]:
    return {
        "learning_rate": MetaParam(0.1),
        "adam_b1": MetaParam(0.8, unit),
        "adam_b2": MetaParam(0.9, unit),
        "adam_eps": MetaParam(0.03),
    }


def _adam_constants(eta):
    return eta["learning_rate"], eta["adam_b1"], eta["adam_b2"], eta["adam_eps"]
