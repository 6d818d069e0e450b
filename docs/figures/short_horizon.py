"""Short-horizon bias: how far must a meta-gradient look before it has the right sign?

A quadratic with a noisy steep direction and a quiet flat one (after Wu et al. 2018, https://arxiv.org/abs/1803.02021).
Whatever the rate, a lower one makes the last step less noisy, so a short window says: lower it. Along the flat
direction progress takes the whole run, so the whole run says: raise it.

    python docs/figures/short_horizon.py        writes short_horizon.svg beside this file
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import optax
from drawing import GREEN, RED, panels, save
from matplotlib.figure import Figure

import selftune as st
from selftune.estimators import Estimator
from selftune.optim import sgd

HORIZON = 30
RATE = 0.5
STEEP, FLAT = 1.0, 0.02
NOISE = 0.22
START = {"steep": jnp.array(0.0), "flat": jnp.array(3.0)}


def loss(params, frozen, eta, target):
    """A batch is the place where the steep direction seems to have its minimum."""
    return 0.5 * (STEEP * (params["steep"] - target) ** 2 + FLAT * params["flat"] ** 2), None


SPEC = {"learning_rate": st.MetaParam(RATE)}
LEARNER = st.learner(loss, lambda eta: sgd(eta["learning_rate"]))


def tuning(estimator: Estimator) -> st.Tuner:
    """A tuner of the learning rate that never moves it."""
    return st.tuner(SPEC, LEARNER, loss, estimator, optax.set_to_zero())


def begin(tuner: st.Tuner):
    """The tuner's and the learner's state at the start of a run."""
    state = LEARNER.init(START, st.values(SPEC))
    return tuner.init(state), state


def targets(first: int = 0, last: int = HORIZON):
    """The minimum of the steep direction seems now here, now there; it is at 0, where the judge has it."""
    return NOISE * (-1.0) ** jnp.arange(first, last)


def true_gradient(window: int = HORIZON):
    """Of the sum of outer losses at the end of every `window` updates, with respect to the logarithm of the rate.

    Both directions have closed forms; here they are simply followed.
    """

    def outcome(log_rate):
        rate, steep, flat, total = jnp.exp(log_rate), START["steep"], START["flat"], 0.0
        for step, target in enumerate(targets(), 1):
            steep, flat = steep - rate * STEEP * (steep - target), flat * (1.0 - rate * FLAT)
            total += 0.5 * (STEEP * steep**2 + FLAT * flat**2) if step % window == 0 else 0.0
        return total

    return jax.grad(outcome)(jnp.log(RATE))


def truncated_gradient(unroll: int):
    """What the last `unroll` updates of the run say."""
    tuner = tuning(st.truncated(unroll))
    meta, state = begin(tuner)
    for target in targets(0, HORIZON - unroll):
        state, _, _ = tuner.act(meta, state, target)
    _, _, info = tuner.update(meta, state, targets(HORIZON - unroll), jnp.array(0.0), jax.random.key(0))
    return info.meta_grad["learning_rate"]


def forward_gradient(unroll: int = 1):
    """What forward mode says at the end of the run, having carried its derivatives over every window of it."""
    tuner = tuning(st.forward(unroll=unroll))
    (meta, state), found = begin(tuner), {}
    for first in range(0, HORIZON, unroll):
        window = targets(first, first + unroll)
        meta, state, info = tuner.update(meta, state, window, jnp.array(0.0), jax.random.key(0))
        found = info.meta_grad
    return found["learning_rate"]


def figure(windows: Sequence[int] = range(1, HORIZON + 1)) -> Figure:
    """The picture."""
    drawn, (axes,) = panels(1, 5.5, 3.0)
    heights = [float(truncated_gradient(unroll)) for unroll in windows]
    truth, forward = float(true_gradient()), float(forward_gradient())
    axes.axhline(0.0, color="#999", linewidth=0.8)
    axes.axhline(truth, color=GREEN, linestyle="--", label=f"the truth, {truth:.3f}, and forward(), {forward:.3f}")
    axes.plot(windows, heights, "o-", color=RED, markersize=3, label="truncated(unroll)")
    axes.set(
        title=f"Meta-gradient of the log learning rate after {HORIZON} updates",
        xlabel="unroll: updates that are differentiated",
        ylabel="raise the rate  <  0  <  lower it",
    )
    axes.legend(loc="center right")
    return drawn


if __name__ == "__main__":
    save(figure(), "short_horizon")
