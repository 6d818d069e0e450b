"""TD(λ) predictors: what a stream's discounted sum will be, with step sizes that tune themselves at every step.

A predictor acts on nothing. Its `learn` is the body of a scan over a stream, or one call in somebody's control loop:

    predictor = td_lambda(observation_space, rule="swift", init={"discount": 0.9})
    state = predictor.init(predictor.eta, key)
    state, info = jax.lax.scan(partial(predictor.learn, predictor.eta), state, stream)

Everything in `eta` may be a traced value: nothing recompiles when it moves, and all of it can be tuned by gradients
through `predictor.learner`, but for `initial_step_size`, which only the beginning reads.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from typing import Any, NamedTuple

import jax.numpy as jnp

from selftune import optim
from selftune.errors import ConstraintError, NotDifferentiableError, SettingError, did_you_mean
from selftune.learning import Learner, LearnerState, learner
from selftune.metaparams import check_names
from selftune.networks import Network, suited
from selftune.networks.network import leading_axes
from selftune.objectives.prediction import Moment, td_loss
from selftune.optim.eligibility import eligibility_traces, true_online_td
from selftune.optim.swift import swift_td
from selftune.optim.temporal_difference import autostep_tidbd, tidbd
from selftune.spaces import Space
from selftune.types import Array, Eta, Float, Params, PRNGKey, PyTree, Rule, Scalar


class PredictionInfo(NamedTuple):
    """What a person wants to know about one step."""

    prediction: Scalar
    """Of the observation, before the update."""
    td_error: Scalar


class Predictor(NamedTuple):
    """A prediction of one discounted sum; pure functions."""

    eta: dict[str, Any]
    """Initial metaparameters by name."""
    init: Callable[[Eta, PRNGKey], LearnerState]
    """`init(eta, key) -> state`."""
    predict: Callable[[LearnerState, PyTree], Float[Array, "..."]]
    """`predict(state, observation [..., *shape]) -> [...]`."""
    learn: Callable[[Eta, LearnerState, Moment], tuple[LearnerState, PredictionInfo]]
    """`learn(eta, state, moment) -> (state, info)`; step sizes that adapt are `state.opt_state.step_size`."""
    learner: Learner
    """The same update for `selftune.tuner`, whose batches are moments."""


class _Choice(NamedTuple):
    """An update rule by name."""

    rule: Rule
    defaults: dict[str, float]
    linear: bool = False
    """Whether it is sound for a linear prediction only."""


RULES: Mapping[str, _Choice] = {
    "swift": _Choice(
        lambda eta: swift_td(
            eta["initial_step_size"], eta["meta_step_size"], eta["rate_bound"], eta["step_size_decay"]
        ),
        {"initial_step_size": 1e-2, "meta_step_size": 1e-3, "rate_bound": 0.1, "step_size_decay": 0.999},
        linear=True,
    ),
    "tidbd": _Choice(
        lambda eta: tidbd(eta["initial_step_size"], eta["meta_step_size"]),
        {"initial_step_size": 1e-3, "meta_step_size": 1e-3},
    ),
    "autostep_tidbd": _Choice(
        lambda eta: autostep_tidbd(eta["initial_step_size"], eta["meta_step_size"]),
        {"initial_step_size": 1e-2, "meta_step_size": 1e-2},
    ),
    "true_online": _Choice(lambda eta: true_online_td(eta["learning_rate"]), {"learning_rate": 1e-2}, linear=True),
    "sgd": _Choice(
        lambda eta: optim.chain(eligibility_traces(), optim.sgd(eta["learning_rate"])), {"learning_rate": 1e-3}
    ),
}
"""The update rules by name, with where their metaparameters start."""

HORIZONS = {"discount": 0.99, "trace_decay": 0.9}
"""Where the metaparameters that all rules share start."""

RANGES = {
    "discount": (0.0, 1.0),
    "trace_decay": (0.0, 1.0),
    "learning_rate": (0.0, math.inf),
    "initial_step_size": (1e-30, math.inf),
    "meta_step_size": (0.0, math.inf),
    "rate_bound": (1e-6, 1.0),
    "step_size_decay": (1e-6, 1.0),
}
"""Where each metaparameter makes sense, inclusive."""


def td_lambda(
    observation_space: Space,
    *,
    rule: str = "swift",
    hidden: Sequence[int] = (),
    init: Mapping[str, Any] | None = None,
) -> Predictor:
    """A TD(λ) predictor, linear in the observation or deep.

    The metaparameters are `discount` and `trace_decay`, and those of the rule: `learning_rate` of "sgd" and
    "true_online"; `initial_step_size` and `meta_step_size` of "tidbd", "autostep_tidbd" and "swift"; `rate_bound` and
    `step_size_decay` of "swift".

    Args:
        observation_space: Of one observation. A linear prediction has one weight for each of its numbers, 0 at first,
            and no bias: where one is wanted, let a number of the observation be 1.
        rule: "swift" (SwiftTD), "tidbd", "autostep_tidbd" (TIDBD normalised); with one fixed step size "true_online" or
            "sgd" (TD(λ) with accumulating traces).
        hidden: Widths of a network's hidden layers, all of whose parameters have a trace; none is a linear prediction.
        init: Initial metaparameters by name; floats, or scalar arrays, whose range is the caller's.

    Raises:
        SettingError: A rule that does not exist, or one for linear predictions with a network.
        MetaParamError: A metaparameter that the rule does not have, or a value out of range.
    """
    choice = _choice(rule, hidden)
    eta = _initial({**HORIZONS, **choice.defaults}, init or {})
    network = _deep(observation_space, hidden) if hidden else _linear(observation_space)
    learning = learner(td_loss(network.apply), choice.rule, extras=("td_error", "features", "decay"))

    def begin(eta: Eta, key: PRNGKey) -> LearnerState:
        return learning.init(network.init(key), eta)

    def predict(state: LearnerState, observation: PyTree) -> Float[Array, "..."]:
        return network.apply(state.params, observation)

    def learn(eta: Eta, state: LearnerState, moment: Moment) -> tuple[LearnerState, PredictionInfo]:
        state, info = learning.step(eta, state, moment)
        return state, PredictionInfo(info.aux.prediction, info.aux.td_error)

    return Predictor(eta, begin, predict, learn, learning)


def _linear(space: Space) -> Network:
    """Weights of the shape of an observation, 0 at first, and their inner product with it."""
    shape = space.encoded_shape

    def apply(weights: Params, observation: Array) -> Float[Array, "..."]:
        leading = leading_axes(observation, shape)
        return observation.reshape(*leading, -1).astype(weights.dtype) @ weights.reshape(-1)

    return Network(lambda key: jnp.zeros(shape), apply)


def _deep(space: Space, hidden: Sequence[int]) -> Network:
    """The built-in network for the observations, with one number as its output."""
    network = suited(space.encoded_shape, 1, hidden)
    return Network(network.init, lambda params, observation: network.apply(params, observation)[..., 0])


def _choice(rule: str, hidden: Sequence[int]) -> _Choice:
    if rule not in RULES:
        raise SettingError(f"td_lambda got rule={rule!r}, which does not exist; {did_you_mean(rule, RULES)}")
    if hidden and RULES[rule].linear:
        deep = ", ".join(sorted(name for name, choice in RULES.items() if not choice.linear))
        raise SettingError(
            f"td_lambda got rule={rule!r} and a network, hidden={tuple(hidden)}; that rule is for linear predictions "
            f"only. Choose one of {deep}, or feed a network's last hidden layer to a linear predictor."
        )
    return RULES[rule]


def _initial(defaults: Mapping[str, float], init: Mapping[str, Any]) -> dict[str, Any]:
    check_names(init, defaults, ("rule", "hidden"))
    given = dict(init)
    for name, value in init.items():
        if isinstance(value, Array):
            continue
        if isinstance(value, bool) or not isinstance(value, Real):
            raise NotDifferentiableError(f"init: {name} = {value!r} is not a number.")
        lowest, highest = RANGES[name]
        given[name] = value = float(value)
        if not (math.isfinite(value) and lowest <= value <= highest):
            raise ConstraintError(f"init: {name} = {value:g} is out of range; expected {lowest:g} to {highest:g}.")
    return {**defaults, **given}
