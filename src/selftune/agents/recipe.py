"""The recipe: what is tuned and how, when the user says nothing. All its constants stand here."""

from collections.abc import Callable
from dataclasses import dataclass

import optax

from selftune.guards import Guard, numeric, range, trust_region
from selftune.guards.trust import Distance
from selftune.metaparams import Spec, tuned
from selftune.types import PyTree, Scalar


@dataclass(frozen=True)
class Recipe:
    """How an agent is tuned unless its user says otherwise."""

    tune: tuple[str, ...] = ("learning_rate", "critic_learning_rate", "discount", "trace_decay", "entropy_cost")
    """Every metaparameter whose gradient is informative; the weight of a loss with its own network and Adam is not."""
    meta_learning_rate: float = 0.02
    """Step of Adam in unconstrained coordinates: at most about 2 % of a rate, an update."""
    policy_bound: float = 0.01
    """Largest mean Kullback-Leibler divergence of the policy in one update."""

    def optimizer(self) -> optax.GradientTransformation:
        """Of the metaparameters: Adam, blind to the scale of each one's gradient."""
        return optax.adam(self.meta_learning_rate, eps=1e-15)

    leak: float = 0.01
    """Fraction of the way back to its default that a metaparameter goes at every update, in unconstrained coordinates:
    what a gradient of mere noise cannot hold, returns; what a steady one moves, stays moved."""

    def guards(
        self,
        spec: Spec,
        distance: Distance,
        part: Callable[[Scalar], PyTree],
        bounds: dict[str, tuple[float, float]],
        priors: dict[str, float],
    ) -> list[Guard]:
        """What must hold after each update; an agent that tunes nothing has only the numeric guard."""
        if not tuned(spec):
            return [numeric()]
        return [
            trust_region(distance, self.policy_bound, part, rates=["learning_rate"]),
            range(bounds, self.leak, priors),
            numeric(),
        ]
