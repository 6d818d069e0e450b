"""Networks: pairs of pure functions, built in or adapted from Equinox."""

from selftune.networks.equinox_module import from_equinox
from selftune.networks.network import Network
from selftune.networks.perceptron import mlp

__all__ = ["Network", "from_equinox", "mlp"]
