"""The tables are the worlds; sampled updates are the exact ones on average; what is exact meets the truth."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import selftune as st
from selftune.envs.worlds import mazes, world
from selftune.experiments.published import gradients, processes

KEY = jax.random.key(0)


def test_the_tables_of_the_maze_are_the_world():
    process, env = processes.maze_process(), world("maze")
    assert process.rewards.shape == (504, 4)
    places = np.array([[4, 5, 1], [0, 8, 3], [2, 1, 5]])  # numbered in the order of permutations
    numbers = [next(i for i, p in enumerate(processes.permutations(range(9), 3)) if p == tuple(row)) for row in places]
    step = jax.jit(jax.vmap(env.step, (0, None, None, None)))
    keys = jax.random.split(KEY, 200)
    order = list(processes.permutations(range(9), 3))
    for place, number in zip(places, numbers, strict=True):
        for action in range(4):
            state = mazes.State(jnp.asarray(place, jnp.int32), jnp.int32(0))
            _, after, reward, *_ = step(keys, state, jnp.int32(action), env.params)
            assert (np.asarray(reward) == np.asarray(process.rewards)[number, action]).all()
            reached = {order[i] for i in np.asarray(process.successors)[number, action]}
            assert set(map(tuple, np.asarray(after.places).tolist())) == reached


def test_visits_and_returns_add_up():
    # Reward 1 everywhere: the return is (1 - .9^20) / (1 - .9) = 8.7842; an episode has 20 steps.
    process = jax.tree.map(lambda leaf: leaf[0], gradients.random_processes(1))
    logits = jax.random.normal(KEY, (10, 5))
    constant = dataclasses.replace(process, rewards=jnp.ones((10, 5)))
    np.testing.assert_allclose(processes.expected_return(constant, logits), 8.784233, rtol=1e-5)
    np.testing.assert_allclose(processes.visits(process, logits).sum(), 20.0, rtol=1e-5)


def test_a_sampled_update_is_the_exact_one_on_average():
    process = jax.tree.map(lambda leaf: leaf[0], gradients.random_processes(1))
    eta = {"entropy_cost": 0.1}
    logits = 0.3 * jax.random.normal(KEY, (10, 5))
    slope = jax.grad(processes.sampled_loss(process, 20), has_aux=True)
    seeds = jax.random.bits(KEY, (2000,))
    every = jax.jit(jax.vmap(lambda seed: slope(logits, logits, eta, seed)[0]))(seeds)
    exact = jax.grad(processes.exact_loss(process), has_aux=True)(logits, logits, eta, seeds[0])[0]
    error = every.std(0) / 2000**0.5
    assert (abs(every.mean(0) - exact) < 4.5 * error + 1e-6).all()
    assert jnp.linalg.norm(every.mean(0) - exact) < 0.1 * jnp.linalg.norm(exact)


def test_a_whole_window_of_exact_updates_meets_the_truth_and_a_shorter_one_is_biased():
    whole = gradients.compare_random(st.truncated(3), False, 1, 1)
    assert whole.correlations()[0] > 0.9999
    assert whole.bias() < 1e-3
    assert gradients.compare_random(st.truncated(1), False, 1, 1).bias() > 0.3


def test_in_the_maze_a_bootstrapped_target_feels_the_entropy_cost():
    # The first update starts at the uniform policy, whose entropy has no slope: what differentiates it alone finds 0.
    truth = gradients.maze_truth(False, 1)
    estimator = gradients.estimators(gradients.UPDATES["maze"], False)["bootstrapped(7, 2)"]
    compared = gradients.compare_maze(estimator, False, 1, truth)
    assert compared.correlations()[0] > 0.99
    assert np.linalg.norm(compared.estimates) > 0.1 * np.linalg.norm(truth)


def test_the_noise_of_a_mean_of_few_estimates_is_no_bias():
    chance, truth = np.random.default_rng(0), np.ones((4, 25))
    noisy = truth[:, None] + 2.0 * chance.standard_normal((4, 8, 25))
    assert gradients.Compared(noisy, truth).bias() < 0.25, "the mean of eight is .7 away"
    assert gradients.Compared(noisy + 0.5, truth).bias() == pytest.approx(0.5, abs=0.15)
    assert gradients.Compared(truth[:, None] + 0.5, truth).bias() == pytest.approx(0.5)
