"""A small regression learner, tuned."""

import jax
import jax.numpy as jnp

from selftune.learning import learner
from selftune.metaparams import MetaParam, values
from selftune.optim import adam
from selftune.tuning import Tuner, tuner

KEY = jax.random.key(0)
PARAMS = {"weight": jnp.array([[0.5, -1.0], [0.2, 0.8]]), "bias": jnp.array([0.1, 0.0])}


def batches(*seeds: int):
    """Inputs [K, 6, 2] and targets [K, 6, 2]."""
    x = jax.vmap(lambda seed: jax.random.normal(jax.random.key(seed), (6, 2)))(jnp.array(seeds))
    return x, jnp.sin(2.0 * x)


def batch(seed: int):
    """Without the leading axis."""
    return jax.tree.map(lambda leaf: leaf[0], batches(seed))


def predict(params, x):
    """[6, 2] -> [6, 2]."""
    return jnp.tanh(x @ params["weight"] + params["bias"][None])


def loss(params, frozen, eta, data):
    """Fit, and a cost on the weights."""
    x, y = data
    return jnp.square(predict(params, x) - y).mean() + eta["cost"] * jnp.square(params["weight"]).sum(), None


def meta_loss(params, frozen, eta, data):
    """Fit alone."""
    x, y = data
    return jnp.square(predict(params, x) - y).mean(), {"note": jnp.asarray(1.0)}


def rule(eta):
    """Adam at the learned rate."""
    return adam(eta["learning_rate"], eps=1e-3)


def spec(learning_rate=0.05, cost=0.1):
    """Two metaparameters."""
    return {"learning_rate": MetaParam(learning_rate), "cost": MetaParam(cost)}


def start(example=None, the_spec=None, **arguments) -> tuple:
    """`(tuner, meta, state)`."""
    the_spec = spec() if the_spec is None else the_spec
    tuning: Tuner = tuner(the_spec, learner(loss, rule), meta_loss, **arguments)
    state = tuning.learner.init(PARAMS, values(the_spec))
    return tuning, tuning.init(state, example), state
