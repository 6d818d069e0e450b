"""The agents by name."""

from collections.abc import Callable, Mapping
from typing import Any

from selftune.agents.agent import Agent
from selftune.agents.dqn import DQNSettings, dqn
from selftune.agents.ppo import ppo
from selftune.agents.q_lambda import QLambdaSettings, q_lambda
from selftune.agents.sac import SACSettings, sac
from selftune.agents.settings import ActorCriticSettings, PPOSettings
from selftune.agents.synchronous import a2c, impala

AGENTS: Mapping[str, tuple[Callable[..., Agent], Any]] = {
    "a2c": (a2c, ActorCriticSettings()),
    "impala": (impala, ActorCriticSettings()),
    "ppo": (ppo, PPOSettings()),
    "dqn": (dqn, DQNSettings()),
    "q_lambda": (q_lambda, QLambdaSettings()),
    "sac": (sac, SACSettings()),
}
"""Each agent's factory, of an observation space, an action space, `tune`, `init` and `settings`; and its settings."""
