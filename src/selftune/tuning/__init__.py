"""The meta-optimizer: wires metaparameters, learner, estimator and guards together."""

from selftune.tuning.auditing import Audit, Finding, audit
from selftune.tuning.outer_loop import Meta, Tuner, TunerInfo, tuner
from selftune.tuning.schedules import annealed

__all__ = ["Audit", "Finding", "Meta", "Tuner", "TunerInfo", "annealed", "audit", "tuner"]
