"""The agents by name."""

from collections.abc import Callable, Mapping
from typing import Any

from selftune.agents.a2c import A2CSettings, a2c
from selftune.agents.agent import Agent

AGENTS: Mapping[str, tuple[Callable[..., Agent], Any]] = {"a2c": (a2c, A2CSettings())}
"""Each agent's factory, of an observation shape, a number of actions, `tune` and `init`; and its settings."""
