"""selftune: reinforcement-learning agents that tune their own hyperparameters while they learn.

    import selftune as st

    run = st.train("CartPole-v1", steps=400_000)       # an agent that needs no tuning
    learner = st.learner(loss, rule)                   # your own loss and update rule
    tuner = st.tuner(spec, learner, meta_loss)         # any number in them, meta-learned

Names are imported when they are first used, so that the engine alone stays light; `__init__.pyi` says the same to type
checkers.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "metaparams": "BoundNotice MetaParam between contextual free interval one_minus per_layer per_parameter positive "
    "scalar simplex unit values",
    "learning": "Acted Learner LearnerState Memory learner",
    "estimators": "bootstrapped evolution forward hoof implicit matching mixture truncated undifferentiated",
    "tuning": "Meta Tuner TunerInfo audit tuner",
    "types": "Transitions",
    "envs.drift": "Change Drift",
    "runner.training": "resume train",
    "runner.compile_cache": "keep_compiled",
    "runner.run": "Run",
    "runner.online": "OnlineAgent",
    "runner.evaluating": "evaluate_run",
    "runner.exporting": "export_policy",
}
_MODULES = ("agents", "envs", "errors", "guards", "networks", "objectives", "optim", "spaces")
_WHERE = {name: f"selftune.{module}" for module, names in _HOMES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(import_module(_WHERE[name]), name)
    if name in _MODULES:
        return import_module(f"selftune.{name}")
    raise AttributeError(f"module 'selftune' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*_WHERE, *_MODULES, "__version__"])
