"""Not only reinforcement learning: the learning rate and weight decay of a classifier of handwritten digits.

Beside a grid of fixed rates stands hypergradient descent (Baydin et al. 2018, https://arxiv.org/abs/1703.04782), which
moves the rate by the inner product of successive gradients. Published, for logistic regression of MNIST, ten epochs: it
lowered the validation loss of SGD from .374 to .288. It knows no weight decay; here both numbers are tuned, and the
batch that trains next is the judge of each update.
"""

import jax
import jax.numpy as jnp
import optax
from rich.console import Console
from rich.progress import track
from rich.table import Table
from sklearn.datasets import load_digits

import selftune as st

UPDATES, BATCH = 1500, 64
STARTS = (1e-4, 1e-2, 1.0)
NETWORK = st.networks.mlp((64,), 10, (64,), activation=jax.nn.relu)


def load():
    """Digits 8 x 8: 1,297 to train on, 500 to test."""
    images, labels = load_digits(return_X_y=True)
    order = jax.random.permutation(jax.random.key(0), len(labels))
    images, labels = jnp.asarray(images / 16.0, jnp.float32)[order], jnp.asarray(labels)[order]
    return (images[500:], labels[500:]), (images[:500], labels[:500])


def loss(params, frozen, eta, batch):
    images, labels = batch
    log_probability = jax.nn.log_softmax(NETWORK.apply(params, images))
    return -jnp.take_along_axis(log_probability, labels[:, None], axis=1).mean(), None


def rules(start):
    """How each method updates, and whether anything is tuned."""
    tuned = {"learning_rate": st.MetaParam(start), "weight_decay": st.MetaParam(1e-4)}
    still = {"learning_rate": start}
    return {
        "fixed": (still, lambda eta: st.optim.sgd(eta["learning_rate"])),
        "hypergradient descent": (
            still,
            lambda eta: st.optim.hypergradient_descent(eta["learning_rate"], meta_learning_rate=1e-3),
        ),
        "self-tuned": (
            tuned,
            lambda eta: optax.chain(
                st.optim.add_decayed_weights(eta["weight_decay"]), st.optim.sgd(eta["learning_rate"])
            ),
        ),
    }


def accuracy(spec, rule, train, test):
    """Train, and return the accuracy on the test images and the last learning rate."""
    learner = st.learner(loss, rule)
    guards = [st.guards.range({"learning_rate": (1e-6, 1.0)} if len(spec) > 1 else None), st.guards.numeric()]
    tuner = st.tuner(spec, learner, loss, st.truncated(1), optax.adam(0.02), guards)
    state = learner.init(NETWORK.init(jax.random.key(1)), st.values(spec))
    picks = jax.random.randint(jax.random.key(2), (UPDATES, 1, BATCH), 0, len(train[1]))

    @jax.jit
    def run(meta, state):
        def step(carry, pick):
            meta, state = carry
            batch = jax.tree.map(lambda leaf: leaf[pick], train)
            meta, state, info = tuner.update(meta, state, batch, None, jax.random.key(0))
            return (meta, state), info.eta["learning_rate"]

        return jax.lax.scan(step, (meta, state), picks)

    example = jax.tree.map(lambda leaf: leaf[picks[0]], train)
    (_, state), rates = run(tuner.init(state, example), state)
    right = NETWORK.apply(state.params, test[0]).argmax(axis=1) == test[1]
    return float(right.mean()), float(rates[-1])


def main():
    console = Console()
    train, test = load()
    table = Table("started at", *rules(1.0), title=f"test accuracy on digits after {UPDATES:,} updates of SGD")
    for start in track(STARTS, "training", console=console):
        row = []
        for name, (spec, rule) in rules(start).items():
            score, rate = accuracy(spec, rule, train, test)
            row.append(f"{score:.1%}" + (f" (rate {rate:.2g})" if name == "self-tuned" else ""))
        table.add_row(f"{start:g}", *row)
    console.print(table)


if __name__ == "__main__":
    main()
