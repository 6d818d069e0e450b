"""Evaluation: how good a policy is without chance and without learning, in episodes of its own."""

from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from selftune.agents import Agent, AgentState
from selftune.envs import Environment, HostEnv, native, open_env
from selftune.runner.asked import whole
from selftune.runner.checkpointing import Checkpoints
from selftune.runner.filming import film
from selftune.runner.plan import Plan, planned
from selftune.runner.run_folder import RunFolder
from selftune.types import PRNGKey, PyTree

LONGEST = 10_000
"""Steps after which an episode that does not end is counted as it stands."""

STRETCH = 200
"""Steps of a native world in one compiled program."""


class Evaluation(NamedTuple):
    """Of `E` episodes."""

    returns: Float[np.ndarray, " E"]
    """Undiscounted."""
    lengths: Int[np.ndarray, " E"]
    ended: Bool[np.ndarray, " E"]
    """Whether it came to an end; one that did not within `LONGEST` steps is told as it stood then."""


def evaluate(agent: Agent, actor: PyTree, env: Environment | HostEnv, episodes: int, seed: int) -> Evaluation:
    """Episodes under the likeliest actions.

    Args:
        agent: Who acts.
        actor: What acting needs, `agent.actor(state)`.
        env: A world, or exactly `episodes` environments on the host.
        episodes: How many episodes, each in an environment of its own.
        seed: Of the environments; training uses others.
    """
    if isinstance(env, Environment):
        return _native(agent, actor, env, episodes, jax.random.key(seed))
    return _host(agent, actor, env, seed)


def _native(agent: Agent, actor: PyTree, env: Environment, episodes: int, key: PRNGKey) -> Evaluation:
    @jax.jit
    def stretch(standing: tuple, physics: PyTree, key: PRNGKey) -> tuple:
        def step(standing: tuple, key: PRNGKey) -> tuple[tuple, None]:
            worlds, carry, ended, returns, lengths = standing
            choice = agent.decide(actor, carry, worlds.observation, worlds.first)
            worlds, told = native.advance(env, physics, worlds, choice.action, key)
            returns = returns + jnp.where(ended, 0.0, told.reward)
            return (worlds, choice.carry, ended | told.finished, returns, lengths + ~ended), None

        return jax.lax.scan(step, standing, jax.random.split(key, STRETCH))[0]

    begin_key, key = jax.random.split(key)
    worlds = native.begin(env, env.params, begin_key, episodes)
    nothing = jnp.zeros(episodes, bool), jnp.zeros(episodes), jnp.zeros(episodes, jnp.int32)
    standing: Any = (worlds, agent.rest(episodes), *nothing)
    for number in range(-(-LONGEST // STRETCH)):
        standing = stretch(standing, env.params, jax.random.fold_in(key, number))
        if bool(standing[2].all()):
            break
    ended, returns, lengths = map(np.asarray, standing[2:])
    return Evaluation(returns, lengths, ended)


def _host(agent: Agent, actor: PyTree, env: HostEnv, seed: int) -> Evaluation:
    decide = jax.jit(agent.decide)
    observation, carry = env.reset(seed), agent.rest(env.num_envs)
    first, ended = np.ones(env.num_envs, bool), np.zeros(env.num_envs, bool)
    returns, lengths = np.zeros(env.num_envs), np.zeros(env.num_envs, int)
    for _ in range(LONGEST):
        choice = decide(actor, carry, observation, first)
        step, carry = env.step(np.asarray(choice.action)), choice.carry
        returns += np.where(ended, 0.0, step.reward)
        lengths += ~ended
        observation, first = step.observation, step.terminated | step.truncated
        ended |= first
        if ended.all():
            break
    return Evaluation(returns, lengths, ended)


def evaluate_run(
    folder: Path | str, *, episodes: int = 20, seed: int = 1_000_000, video: Path | None = None
) -> Float[np.ndarray, " E"]:
    """Returns of the policy in a run's last checkpoint, in episodes that training did not see.

    Arguments and errors are those of `evaluation`, which tells more. In a world without episodes these are the rewards
    of 10,000 steps.
    """
    return evaluation(folder, episodes=episodes, seed=seed, video=video).returns


def evaluation(
    folder: Path | str, *, episodes: int = 20, seed: int = 1_000_000, video: Path | None = None
) -> Evaluation:
    """The policy in a run's last checkpoint, in episodes that training did not see.

    Where the environment drifts, it stays as it was in the last step of the training.

    Args:
        folder: The run folder.
        episodes: How many, at least 1.
        seed: Of the environments.
        video: Where to write an animated GIF of one episode, if anywhere.

    Raises:
        RunFolderError: There is no run, or no whole checkpoint.
        SettingError: No episodes, a seed below 0 or from 2^32 on, or an environment that cannot be drawn.
    """
    episodes, seed = whole("episodes", episodes, 1), whole("seed", seed, 0, bits=32)
    agent, state, plan, step = last_state(folder)
    actor = agent.actor(state)
    last = step - agent.num_envs  # all copies take a step at once
    env = open_env(plan.env, episodes, plan.drift, held=last)
    try:
        if video is not None:  # first, since what cannot be drawn must not cost the returns
            film(agent, actor, plan.env, seed, Path(video), plan.drift, last)
        return evaluate(agent, actor, env, episodes, seed)
    finally:
        if isinstance(env, HostEnv):
            env.close()


def learned(folder: Path | str) -> tuple[Agent, PyTree, Plan]:
    """The agent of a run, what it needs to act, and how the run was made."""
    agent, state, plan, _ = last_state(folder)
    return agent, agent.actor(state), plan


def last_state(folder: Path | str) -> tuple[Agent, AgentState, Plan, int]:
    """The agent of a run and its state in the last checkpoint, how the run was made, and the steps it has taken.

    Raises:
        RunFolderError: There is no run.
        CheckpointError: There is no whole checkpoint.
    """
    opened = RunFolder.open(folder)
    plan = planned(opened.config)
    agent, experiment, _ = plan.build()
    try:
        session = Checkpoints(opened.path).latest(experiment.example()).tree
    finally:
        experiment.close()
    return agent, session.agent, plan, int(session.update) * experiment.steps_per_update
