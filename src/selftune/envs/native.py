"""The protocol of environments written in JAX, and `B` of them that step together inside a compiled program.

Gymnax's interface (https://github.com/RobertTLange/gymnax): functions of a key, a state and the physics. `params` is an
argument of every call, so that a world that drifts is a change of `params` and recompiles nothing.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from selftune import _tree
from selftune.spaces import Box, Discrete, Space
from selftune.types import Array, Bool, Float, Int, PRNGKey, PyTree


def unchanged(params: PyTree, step: Any) -> PyTree:
    """The physics of a world that does not drift."""
    return params


class Environment(NamedTuple):
    """One world; pure functions of one environment, batched by `jax.vmap`."""

    name: str
    params: PyTree
    """The physics, as it is unless somebody changes it: a NamedTuple of numbers, strongly typed in `jit`."""
    observation_space: Space
    action_space: Space
    reset: Callable[[PRNGKey, PyTree], tuple[PyTree, PyTree]]
    """`reset(key, params) -> (observation, state)`."""
    step: Callable[[PRNGKey, PyTree, Any, PyTree], tuple[PyTree, PyTree, Any, Any, Any, dict]]
    """`step(key, state, action, params) -> (observation, state, reward, terminated, truncated, info)`; never resets."""
    render: Callable[[PyTree, PyTree], Any] | None = None
    """`render(state, params) -> [H, W, 3]` uint8, on the host."""
    physics: Callable[[PyTree, Any], PyTree] = unchanged
    """`physics(params, step) -> params`: what `params` have become after `step` environment steps, an int32 that is
    summed over parallel environments; see `selftune.envs.drift`."""
    ahead: Callable[[PyTree, Any], PyTree] = unchanged
    """`ahead(params, steps) -> params`: the same physics, seen by who acts so many environment steps later: that is the
    step whose changes are announced."""


class Worlds(NamedTuple):
    """Where `B` environments stand."""

    state: PyTree
    observation: PyTree
    """[B, ...] what to act on next."""
    first: Bool[Array, " B"]
    """Whether that is the first observation of an episode."""
    returns: Float[Array, " B"]
    """Undiscounted return of the episode so far."""
    lengths: Int[Array, " B"]


class NativeStep(NamedTuple):
    """What one step of `B` environments gave."""

    reward: Float[Array, " B"]
    terminated: Bool[Array, " B"]
    truncated: Bool[Array, " B"]
    next_observation: PyTree
    """The true successor, before any reset."""
    finished: Bool[Array, " B"]
    returns: Float[Array, " B"]
    """Return of the episode that ended, where `finished`."""
    lengths: Int[Array, " B"]


def begin(env: Environment, params: PyTree, key: PRNGKey, num_envs: int) -> Worlds:
    """`B` new episodes."""
    observation, state = jax.vmap(env.reset, in_axes=(0, None))(jax.random.split(key, num_envs), params)
    nothing = jnp.zeros(num_envs)
    return _tree.strong(
        Worlds(state, encode(env, observation), jnp.ones(num_envs, bool), nothing, jnp.zeros(num_envs, jnp.int32))
    )


def advance(env: Environment, params: PyTree, worlds: Worlds, action: Array, key: PRNGKey) -> tuple[Worlds, NativeStep]:
    """One step in every environment, and a new episode wherever one ended.

    What is observed is acted upon one step of every environment later.

    Args:
        env: The world.
        params: Its physics now.
        worlds: Where the environments stand.
        action: [B] or [B, A], as an agent gives it: continuous actions in [-1, 1].
        key: Randomness of this step.
    """
    copies = worlds.first.shape[0]
    keys, params = jax.random.split(key, (2, copies)), env.ahead(params, copies)
    step = jax.vmap(env.step, in_axes=(0, 0, 0, None))
    observation, state, reward, terminated, truncated, _ = step(keys[0], worlds.state, _stretch(env, action), params)
    done = terminated | truncated
    fresh_observation, fresh_state = jax.vmap(env.reset, in_axes=(0, None))(keys[1], params)
    returns, lengths = worlds.returns + reward, worlds.lengths + 1
    successor, fresh = encode(env, observation), encode(env, fresh_observation)
    moved = Worlds(
        _choose(done, fresh_state, state),
        _choose(done, fresh, successor),
        done,
        jnp.where(done, 0.0, returns),
        jnp.where(done, 0, lengths),
    )
    moved = jax.tree.map(lambda new, old: new.astype(old.dtype), moved, worlds)
    return moved, NativeStep(reward.astype(jnp.float32), terminated, truncated, successor, done, returns, lengths)


def encode(env: Environment, observation: PyTree) -> PyTree:
    """Observations as a network takes them: whole numbers of a `Discrete` become one-hot."""
    space = env.observation_space
    return jax.nn.one_hot(observation - space.start, space.n) if isinstance(space, Discrete) else observation


def _stretch(env: Environment, action: Array) -> Array:
    """From what an agent gives to what the environment takes."""
    space = env.action_space
    if isinstance(space, Discrete):
        return action + space.start
    return stretch(space, action, jnp)


def stretch(space: Box, action: Any, xp: Any) -> Any:
    """Continuous actions [B, *shape] from [-1, 1] to the bounds of a space; unbounded ones as they are."""
    if space.low is None or space.high is None:
        return action
    low, high = (xp.asarray(bound, "float32").reshape(1, *space.shape) for bound in (space.low, space.high))
    return low + 0.5 * (xp.clip(action, -1.0, 1.0) + 1.0) * (high - low)


def _choose(mask: Bool[Array, " B"], yes: PyTree, no: PyTree) -> PyTree:
    """Row by row."""

    def choose(a: Array, b: Array) -> Array:
        return jnp.where(mask.reshape(-1, *[1] * (jnp.ndim(b) - 1)), a, b)

    return jax.tree.map(choose, yes, no)
