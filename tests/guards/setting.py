"""A linear learner with a policy and a critic, to be guarded."""

import jax
import jax.numpy as jnp
import optax

from selftune.learning import learner
from selftune.metaparams import MetaParam, values
from selftune.optim import momentum
from selftune.tuning import Meta, Tuner, tuner

PARAMS = {"policy": jnp.array([0.5, -1.0, 0.2]), "critic": jnp.array([0.1, 0.3, -0.4])}
KEY = jax.random.key(0)


def batch(seed: int):
    """Inputs [8, 3] and targets [8]."""
    x = jax.random.normal(jax.random.key(seed), (8, 3))
    return x, jnp.sin(x).sum(axis=-1)


def window(*seeds: int):
    """Batches with a leading axis."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *map(batch, seeds))


def loss(params, frozen, eta, data):
    """Each part fits the targets; the cost draws the policy to zero."""
    x, y = data
    fit = sum(jnp.square(x @ part - y).mean() for part in params.values())
    return fit + eta["cost"] * jnp.square(params["policy"]).sum(), None


def meta_loss(params, frozen, eta, data):
    """How well both parts fit."""
    x, y = data
    return sum(jnp.square(x @ part - y).mean() for part in params.values()), None


def distance(old, new, data):
    """Mean squared change of what the policy says."""
    return jnp.square(data[0] @ (new["policy"] - old["policy"])).mean()


def start(guards, rate: float = 0.05, estimator=None, loss=loss) -> tuple[Tuner, Meta, object]:
    """A tuner with these guards, its state and the learner's."""
    spec = {"learning_rate": MetaParam(rate), "cost": MetaParam(0.1)}
    inner = learner(loss, lambda eta: momentum(eta["learning_rate"]))
    state = inner.init(PARAMS, values(spec))
    tuning = tuner(spec, inner, meta_loss, estimator, optax.adam(0.1), guards)
    return tuning, tuning.init(state, window(*range(1, tuning.estimator.window + 1))), state


def same_bits(left, right) -> bool:
    """Whether two trees are equal to the last bit."""
    pairs = zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True)
    return all(jnp.asarray(a).tobytes() == jnp.asarray(b).tobytes() for a, b in pairs)
