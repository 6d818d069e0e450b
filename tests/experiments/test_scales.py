"""`benchmarks/scales.py`: each condition is another world or another agent; returns are in the world's own scale."""

import runpy
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from selftune.agents.tuners import recipe_for

SCALES = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "scales.py"))
CONDITIONS = {one.name: one for one in SCALES["conditions"]()}


def stepped(name):
    world = SCALES["_world"]("cartpole", CONDITIONS[name])
    observation, state = world.reset(jax.random.key(0), world.params)
    return observation, world.step(jax.random.key(1), state, jnp.int32(0), world.params)[2]


@pytest.mark.parametrize("factor", [1e-3, 1e3])
def test_rewards_are_scaled_and_nothing_else(factor):
    (seen, reward), (usual, one) = stepped(f"rewards x {factor:g}"), stepped("usual")
    assert float(reward) == pytest.approx(factor * float(one))
    assert seen.tolist() == usual.tolist()


@pytest.mark.parametrize("factor", [1e-2, 1e2])
def test_observations_are_scaled_and_nothing_else(factor):
    (seen, reward), (usual, one) = stepped(f"observations x {factor:g}"), stepped("usual")
    assert seen.tolist() == pytest.approx((factor * usual).tolist())
    assert float(reward) == float(one)


def test_every_scale_that_is_asked_for_is_there():
    assert CONDITIONS["usual"].settings == {}
    assert {CONDITIONS[f"{count} environments"].settings["num_envs"] for count in (1, 4, 64, 256)} == {1, 4, 64, 256}
    assert {CONDITIONS[f"{width} units wide"].settings["hidden"] for width in (32, 512)} == {(32, 32), (512, 512)}


@pytest.mark.parametrize("rule", ["SGD inside", "RMSProp inside"])
def test_another_rule_makes_another_step(rule):
    usual = recipe_for("meta_gradient", "a2c")
    eta = {"max_grad_norm": 0.5, "adam_b1": 0.9, "adam_b2": 0.999, "adam_eps": 1e-5}
    gradient = {"weight": jnp.asarray([0.1, -0.02])}

    def step(recipe):
        rule = recipe.descend(1e-3, eta)
        return rule.update(gradient, rule.init(gradient), gradient)[0]["weight"].tolist()

    assert step(CONDITIONS[rule].change(usual)) != pytest.approx(step(usual), rel=0.1)


def test_a_row_tells_returns_in_the_worlds_own_scale():
    row = SCALES["_measured"](CONDITIONS["rewards x 1000"], "fixed", "cartpole", "a2c", 2, 4096, 7)
    assert all(5.0 < value < 200.0 for value in row.details["returns"])
    assert "--only rewards" in row.command
