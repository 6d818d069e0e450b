"""A cue that must be kept in mind: what no policy without memory can do."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from selftune.envs.native import Environment
from selftune.errors import SettingError
from selftune.spaces import Box, Discrete
from selftune.types import Array, Float, Int, PRNGKey


class Params(NamedTuple):
    """Physics of `recall`."""

    delay: int = 5
    """Blank observations between the cue and the query."""


class State(NamedTuple):
    """What was shown, and how long ago."""

    cue: Int[Array, ""]
    time: Int[Array, ""]


def recall(cues: int = 4) -> Environment:
    """Repeat at the end what was shown at the beginning.

    The bare idea of a T-maze (Bakker 2002, Reinforcement Learning with Long Short-Term Memory): the first observation
    is a cue, `delay` blank ones follow, then a query that is the same whatever the cue was. The action at the query
    terminates the episode, `delay + 2` steps long, and pays 1 if it is the number of the cue and -1 if not; actions
    before it do nothing. Without memory the mean return is at most 2 / cues - 1.

    Args:
        cues: number of cues and of actions, at least 2.

    Returns:
        An environment that observes [cues + 1]: the cue, one-hot, in the first observation only, and last the flag of
        the query.

    Raises:
        SettingError: if there are fewer than 2 cues.
    """
    if cues < 2:
        raise SettingError(f"Got {cues} cues, expected at least 2: one alone is known without looking.")

    def observe(state: State, params: Params) -> Float[Array, " cues_and_query"]:
        shown = jax.nn.one_hot(state.cue, cues, dtype=jnp.float32) * (state.time == 0)
        query = (state.time > params.delay).astype(jnp.float32)
        return jnp.concatenate([shown, query[None]])

    def reset(key: PRNGKey, params: Params) -> tuple[Float[Array, " cues_and_query"], State]:
        state = State(jax.random.randint(key, (), 0, cues, jnp.int32), jnp.int32(0))
        return observe(state, params), state

    def step(key: PRNGKey, state: State, action: Int[Array, ""], params: Params):
        asked = state.time > params.delay
        answer = jnp.where(action == state.cue, jnp.float32(1.0), jnp.float32(-1.0))
        state = State(state.cue, state.time + 1)
        reward = jnp.where(asked, answer, jnp.float32(0.0))
        return observe(state, params), state, reward, asked, jnp.zeros((), bool), {}

    return Environment("recall", Params(), Box((cues + 1,)), Discrete(cues), reset, step)
