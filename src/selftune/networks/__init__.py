"""Networks: pairs of pure functions, built in or adapted from Equinox, and the running statistics of what they see."""

from selftune.networks.choosing import suited
from selftune.networks.convolution import impala, nature
from selftune.networks.equinox_module import from_equinox
from selftune.networks.network import Network
from selftune.networks.normalisation import (
    Magnitude,
    ReturnScale,
    Statistics,
    follow,
    include,
    lift,
    magnitude,
    measure,
    normalise,
    return_scale,
    scale_reward,
    statistics,
)
from selftune.networks.perceptron import mlp
from selftune.networks.recurrent import Recurrent, gru

__all__ = [
    "Magnitude",
    "Network",
    "Recurrent",
    "ReturnScale",
    "Statistics",
    "follow",
    "from_equinox",
    "gru",
    "impala",
    "include",
    "lift",
    "magnitude",
    "measure",
    "mlp",
    "nature",
    "normalise",
    "return_scale",
    "scale_reward",
    "statistics",
    "suited",
]
