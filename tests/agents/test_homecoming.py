"""Agents of values come home: what nobody chose does not stay, and what is to stay does not move."""

import math
from dataclasses import replace

import jax.numpy as jnp
import pytest

from selftune.agents import recipe_for
from selftune.agents.catalogue import AGENTS
from selftune.agents.tuners import OWN
from selftune.metaparams import tuned, values

from .setting import CHOICES, FORCES, SEEN, learned


def _of_values(agent):
    make, settings = AGENTS[agent]
    memory = {} if agent == "q_lambda" else {"batch_size": 4, "replay_capacity": 128, "warm_up": 16}
    work = {"updates": 2} if agent == "dqn" else {"replay_ratio": 0.25} if agent == "sac" else {}
    small = replace(settings, num_envs=2, rollout_length=4, hidden=(4,), **memory, **work)
    return make, small, FORCES if agent == "sac" else CHOICES


def test_agents_of_values_have_a_home_where_a_beginner_does_not_start():
    """The homes of rates are the literature's; a home of its own has DQN's epsilon."""
    homes = {
        "dqn": {"learning_rate": 3e-4, "epsilon": 0.05},
        "q_lambda": {},
        "sac": {"learning_rate": 3e-4, "critic_learning_rate": 3e-4},
    }
    for agent, home in homes.items():
        make, small, actions = _of_values(agent)
        assert make(SEEN, actions, settings=small).home == pytest.approx(home)


HOMING = {
    "dqn": {"discount": 0.9},
    "q_lambda": {"discount": 0.9, "target_mix": 0.1, "trace_decay": 0.5},
    "sac": {"target_mix": 0.1, "temperature": 0.5},
}


@pytest.mark.parametrize("agent", HOMING)
def test_no_gradient_moves_what_is_homing(agent):
    make, small, actions = _of_values(agent)
    recipe, begun = replace(OWN[agent], leak=0.0, reach=math.inf), HOMING[agent]
    _, _, info = learned(make(SEEN, actions, settings=small, recipe=recipe, init=begun), 8)
    assert {name: float(info.eta[name]) for name in begun} == pytest.approx(begun)
    assert float(info.eta["learning_rate"]) != pytest.approx(recipe.start.get("learning_rate", 2e-3), rel=1e-4)
    assert set(begun) <= set(info.meta_grad), "tuned, by the leak"


@pytest.mark.parametrize("agent", ["dqn", "q_lambda", "sac"])
def test_no_start_leaves_an_agent_of_values_stuck(agent):
    """After sixteen judged calls .7^16 = .003 of what lay beyond the reach is left, and what a gradient holds: less
    than .1, as its steps are .02 and three tenths of the excess come back."""
    make, small, actions = _of_values(agent)
    far = {"learning_rate": 1e-5, "discount": 0.6, "target_mix": 1e-4}
    far |= {"temperature": 0.01} if agent == "sac" else {"epsilon": 0.9}
    recipe = OWN[agent]
    assert far.keys() <= set(recipe.tune)

    _, _, info = learned(make(SEEN, actions, settings=small, init=far), 20)
    plain = make(SEEN, actions, settings=small, recipe=recipe_for("fixed", agent))
    homes = recipe.returning({name: float(value) for name, value in values(plain.spec).items()})
    spec = tuned(make(SEEN, actions, settings=small).spec)
    for name in far:

        def beyond(value, to_line=spec[name].constraint.coordinates, name=name):
            low, high = to_line((homes[name], recipe.start.get(name, homes[name])))
            place, _ = to_line((value, value))
            return float(jnp.maximum(low - place, place - high))

        was, is_now = beyond(far[name]), beyond(float(info.eta[name]))
        assert is_now < recipe.reach + 0.1 < was, name
