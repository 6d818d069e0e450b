"""A control loop at a fixed rate, by the clock on the wall: does learning ever make the robot wait?

every period:   action = agent.step(observation, reward, ...)      learning goes on in another thread
"""

import math
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import gymnasium
import numpy as np

from selftune.envs.drift import Drift
from selftune.envs.drift.gymnasium_wrapper import Drifting
from selftune.errors import SettingError
from selftune.runner.online import OnlineAgent
from selftune.scenarios.robotics.policies import trained
from selftune.scenarios.robotics.robots import ICE, Robot, what_happens
from selftune.scenarios.story import Say

RATES = (20.0, 50.0, 100.0)
"""Ticks a second; the half cheetah's own is 20."""
ROLLOUT = 64
"""Steps between two rounds of learning."""


class Kept(NamedTuple):
    """How a loop kept its rate."""

    rate: float
    """Ticks a second."""
    ticks: int
    missed: int
    """Ticks whose action came after the next tick should have begun."""
    median: float
    """Milliseconds from what was seen to the action."""
    slowest: float
    """Milliseconds, of the slowest tick."""
    updates: int
    """Times the agent learned meanwhile."""
    dropped: int
    """Stretches of experience that came before the last one was learned from."""


def keep_rate(
    agent: OnlineAgent,
    env: Any,
    rate: float,
    ticks: int,
    seed: int = 0,
    clock: Callable[[], float] = time.perf_counter,
    wait: Callable[[float], None] = time.sleep,
) -> Kept:
    """Drive an environment at a fixed rate.

    The time that the simulator takes is the robot's own and does not count; a tick that is late begins the next one at
    once, and the rate goes on from there.

    Args:
        agent: Who acts and learns.
        env: An environment of Gymnasium.
        rate: Ticks a second.
        ticks: How many.
        seed: Of the environment.
        clock: Seconds.
        wait: What passes so many seconds.

    Raises:
        SettingError: There is no such rate, or no tick.
    """
    if not (0.0 < rate < math.inf and ticks >= 1):
        raise SettingError(
            f"keep_rate got rate={rate} and ticks={ticks}; expected a rate above 0, and a tick at least."
        )
    period, took, missed = 1.0 / rate, [], 0
    updates, dropped = agent.updates, agent.dropped
    observation, _ = env.reset(seed=seed)
    action = agent.reset(observation)
    due = clock()
    for _ in range(ticks):
        observation, reward, terminated, truncated, _ = env.step(action)
        begin = clock()
        due = max(due, begin)
        action = agent.step(observation, float(reward), bool(terminated), bool(truncated))
        took.append(clock() - begin)
        if action is None:
            observation, _ = env.reset()
            begin = clock()
            action = agent.reset(observation)
            took[-1] += clock() - begin
        due += period
        missed += took[-1] > period
        wait(max(0.0, due - clock()))
    times = 1000.0 * np.asarray(took)
    learned = agent.updates - updates, agent.dropped - dropped
    return Kept(rate, ticks, missed, float(np.median(times)), float(times.max()), *learned)


def keep_rates(robot: Robot, ticks: int, seed: int, say: Say) -> list[Kept]:
    """The shipped policy in control loops at `RATES`, on ice from the middle of the first on."""
    settings = {"rollout_length": ROLLOUT}
    env: Any = Drifting(gymnasium.make(robot.env), what_happens(robot, ICE, ticks // 2) or Drift())
    say("compiling the agent of the control loop")
    agent = OnlineAgent(
        env.observation_space, env.action_space, "ppo", seed=seed, settings=settings, learning="background"
    )
    try:
        agent.begin_with(trained(robot.env))
        kept = []
        for rate in RATES:
            kept.append(keep_rate(agent, env, rate, ticks, seed))
            say(f"control loop at {rate:g} ticks a second: {kept[-1].missed} of {ticks} deadlines missed")
        return kept
    finally:
        agent.close()
        env.close()
