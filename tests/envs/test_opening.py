"""A name finds its suite, and says what is missing."""

import sys
from typing import ClassVar

import gymnasium
import jax.numpy as jnp
import numpy as np
import pytest

from selftune.agents import Agent, Choice
from selftune.envs import HostEnv, make, open_env, open_for_filming, opening, spaces_of
from selftune.envs.worlds import catch
from selftune.errors import MissingExtraError, SettingError
from selftune.runner.filming import film
from selftune.spaces import Box, Discrete


@pytest.mark.parametrize(("suite", "module"), [("gymnax", "gymnax"), ("brax", "brax.envs"), ("envpool", "envpool")])
def test_a_missing_suite_brings_the_command_that_installs_it(monkeypatch, suite, module):
    monkeypatch.setitem(sys.modules, module, None)  # importing it now fails
    with pytest.raises(MissingExtraError, match=rf'pip install "selftune\[{suite}\]"'):
        open_env(f"{suite}:Any-v0", 2)


def test_a_suite_gets_the_rest_of_the_name(monkeypatch):
    asked = []

    def pool(name, num_envs, **settings):
        asked.append((name, num_envs, settings))
        return make("CartPole-v1", num_envs)

    monkeypatch.setattr(opening, "from_gymnax", lambda name: catch()._replace(name=f"from_gymnax {name}"))
    monkeypatch.setattr(opening, "from_brax", lambda name: catch()._replace(name=f"from_brax {name}"))
    monkeypatch.setattr(opening, "make_envpool", pool)
    assert open_env("gymnax:Catch-bsuite", 3).name == "from_gymnax Catch-bsuite"
    assert open_env("brax:ant", 3).name == "from_brax ant"
    open_env("envpool:Pong-v5", 3).close()
    open_for_filming("envpool:Pong-v5").close()
    assert asked == [("Pong-v5", 3, {}), ("Pong-v5", 1, {"render_mode": "rgb_array"})]


def test_other_names_are_ours_or_gymnasiums():
    assert spaces_of("catch") == (Box((10, 5)), Discrete(3))
    for name in ("CartPole-v1", "gymnasium:CartPole-v1"):
        env = open_env(name, 2)
        assert isinstance(env, HostEnv)
        assert env.num_envs == 2
        env.close()


@pytest.mark.parametrize("name", ["gymnax:Catch-bsuite", "brax:ant"])
def test_what_has_no_pictures_cannot_be_filmed(name):
    with pytest.raises(SettingError, match="cannot be drawn"):
        open_for_filming(name)


class Striped(gymnasium.Env):
    """Three steps of black and white; counts what was made and what was closed."""

    observation_space, action_space = gymnasium.spaces.Box(-1.0, 1.0, (2,)), gymnasium.spaces.Discrete(2)
    metadata: ClassVar = {"render_modes": ["rgb_array"], "render_fps": 30}
    made, closed = 0, 0

    def __init__(self, render_mode=None):
        self.render_mode = render_mode
        Striped.made += 1

    def reset(self, *, seed=None, options=None):
        self.time = 0
        return np.zeros(2, np.float32), {}

    def step(self, action):
        self.time += 1
        return np.zeros(2, np.float32), 0.0, self.time == 3, False, {}

    def render(self):
        return np.full((4, 4, 3), 255 * (self.time % 2), np.uint8)

    def close(self):
        Striped.closed += 1


def test_a_film_opens_one_environment_whatever_its_name_and_closes_it(monkeypatch, tmp_path):
    image = pytest.importorskip("PIL.Image")
    spec = gymnasium.envs.registration.EnvSpec("striped-v0", Striped, disable_env_checker=True)
    monkeypatch.setitem(gymnasium.registry, "striped-v0", spec)
    agent = Agent._make([None] * len(Agent._fields))._replace(
        rest=lambda num_envs: (), decide=lambda actor, carry, seen, first: Choice(jnp.zeros(1, int), carry)
    )
    with image.open(film(agent, None, "striped-v0", 0, tmp_path / "film.gif")) as made:
        assert made.n_frames == 3
    assert (Striped.made, Striped.closed) == (1, 1)
    with pytest.raises(TypeError):
        film(agent._replace(rest=None), None, "striped-v0", 0, tmp_path / "film.gif")
    assert (Striped.made, Striped.closed) == (2, 2)


def test_a_world_that_stands_still_is_the_same_at_any_step():
    world = open_env("catch", 2, held=3_000_000_000)  # no schedule counts so far, a long run's steps do
    assert world.physics is open_env("catch", 2).physics
