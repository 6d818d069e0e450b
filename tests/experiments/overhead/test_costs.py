"""Operations of compiled programs, against a count by hand and against the floors."""

import jax
import jax.numpy as jnp
import pytest

from selftune.experiments.overhead.costs import measure, temporary_bytes
from selftune.experiments.overhead.floors import Floors
from selftune.experiments.overhead.updates import Setting
from selftune.experiments.overhead.variants import plain_updates, tuned_update

SIDE = 64
PRODUCT = 2 * SIDE**3
"""Operations of one product of two square matrices."""


def products(*lengths):
    """One product outside any loop, and one in each iteration of loops of these lengths."""

    def prepare():
        def function(x, y):
            x = x @ y
            for length in lengths:
                x, _ = jax.lax.scan(lambda x, _: (x @ y, None), x, None, length=length)
            return x

        return function, (jnp.ones((SIDE, SIDE)), jnp.ones((SIDE, SIDE)))

    return prepare


@pytest.mark.parametrize("lengths", [(), (6,), (5,), (4, 7), (3, 3)])
def test_every_iteration_of_every_loop_counts(lengths):
    assert measure(products(*lengths)).flops == pytest.approx((1 + sum(lengths)) * PRODUCT, rel=0.01)


def test_scans_are_scans_again_afterwards():
    before = jax.lax.scan
    measure(products(4))
    assert jax.lax.scan is before


def test_the_program_can_be_called():
    cost = measure(products(3))
    assert float(cost.program(*cost.arguments)[0, 0]) == float(SIDE**4)


def test_what_is_kept_for_the_way_back_is_seen():
    def prepare(length):
        def loss(x):
            return jax.lax.scan(lambda x, _: (jnp.sin(x), None), x, None, length=length)[0].sum()

        return lambda: (jax.grad(loss), (jnp.ones(10_000),))

    short, long = (temporary_bytes(prepare(length)) for length in (4, 64))
    assert long - short == pytest.approx(60 * 4 * 10_000, rel=0.1)  # an array of 10 000 floats an iteration


def test_floors_tend_to_the_fractions_of_deep_networks():
    deep = Floors(forward=1.0, inputs=1.0)
    assert deep.plain == 3.0
    assert deep.one_step(in_loss=True) == pytest.approx(8 / 3)
    assert deep.next_batch(in_loss=True, same_loss=False) == pytest.approx(7 / 3)
    assert deep.next_batch(in_loss=True, same_loss=True) == pytest.approx(5 / 3)
    assert deep.window(8) == pytest.approx(3 + 1 / 8)
    assert deep.forward_mode(8, 3, deep.hessian_vector) == pytest.approx(1 + 2 * 3 + 1 / 8)
    assert deep.evolution(1, 4, in_loss=True) == pytest.approx(9 * 4 / 3 - 8 / 3)


def test_the_floor_of_the_network_by_hand():
    # Layers 32x32, 32x32, 32x1: 2080 products a row; without the first layer, 1056.
    floors = Floors.of(32)
    assert (floors.forward, floors.inputs) == (2080.0, 1056.0)
    assert floors.plain == 2 * 2080 + 1056


@pytest.mark.parametrize("name", ["truncated", "truncated, same loss"])
def test_large_batches_come_near_the_floor_and_not_below(name):
    setting = Setting(width=32, batch=2048, unroll=1, metaparameters=1)
    work = setting.workload()
    plain = measure(lambda: plain_updates(work, 1))
    assert plain.flops == pytest.approx(2 * setting.batch * Floors.of(32).plain, rel=0.15)
    variant = next(variant for variant in setting.variants() if variant.name == name)
    found = measure(lambda: tuned_update(work, variant)).flops / plain.flops
    assert 0.95 * variant.floor < found < 1.3 * variant.floor
