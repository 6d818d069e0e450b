"""The meta-optimizer: wires metaparameters, learner, estimator and guards together."""

from selftune.tuning.outer_loop import Meta, Tuner, TunerInfo, tuner

__all__ = ["Meta", "Tuner", "TunerInfo", "tuner"]
