"""Agents: self-tuning learners that act. They know nothing of environments or of runs."""

from selftune.agents.agent import Agent, AgentState, Choice
from selftune.agents.dqn import DQNSettings, dqn
from selftune.agents.ppo import ppo
from selftune.agents.prediction import PredictionInfo, Predictor, td_lambda
from selftune.agents.q_lambda import QLambdaSettings, q_lambda
from selftune.agents.recipe import Recipe
from selftune.agents.sac import SACSettings, sac
from selftune.agents.settings import ActorCriticSettings, PPOSettings
from selftune.agents.synchronous import a2c, impala
from selftune.agents.tuners import TUNERS, recipe_for
from selftune.agents.vocabulary import VOCABULARY, Entry

__all__ = [
    "TUNERS",
    "VOCABULARY",
    "ActorCriticSettings",
    "Agent",
    "AgentState",
    "Choice",
    "DQNSettings",
    "Entry",
    "PPOSettings",
    "PredictionInfo",
    "Predictor",
    "QLambdaSettings",
    "Recipe",
    "SACSettings",
    "a2c",
    "dqn",
    "impala",
    "ppo",
    "q_lambda",
    "recipe_for",
    "sac",
    "td_lambda",
]
