"""A name finds its suite, and says what is missing."""

import sys

import pytest

from selftune.envs import HostEnv, make, open_env, open_for_filming, opening, spaces_of
from selftune.envs.worlds import catch
from selftune.errors import MissingExtraError, SettingError
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


def test_a_world_that_stands_still_is_the_same_at_any_step():
    world = open_env("catch", 2, held=3_000_000_000)  # no schedule counts so far, a long run's steps do
    assert world.physics is open_env("catch", 2).physics
