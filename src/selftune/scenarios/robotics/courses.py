"""One agent's course: steady ground, then the change, update by update."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from selftune.agents import Agent, AgentState
from selftune.agents.beginning import Learned, begin_with, learned
from selftune.envs import HostEnv, open_env
from selftune.envs.drift import Drift
from selftune.errors import SettingError
from selftune.experiments.fleet import eta_means
from selftune.runner.compiled import compiled
from selftune.runner.rollouts import Rollout
from selftune.scenarios.robotics.robots import Robot, on_its_back, places_checked
from selftune.types import Eta, PyTree


class Course(NamedTuple):
    """What `P` updates tell, each of one rollout; the policy that acted in it is the one before the update."""

    steps: Int[np.ndarray, " P"]
    """Environment steps up to each point, summed over parallel environments."""
    speed: Float[np.ndarray, " P"]
    """Mean forward speed, m/s."""
    reward: Float[np.ndarray, " P"]
    """Mean of a step."""
    on_back: Float[np.ndarray, " P"]
    """Share of steps spent upside down."""
    falls: Float[np.ndarray, " P"]
    """Episodes that ended by a fall."""
    restarts: Int[np.ndarray, " P"]
    """How often everything learned was thrown away."""
    eta: Mapping[str, Float[np.ndarray, " P"]]
    """Metaparameters after each update."""
    actors: Mapping[int, PyTree]
    """What acted, by update, where it was asked for."""
    learned: Learned
    """At the end."""


Rider = Callable[..., Course]


def rider(agent: Agent, robot: Robot) -> Rider:
    """An agent on a robot, compiled once for all its courses.

    Args:
        agent: The agent.
        robot: The robot.

    Returns:
        `ride(known, drift, seed, updates, keep=())`: begin with what is known (from nothing where it is `None`), and
        learn for so many updates in a world that drifts; `keep` names updates whose actor is wanted.

    Raises:
        SettingError: The robot's speed or pitch does not stand in what it observes.
    """
    places_checked(robot)
    act, learn, actor, *_ = compiled(agent)
    per_update = agent.num_envs * agent.rollout_length

    def begin(key: Any, known: Learned | None) -> Any:
        state = jax.jit(agent.init)(key)
        return state if known is None else begin_with(agent, state, jax.tree.map(jnp.copy, known))

    def ride(known: Learned | None, drift: Drift | None, seed: int, updates: int, keep: tuple[int, ...] = ()) -> Course:
        if drift is not None and drift.announced:
            raise SettingError(
                "The drift is announced, and the robot's policy does not see that; leave `announced` out."
            )
        env = open_env(robot.env, agent.num_envs, drift)
        if not isinstance(env, HostEnv):
            raise SettingError(f"{robot.env} is a world written in JAX; a robot is an environment of Gymnasium's.")
        try:
            rollout = Rollout(env, act, agent.rollout_length)
            root, first = jax.random.split(jax.random.key(seed))
            state, carry = begin(first, known), agent.rest(agent.num_envs)
            rollout.begin(seed)
            told, kept = [], {}
            for update in range(updates):
                act_key, learn_key = jax.random.split(jax.random.fold_in(root, update))
                acting = actor(state)
                if update in keep:
                    kept[update] = jax.device_get(acting)
                batch, carry = rollout.collect(acting, carry, act_key)
                state, info = learn(state, batch, learn_key)
                seen = np.asarray(batch.next_observation)
                told.append(
                    {
                        "speed": seen[..., robot.speed].mean(),
                        "reward": np.asarray(batch.reward).mean(),
                        "on_back": on_its_back(robot, seen),
                        "falls": np.asarray(batch.terminated).sum(),
                        "restarts": np.asarray(info.guards.get("restart", 0)),
                        "eta": jax.device_get(eta_means(_in_force(state, info.eta))),
                    }
                )
        finally:
            env.close()
        columns: Any = jax.tree.map(lambda *leaves: np.stack(leaves), *told)
        return Course(
            steps=np.arange(1, updates + 1) * per_update,
            speed=columns["speed"].astype(float),
            reward=columns["reward"].astype(float),
            on_back=columns["on_back"].astype(float),
            falls=columns["falls"].astype(float),
            restarts=columns["restarts"].astype(int),
            eta={name: path.astype(float) for name, path in columns["eta"].items()},
            actors=kept,
            learned=jax.device_get(learned(state)),
        )

    return ride


def _in_force(state: AgentState, eta: Eta) -> Eta:
    """Metaparameters, with what SAC's temperature has come to: one factor of it is a parameter of the agent's."""
    if "log_temperature" not in state.learner.params:
        return eta
    return {**eta, "temperature": eta["temperature"] * jnp.exp(state.learner.params["log_temperature"])}
