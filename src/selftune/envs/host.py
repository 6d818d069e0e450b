"""Many Gymnasium environments at once, stepped on the host.

Every call of `step` takes one true step in every environment. Gymnasium's default for vectors is to reset a
finished environment in the call after (`AutoresetMode.NEXT_STEP`), which ignores that call's action and pays
nothing for it: a phantom step that would be counted and learned from. Here nothing resets by itself; what ended
is reset within the same call by a mask, so that what the environments returned before is the true successor.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Integer, Shaped

from selftune.envs.encoding import describe_actions, describe_observations, encode
from selftune.envs.native import stretch
from selftune.errors import SettingError
from selftune.spaces import Discrete


@runtime_checkable
class VectorEnv(Protocol):
    """As much of `gymnasium.vector.VectorEnv` as is driven here."""

    num_envs: int
    single_observation_space: Any
    single_action_space: Any

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict]:
        """`(observations, info)`."""
        ...

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict]:
        """`(observations, reward, terminated, truncated, info)`."""
        ...

    def render(self) -> Any:
        """A picture of each environment, or `None`."""
        ...

    def close(self) -> None:
        """Release everything."""
        ...


class HostStep(NamedTuple):
    """What one step of `B` environments gave, in arrays that no later step overwrites."""

    observation: Shaped[np.ndarray, "B ..."]
    """What to act on next: the first observation of a new episode where one ended."""
    reward: Float[np.ndarray, " B"]
    terminated: Bool[np.ndarray, " B"]
    truncated: Bool[np.ndarray, " B"]
    """May be true together with `terminated`, which then decides: nothing follows."""
    next_observation: Shaped[np.ndarray, "B ..."]
    """The true successor, before any reset; the same array as `observation` where no episode ended."""
    finished_returns: Float[np.ndarray, " F"]
    """Undiscounted return of each of the `F` episodes that ended in this step, in the order of environments."""
    finished_lengths: Integer[np.ndarray, " F"]


class HostEnv:
    """`B` environments that step together and are reset apart.

    Attributes:
        num_envs: `B`.
        observation_space: `Box` or `Discrete`; observations come as `selftune.envs.encode` gives them.
        action_space: `Discrete`: actions are 0 … n-1, wherever the environment itself begins to count; or `Box`:
            actions are in [-1, 1], whatever the bounds of the environment.
        info: What the environments said beside the last step.
    """

    def __init__(
        self,
        env: VectorEnv,
        reset_where: Callable[[Any, np.ndarray], np.ndarray] | None = None,
        go_to: Callable[[int], Any] | None = None,
    ):
        """Drive a Gymnasium vector environment; one that is refused is closed.

        Args:
            env: one made with `AutoresetMode.DISABLED`, or any that comes with its own `reset_where`.
            reset_where: `reset_where(env, mask)` begins new episodes where mask [B] is true, keeps `env` from
                resetting them once more, and returns the first observations [F, ...] of those `F`.
            go_to: `go_to(step)` makes environments that drift go on as after so many environment steps.

        Raises:
            SettingError: if the environment would reset by itself.
            UnsupportedSpaceError: if a space is neither Discrete nor a Box (of one axis, for actions).
        """
        with closed_if_refused(env):
            if reset_where is None:
                _refuse_autoreset(env)
            self.num_envs = env.num_envs
            self.observation_space = describe_observations(env.single_observation_space)
            self.action_space = describe_actions(env.single_action_space)
        self.info: Mapping[str, Any] = {}
        self._env = env
        self._reset_where = reset_where or _reset_by_mask
        self._go_to = go_to or (lambda step: None)

    def reset(self, seed: int) -> Shaped[np.ndarray, "B ..."]:
        """Begin `B` new episodes.

        Args:
            seed: decides all randomness of the environments from here on. It is hashed first: Gymnasium seeds
                its copies with seed, seed + 1, …, by which neighbouring seeds would share most of their episodes.

        Returns:
            [B, ...] first observations.
        """
        self._returns = np.zeros(self.num_envs)
        self._lengths = np.zeros(self.num_envs, np.int64)
        words = np.random.SeedSequence(seed).generate_state(1)
        observation, _ = _blame(self._env.reset, seed=int(words[0]))
        return encode(self.observation_space, observation)

    def step(self, action: Shaped[Any, "B ..."]) -> HostStep:
        """Take one step in every environment, and begin a new episode wherever one ended.

        Args:
            action: [B] whole numbers in 0 … n-1, or [B, A] numbers in [-1, 1], which are stretched to the bounds of
                the environment's own space.
        """
        successor, reward, terminated, truncated, self.info = _blame(self._env.step, self._native(np.asarray(action)))
        observation = next_observation = encode(self.observation_space, successor)
        self._returns += reward
        self._lengths += 1
        done = terminated | truncated
        finished_returns, finished_lengths = self._returns[done], self._lengths[done]
        if len(finished_returns):
            observation = next_observation.copy()
            observation[done] = encode(self.observation_space, _blame(self._reset_where, self._env, done))
            self._returns[done] = 0.0
            self._lengths[done] = 0
        return HostStep(
            observation,
            reward.astype(np.float32),
            terminated,
            truncated,
            next_observation,
            finished_returns,
            finished_lengths,
        )

    def go_to(self, step: int) -> None:
        """Where the environments drift, go on as after so many environment steps; nothing elsewhere."""
        self._go_to(step)

    def _native(self, action: np.ndarray) -> np.ndarray:
        """From what an agent gives to what the environments take."""
        space = self.action_space
        return action + space.start if isinstance(space, Discrete) else stretch(space, action, np)

    def frame(self) -> Shaped[np.ndarray, "H W 3"]:
        """A picture of the first environment, where it was made to be drawn.

        Raises:
            SettingError: It has no picture.
        """
        frames = self._env.render()
        if frames is None or len(frames) == 0 or np.ndim(frames[0]) != 3:
            raise SettingError("This environment cannot be drawn: it has no render_mode 'rgb_array'.")
        return np.asarray(frames[0])

    def close(self) -> None:
        """Release what the environments hold, such as windows and processes."""
        self._env.close()


@contextmanager
def closed_if_refused(env: Any) -> Iterator[None]:
    """Closes an environment, and what it holds, where it turns out that it cannot be driven."""
    try:
        yield
    except BaseException:
        env.close()
        raise


def _blame(call: Callable[..., Any], *given: Any, **named: Any) -> Any:
    """What an environment gives; where it raises, the exception says whose it is."""
    try:
        return call(*given, **named)
    except Exception as error:
        error.add_note(
            "The environment raised this. Mend it, or register it wrapped in one that copes; "
            "gymnasium.utils.env_checker.check_env looks for common faults."
        )
        raise


def _reset_by_mask(env, mask):
    return env.reset(options={"reset_mask": mask})[0][mask]


def _refuse_autoreset(env):
    from gymnasium.vector import AutoresetMode

    mode = env.metadata.get("autoreset_mode")
    if mode != AutoresetMode.DISABLED:
        raise SettingError(
            f"Got a vector environment with autoreset_mode={mode}, expected AutoresetMode.DISABLED: steps that "
            "only reset would be counted and learned from. Pass autoreset_mode=AutoresetMode.DISABLED to it."
        )
