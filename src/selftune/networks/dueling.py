"""The dueling network: a state's value, and what each action adds to it."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Shaped

from selftune.errors import SettingError
from selftune.networks.choosing import suited
from selftune.networks.network import Network
from selftune.networks.perceptron import mlp
from selftune.types import Params, PRNGKey


class Streams(NamedTuple):
    """The parameters of a dueling network."""

    torso: Params
    value: Params
    advantage: Params


def dueling(in_shape: Sequence[int], num_actions: int, hidden: Sequence[int] = (64, 64)) -> Network:
    """A network that parts in two before its last hidden layer: `q = v + a - mean(a)`.

    What is learned of one action then serves all actions of that state. Wang et al. 2016, equation 9
    (arXiv:1511.06581).

    Args:
        in_shape: shape of one observation, a vector or an image.
        num_actions: number of actions, `A`.
        hidden: widths of the dense hidden layers, two or more; both streams share all but the last.

    Returns:
        A `Network` from observations [..., *in_shape] to action values [..., A]; its parameters are `Streams`.

    Raises:
        SettingError: if there are fewer than two hidden layers: nothing would be shared.
    """
    if len(hidden) < 2:
        raise SettingError(f"dueling(hidden={tuple(hidden)}): expected two widths or more, one of them to be shared.")
    *below, shared, last = hidden
    torso = suited(in_shape, shared, below)
    value, advantage = mlp((shared,), 1, (last,)), mlp((shared,), num_actions, (last,))

    def init(key: PRNGKey) -> Streams:
        keys = jax.random.split(key, 3)
        return Streams(torso.init(keys[0]), value.init(keys[1]), advantage.init(keys[2]))

    def apply(params: Streams, observation: Shaped[Array, "..."]) -> Float[Array, "..."]:
        features = jnp.tanh(torso.apply(params.torso, observation))
        a = advantage.apply(params.advantage, features)
        return value.apply(params.value, features) + a - a.mean(axis=-1, keepdims=True)

    return Network(init, apply)
