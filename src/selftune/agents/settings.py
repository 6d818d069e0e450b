"""What no gradient can move: sizes, counts and the judge's own constants, shared by the actor-critic agents."""

from dataclasses import dataclass

from selftune.objectives import Outer

UPDATE = 512
"""Environment steps that an update sees, so that constants which count updates mean the same with few environments."""


@dataclass(frozen=True)
class ActorCriticSettings:
    """Settings of A2C and V-trace actor-critic."""

    num_envs: int = 16
    """Parallel environments."""
    rollout_length: int = 0
    """Steps of each environment between two updates; 0 for as many as make 512 in all environments together, but from 8
    to 128."""
    hidden: tuple[int, ...] = (64, 64)
    """Widths of the hidden layers of policy and critics."""
    memory: int = 0
    """Units of a recurrent policy (GRU); 0 is a policy without memory."""
    normalise_observations: bool = False
    """Whether vectors of numbers are standardized by their running mean and deviation; where not, only those whose root
    mean square is under 0.1 are multiplied, as a whole."""
    scale_rewards: bool = True
    """Whether rewards are divided by the running deviation of the discounted return: without it an entropy cost weighs
    less the larger rewards are, and of 32 runs on Acrobot one to three never solve it."""
    contextual: tuple[str, ...] = ()
    """Tuned metaparameters that are functions of recent rewards, errors and the lifetime's fraction."""
    see_horizons: bool = False
    """Whether policy and critics are told the current discount and trace decay."""
    lifetime: int = 1_000_000
    """Environment steps after which the lifetime's fraction is 1; a run's own number unless it is given."""
    outer_discount: float = 0.99
    """Discount of the judge: how far ahead the user cares."""
    outer_trace_decay: float = 0.95
    """Trace decay of the judge."""
    outer_entropy_cost: float = 0.0
    """How much the judge values exploration for its own sake."""
    outer_value_cost: float = 0.5
    """Weight of the outer critic's error in the judgement."""
    outer_divergence_cost: float = 0.0
    """How much the judge minds that an update moves the policy (the KL term of Zahavy et al. 2020)."""

    @property
    def length(self) -> int:
        """Steps of each environment between two updates."""
        return self.rollout_length or min(max(UPDATE // self.num_envs, 8), 128)

    @property
    def outer(self) -> Outer:
        """The judge's constants."""
        return Outer(
            self.outer_discount,
            self.outer_trace_decay,
            self.outer_entropy_cost,
            self.outer_value_cost,
            self.outer_divergence_cost,
        )


@dataclass(frozen=True)
class PPOSettings(ActorCriticSettings):
    """Settings of PPO."""

    rollout_length: int = 128
    """Steps of each environment between two rounds of updates."""
    normalise_observations: bool = True
    """Whether vectors of numbers are standardized by their running mean and deviation."""
    epochs: int = 10
    """How often each rollout is gone through."""
    minibatches: int = 4
    """Updates an epoch; each sees the whole trajectories of `num_envs / minibatches` environments."""
