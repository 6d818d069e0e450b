"""Short-horizon bias: how far must a meta-gradient look before it has the right sign?

A quadratic with a noisy steep direction and a quiet flat one (after Wu et al. 2018, https://arxiv.org/abs/1803.02021).
Whatever the rate, a lower one makes the last step less noisy, so a short window says: lower it. Along the flat
direction progress takes the whole run, so the whole run says: raise it.

    python docs/figures/short_horizon.py        writes short_horizon.svg beside this file
"""

from collections.abc import Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import optax

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


def figure(windows: Sequence[int] = range(1, HORIZON + 1)) -> str:
    """The picture, as SVG."""
    heights = [float(truncated_gradient(unroll)) for unroll in windows]
    truth, forward = float(true_gradient()), float(forward_gradient())
    low, high = min([*heights, truth, 0.0]), max([*heights, 0.0])

    def x(unroll: float) -> float:
        return 70 + 460 * (unroll - 1) / (HORIZON - 1)

    def y(height: float) -> float:
        return 40 + 230 * (high - height) / (high - low)

    curve = " ".join(f"{x(unroll):.1f},{y(height):.1f}" for unroll, height in zip(windows, heights, strict=True))
    dots = "".join(f'<circle cx="{x(u):.1f}" cy="{y(h):.1f}" r="2.5"/>' for u, h in zip(windows, heights, strict=True))
    ticks = "".join(
        f'<text x="{x(u):.1f}" y="296" text-anchor="middle">{u}</text>' for u in (1, *range(5, HORIZON + 1, 5))
    )
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 330" font-family="sans-serif" font-size="12">
<rect width="640" height="330" fill="white"/>
<text x="70" y="22" font-size="14">Meta-gradient of the log learning rate after {HORIZON} updates</text>
<g stroke="#999"><line x1="70" y1="{y(0):.1f}" x2="530" y2="{y(0):.1f}"/><line x1="70" y1="40" x2="70" y2="270"/></g>
<text x="62" y="{y(0) + 4:.1f}" text-anchor="end">0</text>
<text x="62" y="{y(high) + 4:.1f}" text-anchor="end">{high:.3f}</text>
<text x="62" y="{y(truth) + 4:.1f}" text-anchor="end">{truth:.3f}</text>
<text x="536" y="{y(high) + 14:.1f}">lower the rate</text><text x="536" y="{y(truth) - 8:.1f}">raise it</text>
<line x1="70" y1="{y(truth):.1f}" x2="530" y2="{y(truth):.1f}" stroke="#2a7f3f" stroke-dasharray="6 4"/>
<text x="210" y="{y(truth) - 8:.1f}" fill="#2a7f3f">the truth, and forward(): {forward:.3f}</text>
<g fill="#c0392b"><polyline points="{curve}" fill="none" stroke="#c0392b" stroke-width="2"/>{dots}
<text x="{x(7):.1f}" y="{y(0) - 30:.1f}">truncated(unroll)</text></g>
{ticks}<text x="300" y="318" text-anchor="middle">unroll: updates that are differentiated</text>
</svg>
"""


if __name__ == "__main__":
    Path(__file__).with_suffix(".svg").write_text(figure())
