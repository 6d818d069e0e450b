"""Prediction by temporal differences: the error of one step of a stream, and what an update rule needs to credit it.

What is predicted is the discounted sum of a cumulant: rewards, or any other signal (a general value function; Sutton et
al. 2011). The loss looks at one step only; how far back its error is credited is the trace's matter, which the rules of
`selftune.optim` keep: `eligibility_traces`, `true_online_td`, `tidbd`, `autostep_tidbd`, `swift_td`.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from selftune.objectives.returns import Number
from selftune.types import Eta, Frozen, Loss, Params, PyTree, Scalar

Value: TypeAlias = Callable[[Params, PyTree], Scalar]
"""`value(params, observation)`: the prediction of one observation."""


class Moment(NamedTuple):
    """One step of a stream; with a leading axis [T], a stretch of it.

    After a time limit the next moment is `first` and this one is not `terminated`: it bootstraps from the state that
    was cut off, and no trace crosses the cut.
    """

    observation: PyTree
    cumulant: Float[Array, "*T"]
    """What followed the observation: the signal whose discounted sum is predicted."""
    terminated: Bool[Array, "*T"]
    """Nothing follows: there is no future to bootstrap from."""
    first: Bool[Array, "*T"]
    """The observation is the first of its episode: no trace reaches back beyond it."""
    next_observation: PyTree
    """The true successor, never the first observation of the next episode."""


class TemporalDifference(NamedTuple):
    """What one step of a stream says, under the names that the update rules know."""

    prediction: Scalar
    """Value of the observation."""
    td_error: Scalar
    features: PyTree
    """Gradient of the prediction, like the parameters; the observation itself where the prediction is linear."""
    decay: Scalar
    """How much of a trace outlives the transition into this observation: discount times trace decay, or 0."""


def td_error(v_tm1: Number, cumulant: Number, discount: Number, v_t: Number) -> Scalar:
    """`cumulant + discount * v_t - v_tm1`.

    Args:
        v_tm1: prediction of the observation.
        cumulant: what followed it.
        discount: gamma in [0, 1], and 0 where the episode terminated.
        v_t: prediction of its successor.
    """
    return jnp.asarray(cumulant + discount * v_t - v_tm1)


def td_loss(value: Value) -> Loss:
    """Half the squared TD error of one step, the value of the successor held still.

    Its gradient is the semi-gradient -δ x, with x the gradient of the prediction; Sutton and Barto, Reinforcement
    Learning, 2nd edition, section 9.3. With a rule of eligibility traces it becomes TD(lambda), section 12.2.

    Metaparameters it reads: `discount`, `trace_decay`.

    Args:
        value: `value(params, observation)`, scalar.

    Returns:
        `loss(params, frozen, eta, moment) -> (scalar, TemporalDifference)`, with `frozen` like the parameters.
    """

    def loss(params: Params, frozen: Frozen, eta: Eta, moment: Moment) -> tuple[Scalar, TemporalDifference]:
        prediction, features = jax.value_and_grad(value)(params, moment.observation)
        discount = jnp.where(moment.terminated, 0.0, eta["discount"])
        error = td_error(prediction, moment.cumulant, discount, value(frozen, moment.next_observation))
        decay = jnp.where(moment.first, 0.0, eta["discount"] * eta["trace_decay"])
        return 0.5 * error**2, TemporalDifference(prediction, error, features, decay)

    return loss
