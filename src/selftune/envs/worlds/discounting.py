"""Five chains that pay at different horizons: what an agent prefers tells its discount."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from selftune.envs.native import Environment
from selftune.spaces import Box, Discrete
from selftune.types import Array, Float, Int, PRNGKey

HORIZONS = np.array([1, 3, 10, 30, 100], np.int32)
"""The step of the reward on each chain."""

LENGTH = 100
"""Steps of an episode."""


class Params(NamedTuple):
    """Physics of `discounting_chain`."""

    best_chain: int = 3
    """Which chain pays `best_reward`, 0 to 4."""
    best_reward: float = 1.1
    reward: float = 1.0
    """Of every other chain."""


class State(NamedTuple):
    """Which chain one is on, and how far along."""

    chain: Int[Array, ""]
    """-1 before the first action."""
    time: Int[Array, ""]


def discounting_chain() -> Environment:
    """Choose one of five chains; each pays once, after 1, 3, 10, 30 or 100 steps, and one of them a tenth more.

    The world of bsuite (Osband et al. 2020, arXiv:1908.03568), where `mapping_seed` is what `best_chain` is here. The
    first action chooses the chain, later ones do nothing; the episode terminates after 100 steps. An agent whose
    discount is below 1.1^(-1/29) = 0.9967 prefers the first chain to the one of horizon 30.

    Returns:
        An environment that observes [2]: the number of the chain, -1 before the choice, and the time as a fraction of
        the episode; and has five actions.
    """
    return Environment("discounting_chain", Params(), Box((2,)), Discrete(len(HORIZONS)), _reset, _step)


def observe(chain: Int[Array, "*batch"], time: Int[Array, "*batch"]) -> Float[Array, "*batch 2"]:
    """What is seen on a chain at a time."""
    return jnp.stack([chain.astype(jnp.float32), time.astype(jnp.float32) / LENGTH], axis=-1)


def pays(params: Params, chain: Int[Array, "*batch"]) -> Float[Array, "*batch"]:
    """The reward at the horizon of a chain."""
    return jnp.where(chain == params.best_chain, jnp.float32(params.best_reward), jnp.float32(params.reward))


def _reset(key: PRNGKey, params: Params) -> tuple[Float[Array, " 2"], State]:
    state = State(jnp.int32(-1), jnp.int32(0))
    return observe(*state), state


def _step(key: PRNGKey, state: State, action: Int[Array, ""], params: Params):
    chain = jnp.where(state.time == 0, action, state.chain).astype(jnp.int32)
    state = State(chain, state.time + 1)
    due = state.time == jnp.asarray(HORIZONS)[chain]
    reward = jnp.where(due, pays(params, chain), jnp.float32(0.0))
    return observe(*state), state, reward, state.time >= LENGTH, jnp.zeros((), bool), {}
