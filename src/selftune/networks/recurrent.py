"""Networks that remember: a gated recurrent unit between a torso and a linear head."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Shaped

from selftune.networks.choosing import suited
from selftune.networks.perceptron import mlp
from selftune.types import Params, PRNGKey

Carry: TypeAlias = Float[Array, "B H"]


class Recurrent(NamedTuple):
    """Pure functions of a network with a carry, the memory that each of `B` environments takes from step to step."""

    init: Callable[[PRNGKey], Params]
    """`init(key) -> params`: floating-point arrays and nothing else."""
    rest: Callable[[int], Carry]
    """`rest(B) -> carry` [B, H] of zeros."""
    step: Callable[[Params, Carry, Array, Array], tuple[Array, Carry]]
    """`step(params, carry, observation [B, ...], first [B]) -> (output [B, out], carry)`.

    `first` marks an episode's first observation, before which the carry becomes zero.
    """
    unroll: Callable[[Params, Carry, Array, Array], tuple[Array, Array, Carry]]
    """`unroll(params, carry, observation [T, B, ...], first [T, B]) -> (outputs, carries, carry)`, in `T` steps.

    Outputs are [T, B, out], carries [T, B, H]. `carries[t]` is what step t was given, before `first` emptied it: so
    `carries[t + 1]` is what step t left, and goes with its true successor even where the episode ended.
    """


class Cell(NamedTuple):
    """What the carry says to the next one; what the observation says, bias included, is the torso's."""

    gates: Float[Array, "H 2*H"]
    """To the update gate and the reset gate."""
    candidate: Float[Array, "H H"]


class Memory(NamedTuple):
    """Parameters of `gru`."""

    torso: Params
    cell: Cell
    head: Params


def gru(
    in_shape: Sequence[int],
    out_size: int,
    hidden: int = 64,
    torso: Sequence[int] = (64,),
    out_scale: float = 1.0,
) -> Recurrent:
    """A gated recurrent unit (Cho et al. 2014, section 2.3, https://arxiv.org/abs/1406.1078).

    From features x of the observation and the carry h, with sigma the logistic function::

        z  = sigma(W_z x + U_z h + b_z)                # update gate
        r  = sigma(W_r x + U_r h + b_r)                # reset gate
        c  = tanh(W_c x + U_c (r * h) + b_c)           # candidate
        h' = z * h + (1 - z) * c
        output = V h' + v

    The torso is the network `suited` to the observations, and W its last layer; all weights begin as those of `mlp`.

    Args:
        in_shape: shape of one observation.
        out_size: number of outputs.
        hidden: size of the carry, `H`.
        torso: widths of the hidden layers that make the features; with none, x is the observation itself.
        out_scale: factor on the head's initial weights.

    Returns:
        `Recurrent`; its parameters are a `Memory`.
    """
    features = suited(in_shape, 3 * hidden, torso)
    head = mlp((hidden,), out_size, (), out_scale=out_scale)

    def init(key: PRNGKey) -> Memory:
        torso_key, cell_key, head_key = jax.random.split(key, 3)
        return Memory(features.init(torso_key), _init_cell(cell_key, hidden), head.init(head_key))

    def rest(batch: int) -> Carry:
        return jnp.zeros((batch, hidden))

    def step(
        params: Memory, carry: Carry, observation: Shaped[Array, "B ..."], first: Bool[Array, " B"]
    ) -> tuple[Float[Array, "B out"], Carry]:
        carry = _advance(params.cell, carry, features.apply(params.torso, observation), first)
        return head.apply(params.head, carry), carry

    def unroll(
        params: Memory, carry: Carry, observation: Shaped[Array, "T B ..."], first: Bool[Array, "T B"]
    ) -> tuple[Float[Array, "T B out"], Float[Array, "T B H"], Carry]:
        def body(carry, inputs):
            after = _advance(params.cell, carry, *inputs)
            return after, (carry, after)

        last, (before, after) = jax.lax.scan(body, carry, (features.apply(params.torso, observation), first))
        return head.apply(params.head, after), before, last

    return Recurrent(init, rest, step, unroll)


def _init_cell(key: PRNGKey, size: int) -> Cell:
    gates_key, candidate_key = jax.random.split(key)
    draw = jax.nn.initializers.lecun_normal()
    return Cell(draw(gates_key, (size, 2 * size)), draw(candidate_key, (size, size)))


def _advance(cell: Cell, carry: Carry, inputs: Float[Array, "B 3*H"], first: Bool[Array, " B"]) -> Carry:
    """The next carry; `inputs` are what the observation says to update gate, reset gate and candidate."""
    h = jnp.where(first[:, None], 0.0, carry)
    to_update, to_reset, to_candidate = jnp.split(inputs, 3, axis=-1)
    by_update, by_reset = jnp.split(h @ cell.gates, 2, axis=-1)
    update, reset = jax.nn.sigmoid(to_update + by_update), jax.nn.sigmoid(to_reset + by_reset)
    candidate = jnp.tanh(to_candidate + (reset * h) @ cell.candidate)
    return (update * h + (1 - update) * candidate).astype(carry.dtype)
