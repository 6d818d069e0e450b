"""A strip of pictures, drawn from the model's capsules as lines: no renderer is needed."""

import importlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import gymnasium
import jax
import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float
from plotly.subplots import make_subplots

from selftune.agents import Agent
from selftune.envs import describe_actions, describe_observations
from selftune.envs.drift import Drift
from selftune.envs.drift.gymnasium_wrapper import Drifting
from selftune.envs.encoding import encode
from selftune.envs.native import stretch
from selftune.scenarios.page import COLOURS
from selftune.scenarios.robotics.bouts import Fought
from selftune.scenarios.robotics.robots import Robot, what_happens
from selftune.spaces import Box
from selftune.types import PyTree

SETTLE, POSES, APART = 3.0, 8, 0.2
"""Seconds before the first pose; poses; seconds from one to the next."""


class Pose(NamedTuple):
    """Where a robot's `G` capsules are, seen from the side."""

    ends: Float[np.ndarray, "G 2 2"]
    """x and z of both ends of each, in metres."""
    radius: Float[np.ndarray, " G"]


def poses(
    agent: Agent, actor: PyTree, robot: Robot, drift: Drift | None, step: int, seed: int, settle: float = SETTLE
) -> list[Pose]:
    """What a policy does, in a world that stays as it is at one step.

    Args:
        agent: Who acts.
        actor: What it has learned.
        robot: Whom it moves.
        drift: How the world changes.
        step: Environment step at which the world stands still.
        seed: Of the episode.
        settle: Seconds before the first pose. Who falls begins again, and is drawn after half of that.
    """
    env: Any = Drifting(gymnasium.make(robot.env), drift or Drift(), stride=0, begin=step)
    decide = jax.jit(agent.decide)
    seen, acted = describe_observations(env.observation_space), describe_actions(env.action_space)
    assert isinstance(acted, Box)
    try:
        observation, _ = env.reset(seed=seed)
        carry, first, told, moment = agent.rest(1), np.array([True]), [], 0
        begin, apart = (round(seconds / env.unwrapped.dt) for seconds in (settle, APART))
        while len(told) < POSES:
            if moment >= begin and (moment - begin) % apart == 0:
                told.append(pose(env.unwrapped.model, env.unwrapped.data))
            choice = decide(actor, carry, encode(seen, np.asarray(observation)[None]), first)
            carry, first, moment = choice.carry, np.array([False]), moment + 1
            observation, _, fell, *_ = env.step(stretch(acted, np.asarray(choice.action), np)[0])
            if fell and len(told) < POSES:
                observation, _ = env.reset()
                carry, first, moment, begin = agent.rest(1), np.array([True]), 0, begin // 2
        return told
    finally:
        env.close()


def pose(model: Any, data: Any) -> Pose:
    """The capsules and spheres of a MuJoCo model as they lie."""
    kinds: Any = importlib.import_module("mujoco").mjtGeom
    drawn = np.flatnonzero(np.isin(model.geom_type, [int(kinds.mjGEOM_SPHERE), int(kinds.mjGEOM_CAPSULE)]))
    long = model.geom_type[drawn] == int(kinds.mjGEOM_CAPSULE)
    half = np.where(long, model.geom_size[drawn, 1], 0.0)[:, None]
    along = data.geom_xmat[drawn].reshape(-1, 3, 3)[:, :, 2] * half
    centre = data.geom_xpos[drawn]
    ends = np.stack([centre - along, centre + along], axis=1)[:, :, [0, 2]]
    return Pose(ends.astype(float), model.geom_size[drawn, 0].astype(float))


def strip(moments: Mapping[str, Sequence[Pose]]) -> go.Figure:
    """A row of poses for each moment, from the faint first to the dark last, all at one scale and from one start."""
    figure = make_subplots(len(moments), 1, shared_xaxes=True, subplot_titles=list(moments), vertical_spacing=0.08)
    for row, told in enumerate(moments.values(), start=1):
        start = told[0].ends[:, :, 0].mean()
        for number, one in enumerate(told):
            ends = one.ends - np.array([start, 0.0])
            colour, opacity = COLOURS[row - 1], 0.25 + 0.75 * number / max(1, len(told) - 1)
            for thickness in np.unique(one.radius):
                chosen = ends[one.radius == thickness]
                gaps = np.concatenate([chosen, np.full((len(chosen), 1, 2), np.nan)], axis=1).reshape(-1, 2)
                line = {"color": colour, "width": float(np.clip(120.0 * thickness, 2.0, 12.0))}
                figure.add_scatter(
                    x=gaps[:, 0], y=gaps[:, 1], mode="lines", line=line, opacity=opacity, row=row, col=1
                )  # fmt: skip
        figure.add_hline(y=0.0, line_color="grey", row=row, col=1)  # pyright: ignore[reportArgumentType]
    figure.update_yaxes(scaleanchor="x", scaleratio=1, showticklabels=False)
    figure.update_xaxes(title_text="metres", row=len(moments), col=1)
    return figure.update_layout(showlegend=False, height=170 * len(moments) + 60)


def before_at_after(fought: Fought, kind: str, method: str, seed: int = 0) -> go.Figure:
    """A strip of the first run of a method: the policy as it began, the same after the change, and as it ended."""
    robot, course = fought.bout.robot, fought.courses[kind][method][0]
    agent = fought.bout.make(method, {**fought.bout.settings, **fought.bout.again})
    begins = int(fought.before * course.steps[0])
    drift, (first, last) = what_happens(robot, kind, begins), (course.actors[k] for k in sorted(course.actors))
    moments = {"before": (first, 0), "at the change": (first, begins), "after": (last, begins)}
    return strip({name: poses(agent, actor, robot, drift, step, seed) for name, (actor, step) in moments.items()})
