"""`adaptive_rate`: the learning rate that robotics uses, steered by how far each update moves the policy.

Schulman et al. 2017 (https://arxiv.org/abs/1707.06347, section 4) for the cost of divergence; for the rate as in
rsl_rl (Rudin et al. 2022, https://arxiv.org/abs/2109.11978): far beyond the target, the rate comes down by a factor;
far below it, the rate goes up.
"""

from collections.abc import Sequence

import jax.numpy as jnp
import optax

from selftune.errors import EstimatorError, SettingError
from selftune.guards.attempt import Attempt, Fired, Guard, Position
from selftune.guards.trust import Distance, check_rates, projected
from selftune.learning import BareStep, Learner, Projection, StepInfo
from selftune.metaparams import MetaParam, Spec, tuned
from selftune.types import Array, Batch, Eta, Float, Params, PyTree, Scalar


def adaptive_rate(
    distance: Distance,
    target: float = 0.01,
    rates: Sequence[str] = ("learning_rate",),
    factor: float = 1.5,
    limits: tuple[float, float] = (1e-5, 1e-2),
) -> Guard:
    """After each update: `distance > 2 * target` divides the rates by `factor`, `distance < target / 2` multiplies.

    A distance of exactly 0 counts as small (rsl_rl leaves the rate then): that of a tiny step is lost in rounding, and
    the rate could never grow.

    Args:
        distance: `distance(old_params, new_params, batch) -> scalar`; for agents the mean Kullback-Leibler divergence
            of the policy, [nats].
        target: What an update should come to, above 0.
        rates: Metaparameters or constants of the spec; those that are tuned are moved.
        factor: Above 1.
        limits: `(lowest, highest)`: down never leads below the first, up never above the second, as in rsl_rl. So a
            rate that begins above the second comes down to it at its first move up, and likewise below the first.

    Raises:
        SettingError: A setting out of range.
        UnknownMetaParamError: A rate that the spec has not.
        EstimatorError: The tuner has only a bare step function, which tells of no parameters.
    """
    if not (target > 0 and factor > 1 and 0 < limits[0] < limits[1]):
        raise SettingError(
            f"adaptive_rate(target={target}, factor={factor}, limits={limits}): expected a target above 0, a factor "
            "above 1 and limits above 0, the lower first."
        )

    def check(spec: Spec, attempt: Attempt) -> tuple[Position, Fired]:
        steps = attempt.info.steps
        assert isinstance(steps, StepInfo)
        check_rates("adaptive_rate", rates, spec)
        far = steps.distance[-1]
        down, up = far > 2.0 * target, far < 0.5 * target
        moving, meta_params = tuned(spec), dict(attempt.after.meta_params)
        for name in rates:
            if name in moving:
                meta_params[name] = _paced(moving[name], meta_params[name], down, up, factor, limits)
        fired = {"adaptive_rate/down": jnp.where(down, 1, 0), "adaptive_rate/up": jnp.where(up, 1, 0)}
        return attempt.after._replace(meta_params=meta_params), fired

    return measured(distance)._replace(name="adaptive_rate", check=check)


def measured(distance: Distance) -> Guard:
    """Let nothing happen, and let every update tell how far it went, as `StepInfo.distance`."""

    def measure(params: Params, updates: PyTree, batch: Batch) -> tuple[PyTree, Scalar]:
        moved = optax.apply_updates(params, updates)
        return jnp.ones(()), jnp.maximum(distance(params, moved, batch), 0.0)

    def equip(learner: Learner | BareStep) -> Learner | BareStep:
        if isinstance(learner, Learner):
            return projected(learner, Projection(measure))

        def step(eta: Eta, state: PyTree, batch: Batch) -> tuple[PyTree, StepInfo]:
            after, info = learner.step(eta, state, batch)
            if not isinstance(info, StepInfo) or not hasattr(state, "params"):
                raise EstimatorError(
                    "adaptive_rate and measured tell how far an update moves parameters and need a Learner, got a bare "
                    "step function whose state or info is not a learner's: use selftune.learner."
                )
            return after, info._replace(distance=jnp.maximum(distance(state.params, after.params, batch), 0.0))

        return BareStep(step)

    return Guard("measured", lambda spec, attempt: (attempt.after, {}), equip)


def _paced(
    entry: MetaParam, coordinates: PyTree, down: Array, up: Array, factor: float, limits: tuple[float, float]
) -> PyTree:
    """Coordinates of the value moved by the factor, within the limits; as they are where neither holds."""

    def move(x: Float[Array, "..."]) -> Float[Array, "..."]:
        value = entry.constraint.forward(x)
        value = jnp.where(down, jnp.maximum(value / factor, limits[0]), jnp.minimum(value * factor, limits[1]))
        return jnp.where(down | up, entry.constraint.inverse(value), x).astype(x.dtype)

    return entry.scope.move(move, coordinates)
