"""Decision processes as tables: exact returns, and the same updates from samples.

Where a process is small, the expectation that a sampled update stands for is a sum; so is the return that judges it.
"""

from collections.abc import Callable
from itertools import permutations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from selftune.envs.worlds import mazes, tabular
from selftune.types import Array, Eta, Float, Frozen, Int, Loss, Params, PRNGKey, Scalar


class Process(eqx.Module):
    """A process of `X` states, `A` actions and at most `S` successors of each pair, and its horizon."""

    successors: Int[Array, "X A S"]
    probabilities: Float[Array, "X A S"]
    rewards: Float[Array, "X A"]
    start: Float[Array, " X"]
    discount: Float[Array, ""]
    horizon: int = eqx.field(static=True)


def random_process(seed: int | Int[Array, ""], horizon: int = 20, discount: float = 0.9) -> Process:
    """`random_mdp` of ten states and five actions, its rewards without noise."""
    transitions, rewards = tabular.tables(tabular.RandomParams()._replace(seed=seed))
    successors = jnp.broadcast_to(jnp.arange(10), transitions.shape)
    return Process(successors, transitions, rewards, jax.nn.one_hot(0, 10), jnp.float32(discount), horizon)


def maze_process(discount: float = 0.99) -> Process:
    """`maze`: its 504 placements of the agent and two objects; the policy does not see the time."""
    placements = np.array(list(permutations(range(mazes.SIDE**2), 3)), np.int32)
    number = np.zeros((mazes.SIDE**2,) * 3, np.int32)
    number[tuple(placements.T)] = np.arange(len(placements))
    actions = jnp.arange(4)
    agents = np.asarray(jax.vmap(lambda p: jax.vmap(lambda a: mazes.moved(p, a))(actions))(placements[:, 0]))
    worth = jax.vmap(jax.vmap(mazes.worth, (None, 0, None)), (None, 0, 0))
    rewards = worth(mazes.Params(), jnp.asarray(agents), jnp.asarray(placements[:, 1:]))
    successors = np.zeros((len(placements), 4, mazes.SIDE**2 - 2), np.int32)
    for state, (_, blue, green) in enumerate(placements):
        for action, agent in enumerate(agents[state]):
            free = [cell for cell in range(mazes.SIDE**2) if cell not in (agent, blue, green)]
            reached = {"blue": agent == blue, "green": agent == green}
            if reached["blue"]:
                successors[state, action] = [number[agent, cell, green] for cell in free]
            elif reached["green"]:
                successors[state, action] = [number[agent, blue, cell] for cell in free]
            else:
                successors[state, action] = number[agent, blue, green]
    probabilities = jnp.full(successors.shape, 1.0 / successors.shape[-1])
    start = jnp.full(len(placements), 1.0 / len(placements))
    return Process(jnp.asarray(successors), probabilities, rewards, start, jnp.float32(discount), mazes.LENGTH)


def expected_return(process: Process, logits: Float[Array, "X A"]) -> Scalar:
    """Of an episode under a softmax policy."""
    policy = jax.nn.softmax(logits)

    def backup(value: Float[Array, " X"], _: None) -> tuple[Float[Array, " X"], None]:
        ahead = (process.probabilities * value[process.successors]).sum(-1)
        return (policy * (process.rewards + process.discount * ahead)).sum(-1), None

    value, _ = jax.lax.scan(backup, jnp.zeros(len(process.start)), None, length=process.horizon)
    return process.start @ value


def visits(process: Process, logits: Float[Array, "X A"]) -> Float[Array, " X"]:
    """How often an episode is expected to be in each state."""
    policy = jax.nn.softmax(logits)

    def onward(share: Float[Array, " X"], _: None) -> tuple[Float[Array, " X"], Float[Array, " X"]]:
        moving = share[:, None, None] * policy[..., None] * process.probabilities
        return jnp.zeros_like(share).at[process.successors].add(moving), share

    return jax.lax.scan(onward, process.start, None, length=process.horizon)[1].sum(0)


def judge(process: Process) -> Loss:
    """The outer loss: the negative expected return, exactly."""
    return lambda params, frozen, eta, batch: (-expected_return(process, params), None)


def exact_loss(process: Process) -> Loss:
    """The expectation of `sampled_loss`: return, and entropy where the policy before the update went."""

    def loss(params: Params, frozen: Frozen, eta: Eta, batch: Array) -> tuple[Scalar, None]:
        bonus = visits(process, frozen) @ _entropy(params)
        return -expected_return(process, params) - eta["entropy_cost"] * bonus, None

    return loss


def sampled_loss(process: Process, episodes: int) -> Loss:
    """A policy gradient from episodes that are drawn from the policy before the update; the batch is their seed.

    Rewards to go, less their mean over the other episodes, which makes the gradient unbiased.
    """

    def loss(params: Params, frozen: Frozen, eta: Eta, batch: Array) -> tuple[Scalar, None]:
        states, actions = _drawn(process, frozen, jax.random.key(batch), episodes)
        weights = process.discount ** jnp.arange(process.horizon)[:, None]
        ahead = jnp.cumsum((weights * process.rewards[states, actions])[::-1], axis=0)[::-1]
        advantage = (ahead - ahead.mean(1, keepdims=True)) * episodes / (episodes - 1)
        chosen = jax.nn.log_softmax(params)[states, actions]
        bonus = _entropy(params)[states]
        return -(chosen * advantage + eta["entropy_cost"] * bonus).sum(0).mean(), None

    return loss


def _entropy(logits: Float[Array, "X A"]) -> Float[Array, " X"]:
    log_policy = jax.nn.log_softmax(logits)
    return -(jnp.exp(log_policy) * log_policy).sum(-1)


def _drawn(
    process: Process, logits: Float[Array, "X A"], key: PRNGKey, episodes: int
) -> tuple[Int[Array, "T B"], Int[Array, "T B"]]:
    """States and actions of episodes."""
    pick: Callable = jax.random.categorical
    start_key, run_key = jax.random.split(key)
    start = pick(start_key, jnp.log(process.start), shape=(episodes,))

    def onward(states: Int[Array, " B"], key: PRNGKey) -> tuple[Int[Array, " B"], tuple]:
        action_key, move_key = jax.random.split(key)
        actions = pick(action_key, logits[states])
        which = pick(move_key, jnp.log(process.probabilities[states, actions]))
        return process.successors[states, actions, which].astype(states.dtype), (states, actions)

    return jax.lax.scan(onward, start, jax.random.split(run_key, process.horizon))[1]
