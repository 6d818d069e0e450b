"""Guards: what must hold after every update. A meta-gradient without one destroys its agent."""

from selftune.guards.attempt import Attempt, Guard, Position
from selftune.guards.bounds import range
from selftune.guards.finiteness import numeric
from selftune.guards.homecoming import within_reach
from selftune.guards.pacing import adaptive_rate, measured
from selftune.guards.trust import trust_region

__all__ = [
    "Attempt",
    "Guard",
    "Position",
    "adaptive_rate",
    "measured",
    "numeric",
    "range",
    "trust_region",
    "within_reach",
]
