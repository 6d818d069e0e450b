"""Made-up courses of a robot that needs no MuJoCo."""

import jax
import numpy as np

from selftune.agents.beginning import learned
from selftune.scenarios.robotics import Course, Robot, make_agent

CART = Robot("CartPole-v1", 1)
"""A robot of its own kind: it needs no MuJoCo."""
SMALL = {"num_envs": 4, "rollout_length": 8, "hidden": (8,), "epochs": 1, "minibatches": 2}

SPEED = [4.0, 4.0, 2.0, 2.0, 0.0, 1.0, 2.0, 3.0, 3.0]


def course(speed, reward=None, falls=None, eta=None):
    """A made-up course of 100 steps a point."""
    speed = np.asarray(speed, float)
    zeros = np.zeros(len(speed))
    return Course(
        steps=np.arange(1, len(speed) + 1) * 100,
        speed=speed,
        reward=speed if reward is None else np.asarray(reward, float),
        on_back=zeros,
        falls=zeros if falls is None else np.asarray(falls, float),
        restarts=zeros.astype(int),
        eta=eta or {},
        actors={},
        learned=learned(jax.eval_shape(make_agent(CART, "fixed", SMALL).init, jax.random.key(0))),
    )
