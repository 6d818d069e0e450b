"""Robots, where their speed stands in what they observe, and what can happen to them."""

from collections.abc import Mapping
from contextlib import closing, nullcontext
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Shaped

from selftune.envs import HostEnv, open_env
from selftune.envs.drift import Change, Drift
from selftune.errors import SettingError, did_you_mean
from selftune.spaces import Box


class Robot(NamedTuple):
    """A robot of Gymnasium."""

    env: str
    """Its id."""
    speed: int
    """Where the forward speed (m/s) stands in the observation."""
    pitch: int | None = None
    """Where the angle of the trunk (rad) stands; `None` where lying on the back ends an episode."""


HALF_CHEETAH = Robot("HalfCheetah-v5", 8, 1)
ANT = Robot("Ant-v5", 13)
WALKER = Robot("Walker2d-v5", 8)
ROBOTS: Mapping[str, Robot] = {robot.env: robot for robot in (WALKER, HALF_CHEETAH, ANT)}

ICE, PAYLOAD, WEAK, STIFF, GUSTS = "ice", "payload", "weak actuator", "stiff joint", "gusts"
STEADY = "steady ground"
"""Nothing changes."""

WATCHED = 60
"""Steps of random actions by which a robot's place of speed is checked."""
GUST = 4096
"""Environment steps from one gust to the next lull."""
AIR = 5.0
"""Density of the medium (kg/m3): with MuJoCo's default, 0, there is no wind."""

CHANGES: Mapping[str, Mapping[str, Mapping[str, float]]] = {
    "Walker2d-v5": {
        ICE: {"geom_friction": 0.3},
        PAYLOAD: {"body_mass.torso": 2.0},
        WEAK: {"actuator_gear.0": 0.4},
    },
    "HalfCheetah-v5": {
        ICE: {"geom_friction": 0.1},
        PAYLOAD: {"body_mass.torso": 1.3},
        WEAK: {"actuator_gear.bthigh": 0.6},
        STIFF: {"jnt_stiffness.bthigh": 2.0},
        GUSTS: {"opt.wind.0": -5.0},
    },
    "Ant-v5": {
        ICE: {"geom_friction": 0.1},
        PAYLOAD: {"body_mass.torso": 2.0},
        WEAK: {"actuator_gear.0": 0.6},
        STIFF: {"dof_damping.hip_1": 10.0},
        GUSTS: {"opt.wind.0": -5.0},
    },
}
"""Factors of what the field was before; the speed of gusts (m/s) itself. The contact of two geoms has the larger
friction of both: ice is friction of all of them. How far each change of the walker and the half cheetah goes was
chosen, on seeds below 100, by how much speed the shipped policy loses while it does not learn, and so that a walker on
ice can recover; damping of the walker's
hip, up to fifty times, costs it none. An ant's joints have no springs: friction in one of them stands for stiffness."""


def places_checked(robot: Robot) -> Robot:
    """The robot as it is, if its speed and its pitch stand in what it observes.

    Raises:
        SettingError: They do not, or the environment's own `x_velocity` stands elsewhere.
    """
    env = open_env(robot.env, 1)
    size = env.observation_space.encoded_shape[0]
    with closing(env) if isinstance(env, HostEnv) else nullcontext():
        for name, place in {"speed": robot.speed, "pitch": robot.pitch}.items():
            whole = isinstance(place, int | np.integer) and not isinstance(place, bool)
            if place is not None and not (whole and 0 <= place < size):
                raise SettingError(
                    f"Got Robot({robot.env!r}, {name}={place!r}), expected its place in the observation, a whole "
                    f"number from 0 to {size - 1}."
                )
        if isinstance(env, HostEnv):
            _check_speed(robot, env)
    return robot


def _check_speed(robot: Robot, env: HostEnv) -> None:
    """Whether the speed is where the environment's own forward speed is, if it tells one and one place fits it.

    Its own is that over a step, so places are averaged over what is seen before and after it. A humanoid's is that of
    its centre of mass, and fits none.
    """
    chance, seen = np.random.default_rng(0), env.reset(0)
    places, speeds = [], []
    for _ in range(WATCHED):
        if not isinstance(env.action_space, Box):
            return
        step = env.step(chance.uniform(-1.0, 1.0, (1, *env.action_space.shape)))
        if "x_velocity" not in env.info:
            return
        places.append(0.5 * (seen[0] + step.next_observation[0]))
        speeds.append(float(env.info["x_velocity"][0]))
        seen = step.observation
    off = np.abs(np.stack(places) - np.array(speeds)[:, None]).mean(axis=0)
    best = int(np.argmin(off))
    if off[best] < 0.4 * np.abs(speeds).mean() and off[robot.speed] > 2.0 * off[best]:
        raise SettingError(
            f"Got Robot({robot.env!r}, speed={robot.speed}), but the forward speed that the environment tells "
            f"(x_velocity) stands at {best} of what it observes. Give speed={best}."
        )


def factor(robot: Robot, kind: str) -> float:
    """By how much the first field of one of a robot's `CHANGES` is multiplied; of gusts, their speed (m/s)."""
    return next(iter(CHANGES[robot.env][kind].values()))


def what_happens(robot: Robot, kind: str, begins: int) -> Drift | None:
    """What changes about a robot, and when.

    Args:
        robot: A robot of `ROBOTS`.
        kind: `"ice"`, `"payload"`, `"weak actuator"`, `"stiff joint"`, `"gusts"`, or `"steady ground"`.
        begins: Environment steps, summed over parallel environments, before it.

    Returns:
        `None` where nothing changes.

    Raises:
        SettingError: There is no such change, or nothing is known of the robot.
    """
    if kind == STEADY:
        return None
    if robot.env not in CHANGES:
        raise SettingError(f"There are no changes of {robot.env}; {did_you_mean(robot.env, CHANGES)}")
    known = CHANGES[robot.env]
    if kind not in known:
        raise SettingError(f"There is no change {kind!r} of {robot.env}; {did_you_mean(kind, [STEADY, *known])}")
    if kind == GUSTS:
        ((field, speed),) = known[kind].items()
        wind = Change(field, values=[speed, 0.0], every=GUST, start=begins)  # without a medium it is not felt before
        return Drift([Change("opt.density", values=[0.0, AIR], every=begins, recurring=False), wind])
    return Drift([Change(field, factors=[1.0, to], every=begins, recurring=False) for field, to in known[kind].items()])


def on_its_back(robot: Robot, observation: Shaped[np.ndarray, "T B N"]) -> Float[np.ndarray, ""]:
    """The share of steps that a robot spends upside down; 0 where it cannot be seen."""
    if robot.pitch is None:
        return np.zeros(())
    return np.asarray((np.cos(observation[..., robot.pitch]) < 0.0).mean())
