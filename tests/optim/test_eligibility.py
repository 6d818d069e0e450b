"""Accumulating traces are TD(λ), dutch ones are the online λ-return algorithm."""

import jax
import jax.numpy as jnp
import numpy as np

from selftune import optim
from selftune.optim.eligibility import eligibility_traces, true_online_td

# pairs of an input x, a TD error δ and a decay γλ, for one weight
BY_HAND = [(2.0, 3.0, 0.0), (1.0, 2.0, 0.5)]


def _run(rule, examples):
    state, steps = rule.init(jnp.zeros(())), []
    for x, delta, decay in examples:
        features = jnp.asarray(x)
        step, state = rule.update(-delta * features, state, td_error=delta, features=features, decay=decay)
        steps.append(float(step))
    return steps, state


def test_accumulating_traces_by_hand():
    steps, (state, _) = _run(optim.chain(eligibility_traces(), optim.sgd(0.1)), BY_HAND)
    # z = 2, step .1 · 3 · 2; then z = .5 · 2 + 1 = 2, step .1 · 2 · 2
    np.testing.assert_allclose(steps, [0.6, 0.4], rtol=1e-6)
    np.testing.assert_allclose(state.eligibility, 2.0)


def test_a_dutch_trace_by_hand():
    steps, state = _run(true_online_td(0.1), BY_HAND)
    # 1: z = .1 · 2 = .2, step 3 · .2
    # 2: b = .5 · .2 · 1 = .1; α x = .1; z = .5 · .2 + .1 (1 − .1) = .19; step 2 · .19 + (.6 · 1)(.19 − .1) = .434
    np.testing.assert_allclose(steps, [0.6, 0.434], rtol=1e-6)
    np.testing.assert_allclose(state.eligibility, 0.19, rtol=1e-6)


def _online_lambda_return(features, cumulants, discount, trace_decay, step_size):
    """The weights after each step, by redoing all updates at every horizon (van Seijen et al. 2016, section 3)."""
    weights = [np.zeros(features.shape[1])]
    for horizon in range(1, len(cumulants) + 1):
        w = weights[0]
        for t in range(horizon):
            n_step, reward = [], 0.0
            for k in range(t, horizon):
                reward += discount ** (k - t) * cumulants[k]
                n_step.append(reward + discount ** (k - t + 1) * weights[k] @ features[k + 1])
            mixed = sum((1 - trace_decay) * trace_decay**n * g for n, g in enumerate(n_step[:-1]))
            target = mixed + trace_decay ** (len(n_step) - 1) * n_step[-1]
            w = w + step_size * (target - w @ features[t]) * features[t]
        weights.append(w)
    return np.stack(weights[1:])


def test_true_online_td_is_the_online_lambda_return_algorithm(float64):
    rng = np.random.default_rng(0)
    features, cumulants = rng.normal(size=(9, 3)), rng.normal(size=8)
    discount, trace_decay = 0.9, 0.7

    def step(carry, data):
        w, state = carry
        x, cumulant, successor = data
        delta = cumulant + discount * w @ successor - w @ x
        change, state = rule.update(-delta * x, state, td_error=delta, features=x, decay=discount * trace_decay)
        return (w + change, state), w + change

    rule, start = true_online_td(0.2), jnp.zeros(3)
    stream = (jnp.array(features[:-1]), jnp.array(cumulants), jnp.array(features[1:]))
    _, weights = jax.lax.scan(step, (start, rule.init(start)), stream)
    np.testing.assert_allclose(weights, _online_lambda_return(features, cumulants, discount, trace_decay, 0.2))
