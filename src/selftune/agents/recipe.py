"""The recipe: what is tuned and how, when the user says nothing. All its constants stand here.

A recipe is composed: what is tuned, how its gradient is estimated, what moves it, what holds it, and which rule the
networks descend by. The rivals of the meta-gradient are other recipes; `selftune.agents.tuners` lists them.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import optax

from selftune.agents.agent import Agent
from selftune.errors import SettingError, UnknownMetaParamError
from selftune.estimators import Estimator, undifferentiated
from selftune.estimators.searching import Value
from selftune.guards import Guard, numeric, range, trust_region, within_reach
from selftune.guards.trust import Distance
from selftune.metaparams import Spec, tuned
from selftune.optim import adam, clip_by_global_norm, sgd
from selftune.spaces import Discrete, Space
from selftune.types import Eta, PyTree, Scalar

Descent = Callable[[Scalar | float, Eta], optax.GradientTransformation]
"""`descend(rate, eta)`: the rule of one network."""


class Case(NamedTuple):
    """What an agent tells its recipe about itself."""

    spec: Spec
    bounds: dict[str, tuple[float, float]]
    """Documented bounds of what is tuned."""
    priors: dict[str, float]
    """Where what is tuned returns to."""
    window: int = 1
    """Inner updates that the tuner is given at once."""
    distance: Distance | None = None
    """How far an update has moved the policy; `None` where there is none to hold."""
    part: Callable[[Scalar], PyTree] = lambda factor: factor
    """The trust region's factor as a tree prefix of the parameters."""
    value: Value | None = None
    """What an update is worth, estimated on the data that it was made from."""
    updates: int | None = None
    """Updates of the tuner in the agent's lifetime."""


def clipped_adam(rate: Scalar | float, eta: Eta) -> optax.GradientTransformation:
    """Adam under a clipped gradient, on all parameters as one vector."""
    clip = clip_by_global_norm(eta["max_grad_norm"])
    return optax.flatten(optax.chain(clip, adam(rate, eta["adam_b1"], eta["adam_b2"], eta["adam_eps"])))


SGD_FACTOR = 300.0
"""SGD's rate over the rate of Adam that it stands for, of A2C on CartPole: fixed at 1 or 3 it ends at 480, at .3 at
330, at .03 at 150, where 24 is nothing learned (`docs/study.md`). PPO and other worlds were not tried."""


def clipped_sgd(rate: Scalar | float, eta: Eta) -> optax.GradientTransformation:
    """Gradient descent under a clipped gradient, at `SGD_FACTOR` times the rate."""
    clip = clip_by_global_norm(eta["max_grad_norm"])
    return optax.flatten(optax.chain(clip, sgd(SGD_FACTOR * rate)))


def by_sgd(recipe: "Recipe") -> "Recipe":
    """An actor-critic's own recipe, or a fixed one, whose networks descend by plain SGD.

    Rates, their bounds and what is told of them stay those of Adam; a step takes `SGD_FACTOR` times as much. SGD feels
    the weight of the value loss, so it is tuned as well: its leak brings it home, while its gradient is zero, since the
    judge reads neither the inner critic nor what that teaches the policy later. SGD does not feel Adam's constants and
    `gradient_floor`.

    a2c(space, actions, recipe=by_sgd(recipe_for("meta_gradient", "a2c")))
    """
    tune = recipe.tune if "value_cost" in recipe.tune or not recipe.tune else (*recipe.tune, "value_cost")
    return replace(recipe, descend=clipped_sgd, tune=tune)


def meta_adam(recipe: "Recipe", case: Case) -> optax.GradientTransformation:
    """Of the metaparameters: Adam, blind to the scale of each one's gradient; none of those that only their leak moves.

    A function of the context is learned or is nothing, so that Adam moves it.
    """
    learned = tuned(case.spec).items()
    held = {name: name in recipe.homing and not param.scope.reads_context for name, param in learned}
    moved = optax.adam(recipe.meta_learning_rate, eps=1e-15)
    return optax.chain(moved, optax.masked(optax.set_to_zero(), held)) if any(held.values()) else moved


def plain(case: Case) -> Estimator:
    """Nothing is differentiated."""
    return undifferentiated(case.window)


def untouched(recipe: "Recipe", agent: Agent) -> Agent:
    """The agent as it is."""
    return agent


def in_trust(recipe: "Recipe", case: Case) -> list[Guard]:
    """What must hold after each update; an agent that tunes nothing has only the numeric guard."""
    held = [*in_reach(recipe, case), range(case.bounds, recipe.leak, case.priors), numeric()]
    if case.distance is None:
        return held
    if not tuned(case.spec):
        return [numeric()]
    return [trust_region(case.distance, recipe.policy_bound, case.part, rates=["learning_rate"]), *held]


def in_reach(recipe: "Recipe", case: Case) -> list[Guard]:
    """Of what the recipe itself tunes, numbers come back soon from far away; functions of the context may go there."""
    if recipe.reach == math.inf:
        return []
    near = [name for name, param in tuned(case.spec).items() if name in recipe.tune and not param.scope.reads_context]
    starts = {name: recipe.start[name] for name in near if name in recipe.start}
    return [within_reach({name: case.priors[name] for name in near}, recipe.reach, recipe.far_leak, starts)]


@dataclass(frozen=True)
class Recipe:
    """How an agent is tuned unless its user says otherwise."""

    tune: tuple[str, ...] = ("learning_rate", "critic_learning_rate", "discount", "trace_decay", "entropy_cost")
    """Every metaparameter whose gradient is informative; the weight of a loss with its own network and Adam is not."""
    homing: tuple[str, ...] = ()
    """Those of them that only their leak moves: they find home from any start, and no gradient takes them from there.
    What the user names in the agent's own argument `tune`, or has depend on the context, the gradient moves, where it
    is not zero, as that of a `target_mix` is within one update; to name all that the recipe tunes, as the record of a
    run does, is to say nothing."""
    meta_learning_rate: float = 0.02
    """Step of Adam in unconstrained coordinates: at most about 2 % of a rate, an update."""
    policy_bound: float = 0.01
    """Largest mean Kullback-Leibler divergence of the policy in one update (A2C, V-trace: of 512 steps; `scaled`)."""
    leak: float = 0.01
    """Fraction of the way home that a metaparameter goes at every such update, in unconstrained coordinates: what a
    gradient of mere noise cannot hold, returns; what a steady one moves, stays moved."""
    reach: float = math.inf
    """How far a gradient takes a metaparameter from home, or from beyond its `start`, in unconstrained coordinates:
    a draw, or a user, may put it farther away, but not for long."""
    far_leak: float = 0.3
    """Fraction of what lies beyond the reach that comes back at every such update."""
    home: Mapping[str, float] = field(default_factory=dict)
    """Where metaparameters return to, and start but for `start`, by name, instead of where the agent's own do."""
    home_of_choices: Mapping[str, float] = field(default_factory=dict)
    """Further homes, of agents whose actions are choices (`Discrete`)."""
    start: Mapping[str, float] = field(default_factory=dict)
    """Where tuned ones start instead, at first and whenever the agent starts anew; the leak brings them home."""
    tunable: tuple[str, ...] | None = None
    """All that can be tuned in this way; `None` for everything that the agent has."""
    estimator: Callable[[Case], Estimator] | None = None
    """Instead of the agent's own way to differentiate. It sees all that the agent learns from a rollout as one update:
    PPO's round is one."""
    optimizer: Callable[["Recipe", Case], optax.GradientTransformation] = meta_adam
    """What moves the metaparameters; to heed `homing` is its affair."""
    guards: Callable[["Recipe", Case], list[Guard]] = in_trust
    """What must hold after each update."""
    descend: Descent = clipped_adam
    """What moves each network of an actor-critic."""
    around: Callable[["Recipe", Agent], Agent] = untouched
    """What watches over the finished agent."""

    def for_agent(self, actions: Space, tune: Sequence[str] | None = None) -> "Recipe":
        """The recipe of an agent with such actions, and with what its user names; every agent begins with this.

        One that tunes nothing differentiates nothing.
        """
        more = self.home_of_choices if isinstance(actions, Discrete) else {}
        named = () if tune is None or set(tune) == set(self.tune) else tune
        homing = tuple(name for name in self.homing if name in self.tune and name not in named)
        estimator = self.estimator if self.chosen(tune) else self.estimator or plain
        return replace(self, home={**more, **self.home}, home_of_choices={}, homing=homing, estimator=estimator)

    def scaled(self, by: float) -> "Recipe":
        """The recipe for updates of so many times the usual steps, of which a run makes as many times fewer.

        Each may move the policy as far, and a metaparameter as far on its way home, as all that it stands for together.

        Args:
            by: Above 0; measured up to 4 (256 environments of 8 steps).
        """
        if by == 1.0:
            return self
        leak, far_leak = (1.0 - (1.0 - each) ** by for each in (self.leak, self.far_leak))
        return replace(self, policy_bound=self.policy_bound * by, leak=leak, far_leak=far_leak)

    def returning(self, own: Mapping[str, float]) -> dict[str, float]:
        """Where metaparameters return to: as the agent's own do, but for what the recipe says."""
        return {**own, **self.home}

    def starting(self, own: Mapping[str, float], tune: Sequence[str] | None) -> dict[str, float]:
        """Where they start: at home, but for those that are tuned, and so find their way there from elsewhere.

        Raises:
            UnknownMetaParamError: A start of what the recipe does not tune.
        """
        if extra := sorted(set(self.start) - set(self.tune)):
            raise UnknownMetaParamError(
                f"The recipe's start names {', '.join(extra)}, which its tune ({', '.join(self.tune)}) does not; leave "
                "them out of start, or out of both."
            )
        chosen = self.chosen(tune)
        return {**self.returning(own), **{name: value for name, value in self.start.items() if name in chosen}}

    def constants(self) -> dict[str, Any]:
        """Its numbers and names, for the record of what was measured."""
        return {
            "tune": list(self.tune),
            "homing": list(self.homing),
            "meta_learning_rate": self.meta_learning_rate,
            "policy_bound": self.policy_bound,
            "leak": self.leak,
            **({} if self.reach == math.inf else {"reach": self.reach, "far_leak": self.far_leak}),
            "home": dict(self.home),
            "start": dict(self.start),
            "around": self.around.__name__,
            "descend": self.descend.__name__,
        }

    def chosen(self, tune: Sequence[str] | None) -> tuple[str, ...]:
        """What is tuned: the user's names, or the recipe's.

        Raises:
            SettingError: A name that this recipe cannot tune; or none, and it moves nothing but what is named.
        """
        if tune is None:
            return self.tune
        refused = set() if self.tunable is None else set(tune) - set(self.tunable)
        if refused:
            can = f"can tune {', '.join(self.tunable)}" if self.tunable else "tunes nothing"
            raise SettingError(
                f"tune = {sorted(refused)}: this tuner {can}; leave tune out, or choose tuner='meta_gradient'."
            )
        if self.tunable and not tune:
            raise SettingError(
                f"tune = []: this tuner moves {', '.join(self.tunable)}; leave tune out, or choose tuner='fixed'."
            )
        return tuple(tune)
