"""Environments in JAX and on the host, our own and other people's, and the plain description of their spaces."""

from selftune.envs.brax_suite import from_brax
from selftune.envs.encoding import describe_actions, describe_observations, encode
from selftune.envs.envpool_suite import make_envpool
from selftune.envs.gymnasium_vector import make
from selftune.envs.gymnax_suite import from_gymnax
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
    "from_brax",
    "from_gymnax",
    "make",
    "make_envpool",
    "open_env",
    "open_for_filming",
    "spaces_of",
]
