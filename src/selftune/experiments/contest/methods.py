"""What competes in protocol N, each as an agent for a world and a number of steps."""

import math
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from selftune.agents import Agent, AgentState, Choice
from selftune.agents.catalogue import AGENTS
from selftune.agents.recipe import Recipe, untouched
from selftune.agents.tuners import DEFAULT, OWN, TUNERS, recipe_for
from selftune.envs import Environment, HostEnv
from selftune.errors import SettingError, did_you_mean
from selftune.experiments.fleet import Make
from selftune.experiments.population import PB2, PBT, RANDOM_SEARCH, Strategy
from selftune.metaparams import values
from selftune.runner.asked import settled
from selftune.spaces import Discrete, Space
from selftune.tuning import TunerInfo


class Method(NamedTuple):
    """One row of the table."""

    tuner: str
    """A name that `recipe_for` knows."""
    strategy: Strategy | None = None
    """Of a population, whose members are fixed."""
    contextual: bool = False
    """Whether what the gradient moves is a function of its context."""
    ray: str | None = None
    """The strategy of a population that Ray Tune makes; only measured where it is named."""
    change: Callable[[Recipe], Recipe] = lambda recipe: recipe
    """What is otherwise in the tuner's recipe, in an ablation."""
    settings: Mapping[str, Any] = {}
    """What is otherwise in the agent's settings."""
    own_start: bool = False
    """Whether it begins where the recipe does, and not at the literature's values, when nobody says otherwise."""

    @property
    def moves(self) -> bool:
        """Whether it is another agent than the one whose settings stand still."""
        return self.tuner != "fixed" or bool(self.settings)


def _otherwise(**changes: Any) -> Method:
    return Method("meta_gradient", change=lambda recipe: replace(recipe, **changes), own_start=True)


def _without_critic_rate(recipe: Recipe) -> Recipe:
    tune = tuple(name for name in recipe.tune if name != "critic_learning_rate")
    return replace(recipe, tune=tune, start={name: value for name, value in recipe.start.items() if name in tune})


def _times(**factors: float) -> Method:
    return Method(
        "meta_gradient",
        change=lambda recipe: replace(recipe, **{name: getattr(recipe, name) * by for name, by in factors.items()}),
        own_start=True,
    )


METHODS: Mapping[str, Method] = {
    "fixed": Method("fixed"),
    "annealed": Method("annealed"),
    "kl_adaptive": Method("kl_adaptive"),
    "hoof": Method("hoof"),
    "prodigy": Method("prodigy"),
    "dog": Method("dog"),
    "dowg": Method("dowg"),
    "schedule_free": Method("schedule_free"),
    "reset_on_change": Method("reset_on_change"),
    "random_search": Method("fixed", RANDOM_SEARCH),
    "pbt": Method("fixed", PBT),
    "pb2": Method("fixed", PB2),
    "pbt_ray": Method("fixed", ray="pbt"),
    "pb2_ray": Method("fixed", ray="pb2"),
    "meta_gradient": Method("meta_gradient", own_start=True),
    "meta_gradient_context": Method("meta_gradient", contextual=True, own_start=True),
}
"""Each begins as it would for a user who says nothing: the meta-gradient where its recipe does, populations where they
draw (protocol R), all others with the literature's defaults."""

ABLATIONS: Mapping[str, Method] = {
    "without_trust_region": _otherwise(policy_bound=1e6),
    "tighter_trust_region": _times(policy_bound=1 / 3),
    "wider_trust_region": _times(policy_bound=3.0),
    "without_leak": _otherwise(leak=0.0, reach=math.inf, homing=()),
    "weaker_leak": _times(leak=1 / 3),
    "stronger_leak": _times(leak=3.0),
    "without_reach": _otherwise(reach=math.inf),
    "leak_alone": _otherwise(meta_learning_rate=1e-9),
    "without_homing": _otherwise(homing=()),
    "without_start": _otherwise(start={}),
    "from_literature": Method("meta_gradient"),
    "fixed_from_own_start": Method("fixed", own_start=True),
    "without_quick_start": _otherwise(
        homing=(), home={}, home_of_choices={}, start={}, leak=Recipe.leak, policy_bound=Recipe.policy_bound
    ),
    "without_gradient_floor": _otherwise(home_of_choices={}),
    "without_restart": _otherwise(around=untouched),
    "without_critic_rate": Method("meta_gradient", change=_without_critic_rate, own_start=True),
    "without_reward_scale": Method("meta_gradient", settings={"scale_rewards": False}, own_start=True),
    "with_observation_scale": Method("meta_gradient", settings={"normalise_observations": True}, own_start=True),
    "with_outer_entropy": Method("meta_gradient", settings={"outer_entropy_cost": 0.03}, own_start=True),
    "fixed_without_reward_scale": Method("fixed", settings={"scale_rewards": False}),
}
"""The recipe with one thing taken away or changed; measured where they are named."""

STARTS = ("without_start", "from_literature", "fixed_from_own_start")
"""Ablations of where a method begins: the same as others where that is given."""

KNOWN: Mapping[str, Method] = {**METHODS, **ABLATIONS}
"""All that can be measured."""

COMMON = ("learning_rate", "entropy_cost", "value_cost", "discount", "trace_decay")
SEARCHED: Mapping[str, tuple[str, ...]] = {
    "a2c": COMMON,
    "ppo": (*COMMON, "clip_range"),
    "impala": COMMON,
    "dqn": ("learning_rate", "epsilon", "target_mix", "discount"),
    "q_lambda": ("learning_rate", "epsilon", "target_mix", "discount", "trace_decay"),
    "sac": ("learning_rate", "temperature", "target_mix", "discount"),
}
"""In what fixed settings and members of populations differ, by agent. A critic's rate follows the learning rate."""


def method(name: str) -> Method:
    """A method by its name.

    Raises:
        SettingError: There is none.
    """
    if name not in KNOWN:
        raise SettingError(f"There is no method {name!r}; {did_you_mean(name, KNOWN)}")
    return KNOWN[name]


def suits(agent: str, name: str) -> bool:
    """Whether an agent can be tuned by that method, which changes something of its recipe or settings if it says so."""
    told, own = method(name), OWN[agent]
    needed = {*told.settings, *(["contextual"] if told.contextual else [])}
    known = {field.name for field in fields(AGENTS[agent][1])}
    changes = name not in ABLATIONS or name in STARTS or bool(told.settings) or told.change(own) != own
    return agent in TUNERS[told.tuner].agents and needed <= known and changes


def constants(agent: str, actions: Space, name: str) -> dict[str, Any]:
    """The constants of a method that differentiates, for its row; of others nothing."""
    told = KNOWN.get(name)
    if told is None or told.tuner != DEFAULT:
        return {}
    return {"recipe": told.change(recipe_for(told.tuner, agent)).for_agent(actions).constants()}


def changed_since(details: Mapping[str, Any], agent: str, actions: Callable[[], Space], name: str) -> list[str]:
    """Which constants of a method are no longer what they were when a row of it was measured.

    Args:
        details: The row's; those without a `"recipe"` do not tell.
        agent: A key of `SEARCHED`.
        actions: What it can do; a world is opened for that where it is needed.
        name: The method.
    """
    if (before := details.get("recipe")) is None:
        return []
    now = constants(agent, actions(), name).get("recipe", {})
    return sorted(name for name in before | now if before.get(name) != now.get(name))


def maker(
    agent: str, env: Environment | HostEnv, told: Method, steps: int, settings: Mapping[str, Any] | None = None
) -> Make:
    """The agent of a method as a function of its initial values.

    Args:
        agent: A key of `SEARCHED`.
        env: Its world.
        told: The method.
        steps: The agent's lifetime, in environment steps.
        settings: Changes to the agent's own settings; text is read as on the command line.

    Raises:
        SettingError: An unknown setting, or a value out of its range.
    """
    build, defaults = AGENTS[agent]
    recipe = told.change(recipe_for(told.tuner, agent))
    contextual = tuple(name for name in recipe.tune if name not in recipe.homing) if told.contextual else ()
    usual = {"lifetime": steps, "contextual": contextual}
    chosen = settled(defaults, {**usual, **(settings or {}), **told.settings}, optional=usual)
    return lambda init: build(env.observation_space, env.action_space, init=init, settings=chosen, recipe=recipe)


def own_start(agent: str, env: Environment | HostEnv, told: Method) -> dict[str, float]:
    """Where the recipe's beginner is, of all that it sets."""
    return told.change(OWN[agent]).for_agent(env.action_space).starting({}, None)


def literature(agent: str, env: Environment | HostEnv) -> dict[str, float]:
    """The literature's values of all that is searched, and the critic's rate where there is one."""
    built = values(AGENTS[agent][0](env.observation_space, env.action_space, recipe=recipe_for("fixed", agent)).spec)
    return {name: float(built[name]) for name in (*SEARCHED[agent], "critic_learning_rate") if name in built}


def random_policy(env: Environment | HostEnv, like: Agent) -> Callable[[Any], Agent]:
    """An agent that draws its actions evenly and learns nothing, with another agent's counts."""
    space = env.action_space

    def act(actor: Any, carry: Any, observation: Any, first: Any, key: Any) -> Choice:
        if isinstance(space, Discrete):
            return Choice(jax.random.randint(key, first.shape, 0, space.n, jnp.int32))
        return Choice(jax.random.uniform(key, (*first.shape, *space.shape), jnp.float32, -1.0, 1.0))

    def learn(state: AgentState, batch: Any, key: Any) -> tuple[AgentState, TunerInfo]:
        nothing: Any = ()
        return state, TunerInfo({}, {}, {}, jnp.zeros(()), (), nothing)

    nothing: Any = ()
    still = AgentState(nothing, nothing)
    agent = like._replace(
        name="random",
        spec={},
        init=lambda key: still,
        actor=lambda state: (),
        rest=lambda count: (),
        act=act,
        decide=lambda actor, carry, observation, first: act(actor, carry, observation, first, jax.random.key(0)),
        learn=learn,
        lag=0,
    )
    return lambda init: agent
