"""What is said of a change, with no verdict beyond what the intervals bear."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from selftune.experiments.statistics import Interval, bootstrap, mean
from selftune.scenarios.robotics.measures import SHARE, Cost
from selftune.scenarios.robotics.robots import GUSTS, ICE, PAYLOAD, ROBOTS, STEADY, STIFF, WEAK, factor

HAPPENED: Mapping[str, str] = {
    ICE: "the ground turns to ice ({:g} times the friction)",
    PAYLOAD: "the trunk carries a payload",
    WEAK: "an actuator weakens to {:g} of its strength",
    STIFF: "a joint stiffens",
    GUSTS: "gusts push",
    STEADY: "nothing changes",
}
RECOVERY_BAR, REWARD_BAR = 0.7, 1.1
"""What was asked of self-tuning after the friction changed: recovery in at most so many times the fixed agent's steps,
at least so many times its reward."""
SEEDS = 5
"""Runs below which no method is said to have earned most: of fewer a resampled interval leaves out too much."""


def happened(robot: str, kind: str) -> str:
    """What a change is, in words."""
    return HAPPENED[kind] if kind == STEADY else HAPPENED[kind].format(factor(ROBOTS[robot], kind))


def sentence(kind: str, own: Mapping[str, Any], fixed: Mapping[str, Any]) -> str:
    """What a change did to the self-tuned agent, beside the fixed one."""
    worth = ratio(own, "reward")
    worth = f"the reward is {worth} times the fixed agent's" if worth else "the rewards cannot be compared by a ratio"
    if kind == STEADY:
        return (
            f"Where nothing changes the self-tuned {own['robot']} ends at {own['last']:.2f} m/s and the fixed one at "
            f"{fixed['last']:.2f}; {worth}."
        )
    when = f"When {happened(own['robot'], kind)}"
    if own["recovery"] == fixed["recovery"] == 0.0:
        return (
            f"{when}, neither {own['robot']} falls below {SHARE:.0%} of its speed: the slowest episode of the "
            f"self-tuned one has {own['lowest']:.2f} m/s, after {own['before']:.2f}, and of the fixed one "
            f"{fixed['lowest']:.2f}, after {fixed['before']:.2f}. There is nothing to recover from; {worth}."
        )
    longer = ratio(own, "recovery")
    longer = f"{longer} times as long" if longer else "no ratio, for in some runs there is nothing to recover from"
    return (
        f"{when}, the self-tuned {own['robot']} goes from {own['before']:.2f} to {own['lowest']:.2f} "
        f"m/s and is back after {own['recovery'] / 1000:.0f} thousand steps ({own['recovered']:.0%} of the runs are); "
        f"the fixed one goes from {fixed['before']:.2f} to {fixed['lowest']:.2f} and needs "
        f"{fixed['recovery'] / 1000:.0f} thousand ({fixed['recovered']:.0%}): {longer}; {worth}."
    )


def earned_most(costs: Mapping[str, Sequence[Cost]], seed: int) -> str | None:
    """The method with the most reward, if it earned more than each other one beyond luck, of `SEEDS` runs at least."""
    rewards = {name: np.array([one.reward for one in own]) for name, own in costs.items()}
    if min(map(len, rewards.values())) < SEEDS:
        return None
    best = max(rewards, key=lambda name: rewards[name].mean())
    above = [bootstrap([rewards[best] - other], mean, seed=seed).low for name, other in rewards.items() if name != best]
    return best if above and min(above) > 0.0 else None


def earned(kind: str, methods: int, best: Mapping[str, Any]) -> str:
    """That a method earned most."""
    worth = ratio(best, "reward")
    times = f", {worth} times the fixed agent's" if worth else ""
    return f"Of {methods} methods under the change {kind!r}, {best['method']!r} earned most{times}."


def verdict(own: Mapping[str, Any], fixed: Mapping[str, Any]) -> str:
    """Whether what was asked for on ice came out."""
    if own["recovery"] == fixed["recovery"] == 0.0:
        recovery = "for which there was nothing to recover from"
    else:
        recovery = _reached(own, "recovery", lambda times: times <= RECOVERY_BAR)
    return (
        f"Asked for on ice were recovery in at most {RECOVERY_BAR} times the fixed agent's steps, {recovery}, and "
        f"{REWARD_BAR} times its reward, {_reached(own, 'reward', lambda times: times >= REWARD_BAR)}."
    )


def _reached(own: Mapping[str, Any], name: str, good: Callable[[float], bool]) -> str:
    """Whether the estimate of a ratio is good, and whether all of its interval is alike."""
    told = ratio(own, name)
    if told is None:
        return "of which no ratio can be told"
    reached, *ends = (good(own[f"{name}_{part}"]) for part in ("ratio", "low", "high"))
    though = "" if ends == [reached] * 2 else ", though the interval holds both"
    return f"which is {'reached' if reached else 'not reached'} ({told}{though})"


def ratio(told: Mapping[str, Any], name: str) -> str | None:
    """Of a row, with its interval; nothing where there is none."""
    ends = told[f"{name}_ratio"], told[f"{name}_low"], told[f"{name}_high"]
    if None in ends:
        return None
    interval = Interval(*ends)
    return f"{interval.estimate:.2f} [{interval.low:.2f}, {interval.high:.2f}]"
