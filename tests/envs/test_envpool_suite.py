"""EnvPool through its adapter: true steps only; an imitation stands in where it is not installed."""

import sys
from types import SimpleNamespace

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from selftune.envs import make_envpool
from selftune.errors import MissingExtraError, SettingError, UnsupportedSpaceError
from selftune.spaces import Box, Discrete


class Pool:
    """Episodes of 2 and 3 steps, that count; what ended is reset in the call after, unless it was asked to at once."""

    render_mode = None

    def __init__(self, made, shape, seed, num_envs, **settings):
        self.shape, self.seed, self.closed, self.settings = shape, seed, False, settings
        self.count, self.over = np.zeros(num_envs, int), np.zeros(num_envs, bool)
        made.append(self)

    def observe(self, where):
        image = np.zeros((len(where), *self.shape), np.uint8)
        image[:, 0], image[:, -1] = self.seed % 100, self.count[where].reshape(-1, *[1] * (image.ndim - 2))
        return image

    def reset(self, *, options):
        where = np.arange(2) if options is None else np.flatnonzero(options["reset_mask"])
        self.count[where], self.over[where] = 0, False
        return self.observe(where), {}

    def step(self, actions):
        self.count = np.where(self.over, 0, self.count + 1)
        reward = np.where(self.over, 0.0, 1.0).astype(np.float32)
        self.over = self.count == np.array([2, 3])
        return self.observe(np.arange(2)), reward, self.over & [True, False], self.over & [False, True], {}

    def close(self):
        self.closed = True


@pytest.fixture
def envpool(imitate):
    shapes, made = {"Image-v0": (4, 5, 6), "Photo-v0": (5, 6, 3)}, []
    dict_space = spaces.Dict({"position": spaces.Box(-1, 1, (3,))})
    failures = {"Qt-v0": ImportError("needs the Qt 5 runtime"), "Rom-v0": RuntimeError("no such cartridge")}

    def make_spec(name, **settings):
        if name in failures:
            raise failures[name]
        return SimpleNamespace(
            config=SimpleNamespace(max_num_players=2 if name == "Crossing-v0" else 1),
            gymnasium_observation_space=spaces.Box(0, 255, shapes[name], np.uint8) if name in shapes else dict_space,
            gymnasium_action_space=spaces.Discrete(2),
        )

    imitate(
        "envpool",
        list_all_envs=lambda: [*shapes, *failures, "Crossing-v0", "Parts-v0"],
        make_spec=make_spec,
        make=lambda name, *, env_type, **settings: Pool(made, shapes[name], **settings),
    )
    return made


def test_it_takes_true_steps_only(envpool):
    env = make_envpool("Image-v0", 2, frame_skip=3)
    assert (env.num_envs, env.observation_space, env.action_space) == (2, Box((5, 6, 4), "uint8"), Discrete(2))
    assert env.reset(0).shape == (2, 5, 6, 4)
    assert envpool[0].settings == {"frame_skip": 3}
    steps = [env.step(np.zeros(2, int)) for _ in range(6)]
    last = [[step.next_observation[i, 0, 0, -1] for step in steps] for i in range(2)]
    assert last == [[1, 2, 1, 2, 1, 2], [1, 2, 3, 1, 2, 3]]
    assert [step.observation[0, 0, 0, -1] for step in steps] == [1, 0, 1, 0, 1, 0]
    assert [step.reward.tolist() for step in steps] == [[1.0, 1.0]] * 6
    assert [step.terminated.tolist() for step in steps] == [[False, False], [True, False]] * 3
    assert [step.truncated[1] for step in steps] == [False, False, True] * 2
    assert [step.finished_lengths.tolist() for step in steps] == [[], [2], [3], [2], [], [2, 3]]


def test_images_that_have_channels_last_stay_as_they_are(envpool):
    env = make_envpool("Photo-v0", 2)
    assert env.observation_space.shape == (5, 6, 3)
    assert env.reset(0).shape == (2, 5, 6, 3)
    with pytest.raises(SettingError, match="cannot be drawn"):
        env.frame()


def test_a_seed_makes_a_pool_of_its_own(envpool):
    env = make_envpool("Image-v0", 2)
    for seed in (1, 1, 2):
        env.reset(seed)
    env.close()
    first, again, other = (pool.seed for pool in envpool)
    assert first == again != other
    assert all(pool.closed and 0 <= pool.seed < 2**31 for pool in envpool)


@pytest.mark.usefixtures("envpool")
def test_an_unknown_name_brings_its_near_names():
    with pytest.raises(SettingError, match="Image-v0"):
        make_envpool("Imag-v0", 2)
    with pytest.raises(SettingError, match="num_envs=0"):
        make_envpool("Image-v0", 0)


@pytest.mark.usefixtures("envpool")
@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("Crossing-v0", SettingError, "envpool:Crossing-v0 is played by 2 at once, expected one player"),
        ("Qt-v0", MissingExtraError, r"envpool:Qt-v0 cannot be made \(needs the Qt 5 runtime\)"),
        ("Rom-v0", SettingError, r"envpool:Rom-v0 could not be made \(RuntimeError: no such cartridge\)"),
        ("Parts-v0", UnsupportedSpaceError, "of environments with an id of Gymnasium's, also a Dict"),
    ],
)
def test_what_cannot_be_made_is_told_in_a_sentence(name, error, message):
    with pytest.raises(error, match=message):
        make_envpool(name, 2)


def test_a_pool_that_cannot_be_made_is_told_in_a_sentence(envpool, monkeypatch):
    env = make_envpool("Image-v0", 2)
    monkeypatch.setattr(sys.modules["envpool"], "make", lambda name, **settings: 1 / 0)
    with pytest.raises(SettingError, match="envpool:Image-v0 could not be made"):
        env.reset(0)


@pytest.mark.filterwarnings("ignore")
def test_real_cartpole_gives_true_successors():
    pytest.importorskip("envpool")
    B = 3
    env, single = make_envpool("CartPole-v1", B, max_episode_steps=20), gymnasium.make("CartPole-v1").unwrapped
    before, lengths = env.reset(7), np.zeros(B, int)
    rng, ends = np.random.default_rng(0), {"terminated": 0, "truncated": 0}
    for _ in range(400):
        action = rng.integers(0, 2, B)
        step = env.step(action)
        lengths += 1
        for i in range(B):
            single.reset()
            single.state = before[i].astype(np.float64)
            successor, _, terminated, _, _ = single.step(action[i])
            np.testing.assert_allclose(step.next_observation[i], successor, rtol=1e-5, atol=1e-6)
            limit = lengths[i] == 20
            assert (step.terminated[i], step.truncated[i]) == (terminated and not limit, limit)
        done = step.terminated | step.truncated
        assert (step.reward == 1.0).all()
        assert step.finished_lengths.tolist() == lengths[done].tolist()
        assert (np.abs(step.observation[done]) <= 0.05).all()  # where CartPole begins
        np.testing.assert_array_equal(step.observation[~done], step.next_observation[~done])
        ends["terminated"] += int(step.terminated.sum())
        ends["truncated"] += int(step.truncated.sum())
        lengths[done] = 0
        before = step.observation
    assert min(ends.values()) > 10
    np.testing.assert_array_equal(env.reset(7), env.reset(7))
    env.close()


@pytest.mark.filterwarnings("ignore")
def test_real_pong_has_channels_last_and_can_be_drawn():
    pytest.importorskip("envpool")
    env = make_envpool("Pong-v5", 1, render_mode="rgb_array")
    assert env.observation_space == Box((84, 84, 4), "uint8")
    env.reset(0)
    assert env.step(np.zeros(1, int)).next_observation.shape == (1, 84, 84, 4)
    assert env.frame().shape == (210, 160, 3)
    env.close()
