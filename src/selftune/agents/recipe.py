"""The recipe: what is tuned and how, when the user says nothing. All its constants stand here."""

from dataclasses import dataclass

import optax

from selftune.guards import Guard, numeric, range, trust_region
from selftune.guards.trust import Distance
from selftune.metaparams import Spec, tuned


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

    def guards(self, spec: Spec, distance: Distance, part, bounds: dict[str, tuple[float, float]]) -> list[Guard]:
        """What must hold after each update; an agent that tunes nothing has only the numeric guard."""
        if not tuned(spec):
            return [numeric()]
        return [
            trust_region(distance, self.policy_bound, part, rates=["learning_rate"]),
            range(bounds),
            numeric(),
        ]
