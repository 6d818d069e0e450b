"""Beginning with what another agent has learned: its networks and its senses, and nothing of how it was tuned.

state = begin_with(agent.init(key), known)        optimizers and metaparameters are as they always begin
"""

import json
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import jax

from selftune.agents import AgentState
from selftune.agents.restarting import Watched
from selftune.agents.senses import Senses
from selftune.errors import SettingError
from selftune.networks.normalisation import ReturnScale
from selftune.runner.arrays import pack, unpack
from selftune.runner.checkpointing import read_arrays, write_arrays
from selftune.types import Params, PyTree


class Learned(NamedTuple):
    """What outlives a change of agent."""

    params: Params
    memory: PyTree
    """Target networks, where there are some."""
    senses: Senses | tuple[()]
    """Running statistics of observations and rewards, where there are some."""


def learned(state: AgentState) -> Learned:
    """What an agent has learned."""
    return Learned(state.learner.params, state.learner.memory, getattr(_own(state.experience), "senses", ()))


def begin_with(state: AgentState, known: Learned) -> AgentState:
    """An agent that begins with what another one has learned.

    Args:
        state: As `agent.init(key)` gives it.
        known: Of an agent of the same kind with the same spaces and widths; it may have had another number of
            environments and another tuner.

    Raises:
        SettingError: The networks have other shapes.
    """
    _same(state.learner.params, known.params)
    learner = state.learner._replace(params=known.params, memory=known.memory)
    experience = _own(state.experience)
    if isinstance(known.senses, Senses):
        experience = experience._replace(senses=_in_these_worlds(experience.senses, known.senses))
    whole = state.experience._replace(own=experience) if isinstance(state.experience, Watched) else experience
    return state._replace(learner=learner, experience=whole)


def ship(known: Learned, file: Path, facts: Mapping[str, Any]) -> Path:
    """Write what was learned, and facts about it, to one file of arrays."""
    return write_arrays(file, pack(known), facts)


def shipped(name: str, example: AgentState) -> Learned:
    """A policy that comes with selftune; loading it executes nothing.

    Args:
        name: Of an environment, such as `"HalfCheetah-v5"`.
        example: The shapes of such an agent's state, which `jax.eval_shape` gives.

    Raises:
        CheckpointError: The file is not there, is damaged, or belongs to other networks.
    """
    with resources.as_file(_trained() / f"{name}.safetensors") as file:
        arrays, _ = read_arrays(file)
    return unpack(learned(example), arrays)


def facts(name: str) -> dict[str, Any]:
    """How a shipped policy was made, and what it is worth."""
    return json.loads((_trained() / f"{name}.json").read_text("utf-8"))


def comes_with(name: str) -> bool:
    """Whether there is a trained policy of an environment."""
    return (_trained() / f"{name}.safetensors").is_file()


def _trained() -> Any:
    return resources.files("selftune.scenarios.robotics") / "trained"


def _own(experience: PyTree) -> Any:
    return experience.own if isinstance(experience, Watched) else experience


def _in_these_worlds(own: Senses, known: Senses) -> Senses:
    """All statistics; the returns of episodes that are going on are those of the worlds that begin."""
    if isinstance(own.reward, ReturnScale) and isinstance(known.reward, ReturnScale):
        return known._replace(reward=known.reward._replace(returns=own.reward.returns))
    return known


def _same(own: PyTree, given: PyTree) -> None:
    shapes = [jax.tree.map(lambda leaf: tuple(leaf.shape), tree) for tree in (own, given)]
    if shapes[0] != shapes[1]:
        raise SettingError(
            f"begin_with got networks of the shapes {shapes[1]!s:.200}, expected {shapes[0]!s:.200}; give the agent the "
            "spaces and the settings (hidden, memory) with which they were trained."
        )
