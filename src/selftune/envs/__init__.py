"""Environments on the host and the plain description of their spaces."""

from selftune.envs.encoding import describe_actions, describe_observations, encode
from selftune.envs.gymnasium_vector import make
from selftune.envs.host import HostEnv, HostStep
from selftune.envs.native import Environment
from selftune.envs.opening import open_env, open_for_filming, spaces_of
from selftune.spaces import Box, Discrete

__all__ = [
    "Box",
    "Discrete",
    "Environment",
    "HostEnv",
    "HostStep",
    "describe_actions",
    "describe_observations",
    "encode",
    "make",
    "open_env",
    "open_for_filming",
    "spaces_of",
]
