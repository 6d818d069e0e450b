"""Agents: self-tuning learners that act. They know nothing of environments or of runs."""

from selftune.agents.agent import Agent, AgentState, Choice
from selftune.agents.ppo import ppo
from selftune.agents.recipe import Recipe
from selftune.agents.settings import ActorCriticSettings, PPOSettings
from selftune.agents.synchronous import a2c, impala
from selftune.agents.vocabulary import VOCABULARY, Entry

__all__ = [
    "VOCABULARY",
    "ActorCriticSettings",
    "Agent",
    "AgentState",
    "Choice",
    "Entry",
    "PPOSettings",
    "Recipe",
    "a2c",
    "impala",
    "ppo",
]
