"""Errors are part of the interface: each says what was got, what was expected, and what to do.

The whole tree:

    SelftuneError
    ├── MetaParamError                  a metaparameter is not as it was declared
    │   ├── UnknownMetaParamError       a name that nobody tunes
    │   ├── ConstraintError             a value outside its constraint
    │   └── NotDifferentiableError      a choice no gradient can move, such as a batch size
    ├── RuleError                       an update rule whose derivative is not finite
    ├── EstimatorError                  an estimator asked for what it cannot give
    ├── SettingError                    any other setting that makes no sense
    │   └── UnsupportedSpaceError       an observation or action space the agent cannot act in
    ├── MissingExtraError               an optional dependency is not installed
    └── RunFolderError                  a run folder that is missing, damaged or in the way
        └── CheckpointError             a checkpoint that is missing, damaged, or of another kind of run

Catch `SelftuneError` to catch them all.
"""

import difflib
from collections.abc import Iterable


class SelftuneError(Exception):
    """Base of every error that selftune raises on purpose."""


class MetaParamError(SelftuneError, ValueError):
    """A metaparameter is not as it was declared."""


class UnknownMetaParamError(MetaParamError):
    """A name that nobody tunes."""


class ConstraintError(MetaParamError):
    """A value outside its constraint."""


class NotDifferentiableError(MetaParamError, TypeError):
    """A choice that no gradient can move."""


class RuleError(SelftuneError, ValueError):
    """An update rule whose derivative is not finite."""


class EstimatorError(SelftuneError, ValueError):
    """An estimator asked for what it cannot give."""


class SettingError(SelftuneError, ValueError):
    """A setting that makes no sense."""


class UnsupportedSpaceError(SettingError):
    """An observation or action space that the agent cannot act in."""


class MissingExtraError(SelftuneError, ImportError):
    """An optional dependency that is not installed."""


class RunFolderError(SelftuneError, OSError):
    """A run folder that is missing, damaged or in the way."""


class CheckpointError(RunFolderError):
    """A checkpoint that is missing, damaged, or of another kind of run; or a state that no checkpoint can hold."""


CALLED_ELSEWHERE = {
    "lr": ("learning_rate",),
    "alpha": ("temperature", "learning_rate"),
    "gamma": ("discount",),
    "lambda": ("trace_decay",),
    "lam": ("trace_decay",),
    "gae_lambda": ("trace_decay",),
    "entropy": ("entropy_cost", "temperature"),
    "ent_coef": ("entropy_cost", "temperature"),
    "vf_coef": ("value_cost",),
    "clip": ("clip_range",),
    "tau": ("target_mix",),
    "eps": ("epsilon",),
    "n_steps": ("rollout_length",),
    "n_envs": ("num_envs",),
}
"""Names that other libraries and papers have for what is spelled out here."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """One clause for a message: the nearest known name, or the whole list, so that the reader can go on."""
    known = sorted(known)
    inside = [other for other in known if name and name.lower() in other.lower()]
    usual = [other for other in CALLED_ELSEWHERE.get(name.lower(), ()) if other in known]
    slip = difflib.get_close_matches(name, known, n=1, cutoff=0.9)
    near = slip or usual[:1] or difflib.get_close_matches(name, known, n=1) or inside[:1]
    guess = f"did you mean {near[0]!r}? Known" if near else "known"
    return f"{guess}: {', '.join(known) or 'none'}."
