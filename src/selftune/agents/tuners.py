"""The tuners by name: the meta-gradient, and its rivals, as recipes for every agent that they suit.

Only `meta_gradient` differentiates; every other one costs no more than the updates it takes.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NamedTuple

import optax

from selftune.agents.alarms import pages_test
from selftune.agents.dqn import RECIPE as DQN
from selftune.agents.ppo import RECIPE as PPO
from selftune.agents.q_lambda import RECIPE as Q_LAMBDA
from selftune.agents.recipe import Case, Descent, Recipe, plain, untouched
from selftune.agents.restarting import restart_on
from selftune.agents.sac import RECIPE as SAC
from selftune.agents.synchronous import RECIPE as SYNCHRONOUS
from selftune.errors import SettingError, did_you_mean
from selftune.estimators import Estimator, hoof
from selftune.guards import Guard, adaptive_rate, measured, numeric
from selftune.metaparams import tuned
from selftune.optim import chain, clip_by_global_norm, parameter_free
from selftune.tuning import annealed
from selftune.types import Eta, Scalar

DEFAULT = "meta_gradient"

RATES = ("learning_rate", "critic_learning_rate")

TARGET_DIVERGENCE = 0.01
"""Of the policy in one update, or in one round of PPO, in nats."""

CANDIDATES = 8
"""Updates that HOOF chooses from."""

OWN: Mapping[str, Recipe] = {
    "a2c": SYNCHRONOUS,
    "impala": SYNCHRONOUS,
    "ppo": PPO,
    "dqn": DQN,
    "q_lambda": Q_LAMBDA,
    "sac": SAC,
}
"""How each agent is tuned by meta-gradients."""

ACTOR_CRITICS = ("a2c", "impala", "ppo")


class Choice(NamedTuple):
    """A tuner that can be chosen."""

    effect: str
    """What it does, in one line."""
    agents: tuple[str, ...]
    """Those that it suits."""
    of: Callable[[Recipe], Recipe]
    """From an agent's own recipe to this tuner's."""


def recipe_for(name: str, agent: str) -> Recipe:
    """How an agent is tuned by the tuner of that name.

    Raises:
        SettingError: There is no such tuner, or it does not suit the agent.
    """
    if not isinstance(name, str) or name not in TUNERS:
        raise SettingError(f"There is no tuner {name!r}; {did_you_mean(str(name), TUNERS)}")
    choice = TUNERS[name]
    if agent not in choice.agents:
        suited = ", ".join(other for other, one in TUNERS.items() if agent in one.agents)
        raise SettingError(
            f"The tuner {name!r} suits the agents {', '.join(choice.agents)}, not {agent!r}; for {agent!r} choose one "
            f"of {suited}."
        )
    return choice.of(OWN[agent])


def _unmoved(recipe: Recipe, case: Case) -> optax.GradientTransformation:
    return optax.set_to_zero()


def _only_numeric(recipe: Recipe, case: Case) -> list[Guard]:
    return [numeric()]


def _held(own: Recipe) -> Recipe:
    return replace(
        own,
        estimator=plain,
        optimizer=_unmoved,
        guards=_only_numeric,
        homing=(),
        home={},
        home_of_choices={},
        start={},
        around=untouched,
    )


def _fixed(own: Recipe) -> Recipe:
    return replace(_held(own), tune=(), tunable=())


def _annealed(own: Recipe) -> Recipe:
    def follow_the_clock(recipe: Recipe, case: Case) -> optax.GradientTransformation:
        assert case.updates is not None
        return annealed(case.spec, case.updates, {name: low for name, (low, _) in case.bounds.items()})

    return replace(_held(own), tune=RATES, tunable=RATES, optimizer=follow_the_clock)


def _kl_adaptive(own: Recipe) -> Recipe:
    def guards(recipe: Recipe, case: Case) -> list[Guard]:
        assert case.distance is not None
        return [adaptive_rate(case.distance, TARGET_DIVERGENCE, RATES), numeric()]

    return replace(_held(own), tune=RATES, tunable=RATES, guards=guards)


def _hoof(own: Recipe) -> Recipe:
    def search(case: Case) -> Estimator:
        assert case.value is not None
        ranges = {name: entry.constraint.coordinates(case.bounds[name]) for name, entry in tuned(case.spec).items()}
        return hoof(case.value, ranges, TARGET_DIVERGENCE, CANDIDATES)

    def guards(recipe: Recipe, case: Case) -> list[Guard]:
        assert case.distance is not None
        return [measured(case.distance), numeric()]

    moving = tuple(name for name in own.tune if name != "critic_learning_rate")
    to_the_best = optax.sgd(1.0)
    return replace(
        _held(own), tune=moving, tunable=moving, estimator=search, optimizer=lambda *_: to_the_best, guards=guards
    )


def _descending(rule: Callable[[Scalar | float, Eta], optax.GradientTransformation]) -> Callable[[Recipe], Recipe]:
    """A fixed agent whose networks descend by another rule, each as one vector, under the clipped gradient."""

    def descend(rate: Scalar | float, eta: Eta) -> optax.GradientTransformation:
        return optax.flatten(chain(clip_by_global_norm(eta["max_grad_norm"]), rule(rate, eta)))

    chosen: Descent = descend
    return lambda own: replace(_fixed(own), descend=chosen)


TUNERS: Mapping[str, Choice] = {
    DEFAULT: Choice("the recipe: differentiates through the update", tuple(OWN), lambda own: own),
    "fixed": Choice("nothing moves", tuple(OWN), _fixed),
    "held": Choice("nothing moves by itself; settings are state, to be moved from outside", tuple(OWN), _held),
    "annealed": Choice("learning rates go linearly to 0 over the run", ACTOR_CRITICS, _annealed),
    "kl_adaptive": Choice(
        "learning rates follow the policy's divergence: / 1.5 above twice the target, x 1.5 below half of it",
        ACTOR_CRITICS,
        _kl_adaptive,
    ),
    "hoof": Choice(
        "the best of 8 updates under candidate settings, by importance sampling on the same data", ACTOR_CRITICS, _hoof
    ),
    "prodigy": Choice(
        "no learning rate: Prodigy",
        ACTOR_CRITICS,
        _descending(lambda rate, eta: parameter_free.prodigy(eta["adam_b1"], eta["adam_b2"])),
    ),
    "dog": Choice(
        "no learning rate: distance over gradients", ACTOR_CRITICS, _descending(lambda *_: parameter_free.dog())
    ),
    "dowg": Choice(
        "no learning rate: distance over weighted gradients",
        ACTOR_CRITICS,
        _descending(lambda *_: parameter_free.dowg()),
    ),
    "schedule_free": Choice(
        "Adam with averaging in place of a schedule, at the given rates",
        ACTOR_CRITICS,
        _descending(
            lambda rate, eta: parameter_free.schedule_free(rate, eta["adam_b1"], eta["adam_b2"], eta["adam_eps"])
        ),
    ),
    "reset_on_change": Choice(
        "nothing moves; networks start anew when the return falls below its recent past",
        (*ACTOR_CRITICS, "q_lambda"),
        lambda own: replace(_fixed(own), around=restart_on(pages_test())),
    ),
}
