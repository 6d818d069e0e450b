"""Worlds that change: schedules as data, for worlds written in JAX and for Gymnasium's.

The Gymnasium wrapper is `selftune.envs.drift.gymnasium_wrapper.Drifting`; importing this package loads no Gymnasium.
"""

from selftune.envs.drift.native_worlds import drifting, fields_of, held
from selftune.envs.drift.plotting import figure
from selftune.envs.drift.reading import from_json, plain, read, to_json
from selftune.envs.drift.schedule import Change, Drift
from selftune.envs.drift.standards import standard

__all__ = [
    "Change",
    "Drift",
    "drifting",
    "fields_of",
    "figure",
    "from_json",
    "held",
    "plain",
    "read",
    "standard",
    "to_json",
]
