"""Rows of the log: what a chunk tells, summed up."""

from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest

from selftune.runner.rows import Rows
from selftune.runner.session import Telemetry


def told(returns, rewards):
    """A chunk of two updates in which episodes of 10 steps ended."""
    steps = SimpleNamespace(loss=np.zeros(1), distance=np.zeros(1), aux={})
    info = SimpleNamespace(eta={}, meta_grad={}, guards={}, steps=steps, meta_loss=0.0, meta_aux={})
    lengths = np.full(len(returns), 10)
    return Telemetry(np.array(returns), lengths, np.array(rewards), info, {"numeric": jnp.int32(1)})  # pyright: ignore


def test_one_reward_that_is_no_number_hides_no_other():
    """The mean of 3 and 5, and of 1 and 3."""
    rows = Rows(16)
    rows.include(told([3.0, np.nan], [1.0, np.nan]))
    rows.include(told([5.0, np.inf], [3.0, np.nan]))
    row = rows.take(4)
    assert row["return_mean"] == pytest.approx(4.0)
    assert row["return_episodes"] == 2
    assert row["length_mean"] == pytest.approx(10.0)
    assert row["reward_mean"] == pytest.approx(2.0)


def test_where_no_number_is_known_there_is_none_to_tell():
    rows = Rows(16)
    rows.include(told([np.nan], [np.nan, np.nan]))
    assert rows.sums()["updates"] == 2, "which a checkpoint within a row needs to know"
    row = rows.take(2)
    assert row["return_mean"] is row["reward_mean"] is row["length_mean"] is None


def test_a_checkpoint_that_did_not_count_its_rewards_apart():
    """Two updates of reward 1 before, and one whose reward is 4."""
    rows = Rows(16, sums={"updates": 2.0, "rewards": 2.0, "episodes": 0.0})
    rows.include(told([], [4.0]))
    assert rows.take(3)["reward_mean"] == pytest.approx(2.0)
    assert Rows(16).sums() == {}
