"""One endless stream of two-colors, in which the objects swap their roles every so many steps.

The step decides the sign of `blue_reward` inside the compiled program. Flennerhag et al. 2022 (arXiv:2109.04504) and
Luketina et al. 2022 (PMLR 199) swap every 100 000 steps.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from selftune.envs.worlds.grid import ColorsParams, ColorsState, two_colors
from selftune.types import Array, Float, Int, PRNGKey, Scalar

ENV = two_colors()
ACTIONS = 4


class Stream(NamedTuple):
    """What is the same for a whole run."""

    flip_every: int = 100_000
    """Steps between two swaps."""
    respawn_all: bool = False
    """Whether a collection places everything anew, or the collected object alone."""
    step_cost: float = 0.04
    """Of a step that collects nothing."""

    def physics(self, step: Int[Array, ""]) -> ColorsParams:
        """The world at a step: blue is good in the even stretches, red in the odd ones."""
        sign = 1.0 - 2.0 * ((step // self.flip_every) % 2).astype(jnp.float32)
        return ColorsParams()._replace(blue_reward=sign, step_cost=self.step_cost, respawn_all=self.respawn_all)


class Place(NamedTuple):
    """Where the stream stands; `world.time` counts its steps."""

    world: ColorsState
    observation: Float[Array, " 30"]


class Rollout(NamedTuple):
    """`T` steps in a row."""

    observation: Float[Array, "T 30"]
    action: Int[Array, " T"]
    reward: Float[Array, " T"]
    next_observation: Float[Array, "T 30"]
    """After a collection that places everything anew this is the new placement: the stream has no episodes."""


def begin(stream: Stream, key: PRNGKey) -> Place:
    """A random placement at step 0."""
    observation, world = ENV.reset(key, stream.physics(jnp.int32(0)))
    return Place(world, observation)


def rollout(
    stream: Stream, logits: Callable[[Float[Array, " 30"]], Float[Array, " 4"]], place: Place, key: PRNGKey, length: int
) -> tuple[Place, Rollout]:
    """Act for `length` steps by the policy that `logits` describes."""
    choice_key, world_key = jax.random.split(key)
    noise = jax.random.gumbel(choice_key, (length, ACTIONS))
    keys = jax.random.split(world_key, length)

    def step(place: Place, chance: tuple) -> tuple[Place, Rollout]:
        gumbel, key = chance
        action = jnp.argmax(logits(place.observation) + gumbel)
        observation, world, reward, *_ = ENV.step(key, place.world, action, stream.physics(place.world.time))
        return Place(world, observation), Rollout(place.observation, action, reward, observation)

    return jax.lax.scan(step, place, (noise, keys))


def best_return(respawn_all: bool, step_cost: float) -> Scalar | float:
    """Reward per step of one who knows which object is good and takes the shortest way around the other.

    Derived by breadth-first search over 200 000 steps: 0.289 collections a step where the collected object alone comes
    back, 0.298 where everything is placed anew; the steps between cost `step_cost`.
    """
    collections = 0.298 if respawn_all else 0.289
    return collections - step_cost * (1.0 - collections)
