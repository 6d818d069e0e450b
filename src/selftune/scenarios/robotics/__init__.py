"""Robotics: the ground becomes slippery, and a trained policy must find its feet again.

ride   = rider(make_agent(WALKER, "meta_gradient", {}), WALKER)
course = ride(trained("Walker2d-v5"), what_happens(WALKER, "ice", 16_384), seed, updates)
cost(course, before, window)                        how long it took, and what it lost
"""

from selftune.scenarios.robotics.bouts import make_agent
from selftune.scenarios.robotics.control_loop import keep_rate
from selftune.scenarios.robotics.courses import Course, rider
from selftune.scenarios.robotics.measures import Cost, cost, updates_before
from selftune.scenarios.robotics.policies import trained
from selftune.scenarios.robotics.robots import ANT, HALF_CHEETAH, WALKER, Robot, what_happens

__all__ = [
    "ANT",
    "HALF_CHEETAH",
    "WALKER",
    "Cost",
    "Course",
    "Robot",
    "cost",
    "keep_rate",
    "make_agent",
    "rider",
    "trained",
    "updates_before",
    "what_happens",
]
