"""`OnlineAgent`: an agent inside the user's own loop, at their pace, learning and tuning itself as it goes.

    action = agent.reset(observation)
    while action is not None:
        observation, reward, terminated, truncated = world(action)
        action = agent.step(observation, reward, terminated, truncated)

A step costs one small compiled program. What was seen is written into arrays of fixed size; when they are full its
`Learner` learns from them, so that memory is bounded and a control loop keeps its rate.
Ctrl-C waits for the end of an update: inside one what was learned is in no one's hands.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from selftune.agents import Choice, beginning, recipe_for
from selftune.errors import CheckpointError, SettingError
from selftune.runner.arrays import pack, unpack
from selftune.runner.asked import by_name, names, settled, starts, whole
from selftune.runner.checkpointing import read_arrays, write_arrays
from selftune.runner.compiled import compiled
from selftune.runner.experience import Stretch
from selftune.runner.handed import earned, flag, seen, taken
from selftune.runner.learner import Learner
from selftune.runner.plain_spaces import plain_actions, plain_observations, space_from_json, spaces_as_json
from selftune.runner.plan import Plan, agent_named
from selftune.runner.stopping import uninterrupted
from selftune.spaces import Box, Space

OnEvent = Callable[[str, Mapping[str, Any]], None]


class OnlineAgent:
    """An agent that is handed what happened and gives back what to do.

    Attributes:
        steps: Steps so far.
    """

    def __init__(
        self,
        observation_space: Any,
        action_space: Any,
        agent: str = "a2c",
        *,
        seed: int = 0,
        tuner: str = Plan.tuner,
        tune: Sequence[str] | None = None,
        init: Mapping[str, float] | None = None,
        settings: Mapping[str, Any] | None = None,
        learning: Literal["inline", "background"] = "inline",
        on_event: OnEvent | None = None,
    ):
        """Build the agent and compile what it will need, so that no later step has to.

        That takes a minute or so; `selftune.keep_compiled()` keeps it for the next process.

        Args:
            observation_space: A space of Gymnasium, or a `selftune.spaces.Box` or `Discrete`.
            action_space: The same.
            agent: Which agent; see `selftune.train`.
            seed: Of all randomness.
            tuner: How they are tuned; `selftune.agents.TUNERS` says what each does.
            tune: Metaparameters to learn; the recipe's when omitted or when they are the same; none when empty.
            init: Where metaparameters start, by name.
            settings: Changes to the agent's settings.
            learning: `"inline"`: the step that fills the memory also learns. `"background"`: another thread learns,
                and steps go on with the policy as it was; experience that comes faster than it can be learned from is
                let go and counted.
            on_event: Called with a kind and facts: `"learned"` (metaparameters, guards that fired), `"guard"` (those
                that fired), `"dropped"`. It is called from the thread that calls `step`, when all else is done; if it
                raises, that step has counted: begin an episode.

        Raises:
            SettingError: A setting that makes no sense, or more than one environment.
            UnsupportedSpaceError: A space that the agent cannot handle.
        """
        make, default = agent_named(agent)
        if not isinstance(learning, str) or learning not in ("inline", "background"):
            raise SettingError(f"learning = {learning!r}: expected 'inline' or 'background'.")
        if on_event is not None and not callable(on_event):
            raise SettingError(f"on_event = {on_event!r}: expected a function of a kind and facts.")
        self.observation_space: Space = plain_observations(observation_space)
        self.action_space: Space = plain_actions(action_space)
        tune, init, settings = names(tune), starts(init), by_name("settings", settings)
        self._asked = {"agent": agent, "seed": whole("seed", seed, 0, bits=32), "tune": tune, "init": init}
        self._asked |= {"learning": learning, "settings": settings, "tuner": tuner}
        chosen = settled(default, {"num_envs": 1, "minibatches": 1, **settings}, {"minibatches"})
        if chosen.num_envs != 1:
            raise SettingError(
                f"num_envs = {chosen.num_envs}: expected 1, as it is when left out: an OnlineAgent lives in one world."
            )
        spaces, recipe = (self.observation_space, self.action_space), recipe_for(tuner, agent)
        self._agent = make(*spaces, tune=tune, init=init, settings=chosen, recipe=recipe)
        self._functions = compiled(self._agent)
        self._on_event = on_event
        self._key, learn_key, init_key = jax.random.split(jax.random.key(seed), 3)
        state, background = jax.jit(self._agent.init)(init_key), learning == "background"
        self._learner = Learner(self._agent, self._functions, state, learn_key, background)
        self._carry = self._agent.rest(1)
        self._memory = self._room()
        self._learner.warm_up(self._memory.batch())
        self.steps = 0
        self._choice: Choice | None = None

    def reset(self, observation: Any) -> Any:
        """Begin an episode; what to do first. An episode that had not ended counts as cut here."""
        if self._choice is not None:
            self._cut()
        self._first = True
        return self._act(seen(self.observation_space, observation))

    def step(self, observation: Any, reward: float, terminated: bool = False, truncated: bool = False) -> Any:
        """What to do next, after what the last action led to.

        Args:
            observation: What is seen now; at an episode's end, its last observation.
            reward: What the last action earned.
            terminated: The episode ended for good.
            truncated: It was cut: by a time limit, say.

        Returns:
            An action of the action space; `None` at an episode's end: call `reset` with the next one's first
            observation.

        Raises:
            SettingError: No episode has begun, the observation has another shape, or the reward is no number.
            Exception: Whatever learning raised, once. What was learned before stays; the episode counts as cut: go on
                with `reset`.
        """
        if self._choice is None:
            raise SettingError("step came before reset: call reset(observation) at the start of every episode.")
        then, reward = seen(self.observation_space, observation), earned(reward)
        terminated, truncated = flag("terminated", terminated), flag("truncated", truncated)
        self._take_over()
        self._learn_if_full()  # where an interrupt came in between
        self._memory.write(self._observation, self._choice, reward, terminated, truncated, then)
        self.steps += 1
        self._first = terminated or truncated
        self._learn_if_full()
        action = None if self._first else self._act(then)
        if self._first:
            self._choice = None
        self._tell()
        return action

    @property
    def updates(self) -> int:
        """Times it has learned."""
        return self._learner.updates

    @property
    def dropped(self) -> int:
        """Stretches of experience that came before the last one was learned from, and were let go.

        With `learning="background"` only.
        """
        return self._learner.dropped

    @property
    def eta(self) -> dict[str, float]:
        """The tuned metaparameters by name, as they stood at the last step; any thread may ask."""
        return dict(self._learner.eta)

    @property
    def guards(self) -> dict[str, int]:
        """How often each guard had fired at the last step."""
        return dict(self._learner.fired)

    def begin_with(self, known: beginning.Learned) -> None:
        """Go on with what another agent has learned; how this one is tuned stays.

        But metaparameters that began as a beginner's go home, whatever has become of them.

        Args:
            known: `selftune.Run(folder).learned()`.

        Raises:
            SettingError: It is something else, or of networks or senses of other shapes.
        """
        if not isinstance(known, beginning.Learned):
            raise SettingError(f"begin_with got {known!r:.60}; expected what selftune.Run(folder).learned() gives.")
        with uninterrupted():
            self._take_over(wait=True)
        learner, theirs = self._learner, jax.tree.map(jnp.array, known)
        learner.go_on_from(beginning.go_on_with(self._agent, learner.state, theirs, learner.key))
        learner.eta |= self._agent.home
        if self._memory.count:  # nobody learns from what other networks did
            self._memory.take()
            learner.gap = True
        self._carry = self._agent.rest(1)
        self._tell()

    def close(self) -> None:
        """Wait for what is being learned, and end its thread; whoever steps on learns inline."""
        with uninterrupted(), self._episode_at_stake():
            self._learner.close()
        self._tell()

    def save(self, path: Path | str) -> Path:
        """Write everything that is known to one file; an earlier file of that name stays whole until then.

        Numbers of experience that are not finite are 0 in it.

        Raises:
            CheckpointError: The file cannot be written.
        """
        with uninterrupted():
            self._take_over(wait=True)
        facts = {"asked": self._asked, "spaces": spaces_as_json(self.observation_space, self.action_space)}
        facts |= {"steps": self.steps, "updates": self.updates, "dropped": self.dropped, "written": self._memory.count}
        facts |= {"eta": self.eta, "fired": self.guards, "gap": self._learner.gap}
        *known, experience = self._everything()
        written = write_arrays(Path(path), pack((*known, jax.tree.map(_finite, experience))), facts)
        self._tell()
        return written

    @classmethod
    def load(cls, path: Path | str, *, on_event: OnEvent | None = None) -> "OnlineAgent":
        """The agent as it was saved, ready for `reset`: the episode that was going on then is over.

        Raises:
            CheckpointError: There is no such file, it is damaged, or something else wrote it.
        """
        arrays, facts = read_arrays(Path(path))
        if "asked" not in facts:
            raise CheckpointError(
                f"{path} is not what OnlineAgent.save wrote, but perhaps the checkpoint of a run. To go on with what a "
                "run has learned: agent.begin_with(selftune.Run(folder).learned())."
            )
        observations, actions = map(space_from_json, facts["spaces"])
        agent = cls(observations, actions, **facts["asked"], on_event=on_event)
        learner = agent._learner
        state, agent._key, learner.key, agent._carry, agent._memory.arrays = unpack(agent._everything(), arrays)
        learner.go_on_from(state)
        learner.eta, learner.fired = facts["eta"], Counter(facts["fired"])
        learner.updates, learner.dropped = facts["updates"], facts["dropped"]
        agent.steps, agent._memory.count, learner.gap = facts["steps"], facts["written"], facts.get("gap", False)
        agent._cut()
        return agent

    def _act(self, observation: np.ndarray) -> Any:
        first = np.array([self._first])
        choice, self._key = self._functions.act(self._learner.actor, self._carry, observation, first, self._key)
        self._observation, self._choice, self._carry = observation, choice, choice.carry
        return taken(self.action_space, np.array(choice.action))

    def _cut(self) -> None:
        """What comes next does not follow on what was written last, or learned from."""
        if self._memory.count:
            self._memory.cut()
        else:
            self._learner.gap = True

    @contextmanager
    def _episode_at_stake(self) -> Iterator[None]:
        """While this is open, learning that fails ends the episode, which lost a stretch."""
        try:
            yield
        except BaseException:
            self._cut()
            self._choice = None
            raise

    def _learn_if_full(self) -> None:
        if self._memory.full:
            with uninterrupted(), self._episode_at_stake():
                self._learner.learn(self._memory.take())

    def _take_over(self, wait: bool = False) -> None:
        with self._episode_at_stake():
            self._learner.take_over(wait)

    def _tell(self) -> None:
        """Tell what has happened: last, so that a function that raises leaves an agent that can go on."""
        while self._learner.events:
            kind, facts = self._learner.events.pop(0)
            if self._on_event is not None:
                self._on_event(kind, facts)

    def _room(self) -> Stretch:
        """Room for a rollout, by the example of one step, which compiles what a step needs."""
        nothing = np.zeros((1, *self.observation_space.encoded_shape), _dtype(self.observation_space))
        first = np.array([True])
        choice, _ = self._functions.act(self._learner.actor, self._carry, nothing, first, self._key)
        return Stretch(nothing, jax.device_get(choice), self._agent.rollout_length)

    def _everything(self) -> Any:
        learner = self._learner
        return learner.state, self._key, learner.key, self._carry, self._memory.arrays


def _finite(array: np.ndarray) -> np.ndarray:
    return np.nan_to_num(array, posinf=0.0, neginf=0.0)


def _dtype(space: Space) -> str:
    return space.dtype if isinstance(space, Box) else "float32"
