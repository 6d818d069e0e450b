"""One small inner problem for all tests of estimators: a linear temporal-difference learner, tuned in three numbers."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from selftune import optim
from selftune.estimators import Estimator, Problem
from selftune.learning import Learner, learner
from selftune.metaparams import MetaParam, one_minus, values
from selftune.tuning import tuner

UPDATES = 4
RATE = 0.2


class Setting(NamedTuple):
    problem: Problem
    meta_params: Any
    state: Any
    batches: Any
    """`(x, y)`: [UPDATES, 6, 3] and [UPDATES, 6]."""
    validation: Any

    def estimate(self, estimator: Estimator, key=None, carried=None, meta_params=None):
        """`(meta_grad, state, estimator_state, info)` of the estimator's first window."""
        meta_params = self.meta_params if meta_params is None else meta_params
        batches = jax.tree.map(lambda leaf: leaf[: estimator.window], self.batches)
        if carried is None:
            carried = estimator.init(self.problem, meta_params, self.state, None)
        key = jax.random.key(0) if key is None else key
        return estimator.estimate(self.problem, meta_params, self.state, carried, batches, self.validation, key)

    def outcome(self, meta_params, steps: int):
        """The outer loss after so many updates."""
        state = self.state
        for k in range(steps):
            state, _ = self.problem.step(meta_params, state, jax.tree.map(lambda leaf, k=k: leaf[k], self.batches))
        return self.problem.judge(meta_params, state, self.validation)[0]


def loss(params, frozen, eta, batch):
    """Bootstraps from the next example; its gradient with respect to `params` and `frozen` differ."""
    x, y = batch
    target = y[:-1] + eta["discount"] * x[1:] @ frozen["w"]
    error = target - x[:-1] @ params["w"]
    return 0.5 * jnp.square(error).mean() + 0.5 * eta["penalty"] * params["w"] @ params["w"], {"error": error}


def meta_loss(params, frozen, eta, batch):
    """Plain regression on the validation batch."""
    x, y = batch
    return 0.5 * jnp.square(x @ params["w"] - y).mean(), None


def make(rule=lambda eta: optim.sgd(eta["learning_rate"]), **arguments) -> Setting:
    """The setting under another rule, or with other arguments of `learner`."""
    spec = {
        "discount": MetaParam(0.9, one_minus()),
        "penalty": MetaParam(0.1),
        "learning_rate": MetaParam(RATE),
    }
    return assemble(spec, learner(loss, rule, **arguments))


def assemble(spec, inner: Learner) -> Setting:
    """The setting of a spec and a learner."""
    x = jax.random.normal(jax.random.key(1), (UPDATES + 1, 6, 3))
    batches = (x, jnp.sin(x).sum(axis=-1))
    state = inner.init({"w": jnp.array([0.5, -1.0, 0.2])}, values(spec))
    tuning = tuner(spec, inner, meta_loss)
    train, validation = (jax.tree.map(lambda leaf, part=part: leaf[part], batches) for part in (slice(-1), -1))
    return Setting(tuning.problem(state), tuning.init(state).meta_params, state, train, validation)
