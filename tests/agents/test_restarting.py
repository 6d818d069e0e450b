import jax
import jax.numpy as jnp
import pytest

from selftune.agents.restarting import Detection, returns_so_far, suspect, unsuspecting
from selftune.types import Transitions


def test_pages_test_by_hand():
    """Mean, variance before each number: (0, 0), (1, 0), (2, 1), (2, .5), (1, 1.25), (.5, .875).

    Falls less the tolerance, from the third on: -.5; 2 / .7071 - .5 = 2.3284; 1 / 1.1180 - .5 = .3944;
    1.5 / .9354 - .5 = 1.1036. Their sum passes 3 at the last.
    """
    detection, detector = Detection(rate=0.5, tolerance=0.5, threshold=3.0, warm_up=2), unsuspecting()
    totals, changes = [], []
    for level in (1.0, 3.0, 2.0, 0.0, 0.0, -1.0):
        detector, changed = suspect(detection, detector, jnp.asarray(level))
        totals.append(float(detector.total))
        changes.append(bool(changed))
    assert totals == pytest.approx([0.0, 0.0, 0.0, 2.3284, 2.7229, 0.0], abs=1e-3)
    assert changes == [False] * 5 + [True]
    assert int(detector.seen) == 0, "it starts anew"


def test_what_is_not_finite_is_passed_over():
    detector, _ = suspect(Detection(), unsuspecting(), jnp.asarray(1.0))
    after, changed = suspect(Detection(), detector, jnp.asarray(jnp.nan))
    assert not bool(changed)
    assert jax.tree.map(float, after) == jax.tree.map(float, detector)


def test_a_steady_stream_is_no_change_and_a_fall_is():
    def run(levels):
        def step(detector, level):
            return suspect(Detection(), detector, level)

        return jax.lax.scan(step, unsuspecting(), levels)[1]

    noise = jax.random.normal(jax.random.key(0), (600,))
    rising = noise + jnp.linspace(0.0, 60.0, 600)
    falling = noise.at[400:].add(-6.0)
    steady, risen, fallen = jax.jit(jax.vmap(run))(jnp.stack([noise, rising, falling]))
    assert not steady.any()
    assert not risen.any()
    assert 400 <= int(jnp.argmax(fallen)) < 410


def test_the_return_so_far_is_discounted_backwards_and_cut_at_ends():
    def flow(ended):
        flag = jnp.array([[ended], [False]])
        nothing = jnp.zeros((2, 1))
        return returns_so_far(jnp.zeros(1), Transitions(nothing, nothing, jnp.ones((2, 1)), flag, flag, nothing))

    so_far, level = flow(ended=False)
    assert (float(so_far[0]), float(level)) == pytest.approx((1.99, 1.495))
    so_far, level = flow(ended=True)
    assert (float(so_far[0]), float(level)) == pytest.approx((1.0, 1.0))
