"""The body of an actor-critic: its networks, what they are told, how it acts. Losses and updates are the agents'.

A recurrent policy (`memory > 0`) is a GRU; the critics are told what it carried, and need no memory of their own:
observation and carry together are all that the policy itself knows.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from selftune import _tree
from selftune.agents.agent import Choice
from selftune.agents.senses import CONTEXT, Senses, context, earn, horizons, see, senses
from selftune.agents.settings import ActorCriticSettings
from selftune.errors import SettingError, UnsupportedSpaceError
from selftune.networks.choosing import suited
from selftune.networks.network import flat
from selftune.networks.recurrent import gru
from selftune.objectives import ActorCritic, Distribution, Gaussian, categorical, gaussian
from selftune.spaces import Box, Discrete, Space
from selftune.types import Array, Bool, Eta, Float, Params, PRNGKey, PyTree, Transitions

FIRST_LOG_STD = -0.5
"""Of a continuous policy: actions lie in [-1, 1]."""


class Actor(NamedTuple):
    """What acting needs of an agent's state."""

    policy: Params
    observation: PyTree
    """Running statistics, or `()`."""
    horizons: PyTree
    """Discount and trace decay, where the networks are told them; else `()`."""


class Body(NamedTuple):
    """Networks and senses of an actor-critic agent."""

    init: Callable[[PRNGKey], Params]
    """Parameters `policy`, `critic`, `outer_critic`."""
    model: ActorCritic
    senses: Callable[[], Senses]
    actor: Callable[[Params, Senses, Eta], Actor]
    prepare: Callable[[Senses, Actor, Transitions], tuple[Senses, Transitions]]
    """A rollout as the losses see it; and the senses, which follow the scale of rewards."""
    rest: Callable[[int], PyTree]
    act: Callable[[Actor, PyTree, PyTree, Bool[Array, " B"], PRNGKey], Choice]
    decide: Callable[[Actor, PyTree, PyTree, Bool[Array, " B"]], Choice]
    example: Transitions
    """A rollout of zeros, as the losses see it."""


def body(observation_space: Space, action_space: Space, settings: ActorCriticSettings) -> Body:
    """Build the networks of an actor-critic for two spaces.

    Raises:
        UnsupportedSpaceError: Actions are neither Discrete nor a Box of one axis.
        SettingError: A setting that does not fit the observations.
    """
    shape = observation_space.encoded_shape
    _check_horizons(shape, settings)
    told = (shape[0] + 2 * settings.see_horizons,) if len(shape) == 1 else shape
    distribution, size = _distribution(action_space)
    policy = _policy(told, size, settings)
    critic = suited((math.prod(told) + settings.memory,) if settings.memory else told, 1, settings.hidden, 0.01)
    continuous = isinstance(action_space, Box)
    known = senses(observation_space, settings)

    def init(key: PRNGKey) -> Params:
        keys = jax.random.split(key, 3)
        net = policy.init(keys[0])
        acting = {"mean": net, "log_std": jnp.full(size, FIRST_LOG_STD)} if continuous else net
        return {"policy": acting, "critic": critic.init(keys[1]), "outer_critic": critic.init(keys[2])}

    def parameters(params: Params, output: Array) -> PyTree:
        if not continuous:
            return output
        return Gaussian(output, jnp.broadcast_to(params["log_std"], output.shape))

    def unrolled(params: Params, batch: Transitions) -> PyTree:
        start = jax.tree.map(lambda leaf: leaf[0], batch.notes["carry"]) if settings.memory else ()
        first = batch.notes["first"] if settings.memory else jnp.zeros(batch.reward.shape, bool)
        net = params["mean"] if continuous else params
        return parameters(params, policy.unroll(net, start, batch.observation, first))

    def values(params: Params, batch: Transitions) -> tuple[Float[Array, "T B"], Float[Array, "T B"]]:
        carries = (batch.notes["carry"], batch.notes["carry_after"]) if settings.memory else ((), ())
        moments = zip((batch.observation, batch.next_observation), carries, strict=True)
        v_tm1, v_t = (critic.apply(params, _beside(told, *moment))[..., 0] for moment in moments)
        return v_tm1, v_t

    def actor(params: Params, known: Senses, eta: Eta) -> Actor:
        return Actor(params["policy"], known.observation, horizons(eta) if settings.see_horizons else ())

    def prepare(known: Senses, actor: Actor, batch: Transitions) -> tuple[Senses, Transitions]:
        known, batch = earn(known, batch, settings.outer_discount)
        notes = dict(batch.notes) | {"context": context(known, batch.reward, settings.lifetime)}
        seen = (see(actor.observation, actor.horizons, o) for o in (batch.observation, batch.next_observation))
        observation, next_observation = seen
        batch = batch._replace(observation=observation, next_observation=next_observation, notes=notes)
        return known, _tree.typed(batch, example)

    def step(actor: Actor, carry: PyTree, observation: PyTree, first: Array) -> tuple[PyTree, PyTree, PyTree]:
        seen = see(actor.observation, actor.horizons, observation)
        net = actor.policy["mean"] if continuous else actor.policy
        before, output, after = policy.step(net, carry, seen, first)
        return before, parameters(actor.policy, output), after

    def act(actor: Actor, carry: PyTree, observation: PyTree, first: Bool[Array, " B"], key: PRNGKey) -> Choice:
        before, spread, after = step(actor, carry, observation, first)
        action = distribution.sample(spread, key)
        notes = {"log_probability": distribution.log_probability(spread, action)}
        if settings.memory:
            notes |= {"carry": before, "carry_after": after, "first": first}
        return Choice(action, after, notes)

    def decide(actor: Actor, carry: PyTree, observation: PyTree, first: Bool[Array, " B"]) -> Choice:
        _, spread, after = step(actor, carry, observation, first)
        return Choice(distribution.mode(spread), after)

    def rest(num_envs: int) -> PyTree:
        return jnp.zeros((num_envs, settings.memory)) if settings.memory else ()

    example = _example(told, observation_space, action_space, settings)
    model = ActorCritic(unrolled, values, distribution)
    return Body(init, model, lambda: known, actor, prepare, rest, act, decide, example)


class _Policy(NamedTuple):
    """A policy network with or without memory, behind one pair of signatures."""

    init: Callable[[PRNGKey], Params]
    unroll: Callable[[Params, PyTree, PyTree, Array], Array]
    step: Callable[[Params, PyTree, PyTree, Array], tuple[PyTree, Array, PyTree]]
    """`step(params, carry, observation, first) -> (carry before, output, carry after)`."""


def _policy(shape: tuple[int, ...], size: int, settings: ActorCriticSettings) -> _Policy:
    if not settings.memory:
        net = suited(shape, size, settings.hidden, 0.01)
        return _Policy(
            net.init,
            lambda params, start, observation, first: net.apply(params, observation),
            lambda params, carry, observation, first: ((), net.apply(params, observation), ()),
        )
    recurrent = gru(shape, size, settings.memory, settings.hidden[:1], 0.01)

    def step(params: Params, carry: Array, observation: Array, first: Array) -> tuple[Array, Array, Array]:
        before = jnp.where(first[:, None], 0.0, carry)
        output, after = recurrent.step(params, carry, observation, first)
        return before, output, after

    def unroll(params: Params, start: Array, observation: Array, first: Array) -> Array:
        return recurrent.unroll(params, start, observation, first)[0]

    return _Policy(recurrent.init, unroll, step)


def _beside(shape: tuple[int, ...], observation: Array, carry: PyTree) -> Array:
    """An observation and what the policy carried, as one vector."""
    if isinstance(carry, tuple):
        return observation
    return jnp.concatenate([flat(observation, shape, carry.dtype), carry], axis=-1)


def _check_horizons(shape: tuple[int, ...], settings: ActorCriticSettings) -> None:
    if settings.see_horizons and len(shape) != 1:
        raise SettingError(f"see_horizons appends two numbers to a vector; observations here have the shape {shape}.")
    if settings.see_horizons and (unknown := {"discount", "trace_decay"} & set(settings.contextual)):
        raise SettingError(
            f"see_horizons tells the networks the {min(unknown)} before a rollout, and contextual makes it a function "
            "of that rollout; leave one of the two out."
        )


def _distribution(space: Space) -> tuple[Distribution, int]:
    if isinstance(space, Discrete):
        return categorical, space.n
    if len(space.shape) != 1:
        raise UnsupportedSpaceError(f"Got actions of shape {space.shape}, expected Discrete or a Box of one axis.")
    return gaussian, space.shape[0]


def _example(told: tuple[int, ...], observations: Space, actions: Space, settings: ActorCriticSettings) -> Transitions:
    """Zeros, [T, B, ...]."""
    batch = (settings.length, settings.num_envs)
    dtype = observations.dtype if isinstance(observations, Box) and not settings.see_horizons else "float32"
    dtype = dtype if len(told) > 1 or "float" in dtype else "float32"  # as `see` gives vectors of whole numbers
    observation = jnp.zeros((*batch, *told), dtype)
    action = jnp.zeros(batch, jnp.int32) if isinstance(actions, Discrete) else jnp.zeros((*batch, *actions.shape))
    flag, number = jnp.zeros(batch, bool), jnp.zeros(batch)
    notes = {"log_probability": number, "context": jnp.zeros(CONTEXT)}
    if settings.memory:
        carry = jnp.zeros((*batch, settings.memory))
        notes |= {"carry": carry, "carry_after": carry, "first": flag}
    return Transitions(observation, action, number, flag, flag, observation, notes)
