"""Agents: self-tuning learners that act. They know nothing of environments or of runs."""

from selftune.agents.a2c import A2CSettings, a2c
from selftune.agents.agent import Agent, AgentState
from selftune.agents.recipe import Recipe
from selftune.agents.vocabulary import VOCABULARY, Entry

__all__ = ["VOCABULARY", "A2CSettings", "Agent", "AgentState", "Entry", "Recipe", "a2c"]
