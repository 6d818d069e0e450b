"""What is measured: robots, agents, changes, methods, seeds; and the runs themselves."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from selftune.agents import Agent, recipe_for
from selftune.agents.beginning import Learned
from selftune.envs.opening import spaces_of
from selftune.experiments.side_by_side import cores
from selftune.runner.asked import settled
from selftune.runner.compile_cache import keep_compiled
from selftune.runner.plan import agent_named
from selftune.scenarios.robotics.courses import Course, rider
from selftune.scenarios.robotics.measures import EPISODE
from selftune.scenarios.robotics.policies import comes_with, trained
from selftune.scenarios.robotics.robots import (
    ANT,
    GUSTS,
    HALF_CHEETAH,
    ICE,
    PAYLOAD,
    STEADY,
    STIFF,
    WALKER,
    WEAK,
    Robot,
    what_happens,
)
from selftune.scenarios.story import Ask, Say

FIXED, TUNED = "fixed", "meta_gradient"
FIRST = 1000
"""Seeds of the measured runs begin here; whatever was chosen was chosen on seeds below 100."""
TRAINING_SEED = 100
"""Of policies that are trained here because none comes with selftune."""
NARROW: Mapping[str, Any] = {"hidden": (128, 128), "batch_size": 128}
"""Of SAC: an eighth of the arithmetic of its defaults."""


@dataclass(frozen=True)
class Bout:
    """One robot with one agent: all that happens to it, with every method."""

    robot: Robot
    agent: str
    kinds: tuple[str, ...]
    methods: tuple[str, ...]
    """Names of tuners."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Changes to the agent's settings."""
    again: Mapping[str, Any] = field(default_factory=dict)
    """More of them, of an agent that begins with a trained policy."""
    training: int = 1_000_000
    """Environment steps of the policy that all begin with, where none comes with selftune."""

    def make(self, tuner: str, settings: Mapping[str, Any]) -> Agent:
        """The agent with a tuner and changes to its settings."""
        return make_agent(self.robot, tuner, settings, self.agent)


def make_agent(robot: Robot, tuner: str, settings: Mapping[str, Any], agent: str = "ppo") -> Agent:
    """An agent of a robot.

    Args:
        robot: Whom it moves.
        tuner: How it is tuned; `"fixed"` for not at all.
        settings: Changes to its settings.
        agent: Which.
    """
    build, default = agent_named(agent)
    return build(*spaces_of(robot.env), settings=settled(default, settings), recipe=recipe_for(tuner, agent))


class Extent(NamedTuple):
    """How much is measured."""

    bouts: tuple[Bout, ...]
    before: int
    """Environment steps before the change."""
    after: int
    seeds: int
    ticks: int
    """Of each control loop."""


RIVALS = (FIXED, TUNED, "kl_adaptive", "reset_on_change")
QUICK = Extent((Bout(WALKER, "ppo", (ICE, STEADY), (FIXED, TUNED)),), 16_384, 81_920, 3, 240)
FULL = Extent(
    (
        Bout(WALKER, "ppo", (ICE, PAYLOAD, WEAK, STEADY), RIVALS),
        Bout(HALF_CHEETAH, "ppo", (ICE, PAYLOAD, WEAK, STIFF, GUSTS, STEADY), RIVALS),
        Bout(ANT, "ppo", (ICE, WEAK, STEADY), RIVALS),
        Bout(HALF_CHEETAH, "sac", (ICE, WEAK, STEADY), (FIXED, TUNED), NARROW, {"warm_up": 256}, 300_000),
    ),
    98_304,
    307_200,
    5,
    1200,
)


class Fought(NamedTuple):
    """What came of a bout."""

    bout: Bout
    before: int
    """Updates before the change."""
    window: int
    """Updates of one episode."""
    courses: Mapping[str, Mapping[str, list[Course]]]
    """By change and by method, a course for each seed."""


def fight(bout: Bout, extent: Extent, ask: Ask, say: Say) -> Fought:
    """Run a bout: every method, change and seed, as many at a time as there are cores.

    Args:
        bout: Which.
        extent: How long, how many seeds.
        ask: Other seeds, other runs.
        say: Where a line goes whenever something is known.
    """
    keep_compiled()
    agents = {name: bout.make(name, {**bout.settings, **bout.again}) for name in bout.methods}
    per_update = agents[FIXED].num_envs * agents[FIXED].rollout_length
    before, after = (max(1, round(steps / per_update)) for steps in (extent.before, extent.after))
    known = _known(bout, say)
    riders = {name: rider(agent, bout.robot) for name, agent in agents.items()}
    first = FIRST + 100 * ask.seed
    jobs = [(k, m, first + n) for k in bout.kinds for n in range(extent.seeds) for m in bout.methods]

    def one(job: tuple[str, str, int]) -> Course:
        kind, method, seed = job
        drift = what_happens(bout.robot, kind, before * per_update)
        course = riders[method](known, drift, seed, before + after, keep=(0, before + after - 1))
        speeds = course.speed[:before].mean(), course.speed[before:].mean()
        say(f"{bout.robot.env} {bout.agent}, {kind}, {method}, seed {seed}: {speeds[0]:.2f} m/s, then {speeds[1]:.2f}")
        return course

    with ThreadPoolExecutor(cores()) as pool:
        say(f"compiling {', '.join(riders)}")
        for warm in [pool.submit(ride, known, None, 0, 1) for ride in riders.values()]:
            warm.result()  # before it is needed by several threads at once
        courses = dict(zip(jobs, pool.map(one, jobs), strict=True))
    told = {
        kind: {method: [courses[kind, method, first + n] for n in range(extent.seeds)] for method in bout.methods}
        for kind in bout.kinds
    }
    return Fought(bout, before, -(-EPISODE // agents[FIXED].rollout_length), told)


def _known(bout: Bout, say: Say) -> Learned:
    """The policy that all begin with: one that comes with selftune, or one that is trained now."""
    if bout.agent == "ppo" and comes_with(bout.robot.env):
        return trained(bout.robot.env)
    agent = bout.make(TUNED, bout.settings)
    updates = -(-bout.training // (agent.num_envs * agent.rollout_length))
    say(f"{bout.robot.env} {bout.agent}: training the policy that all begin with, {bout.training:,} steps")
    return rider(agent, bout.robot)(None, None, TRAINING_SEED, updates).learned
