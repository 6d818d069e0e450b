"""The idea, with nothing but jax: a learning rate that learns.

A linear learner follows a target that moves fast, then stands still under noise. Fast wants a high rate, noise a low
one. Each update is judged on the next sample; that judgement is differentiated through the update, down to the
logarithm of the rate.

    inner update    w' = w - rate * d loss(w, sample) / d w
    outer update    log rate = log rate - meta_rate * d loss(w', next sample) / d log rate
"""

import jax
import jax.numpy as jnp

STEPS = 20_000  # of each half
META_RATE = 0.02
RATES = (0.001, 0.01, 0.1)


def loss(w, sample):
    features, target = sample
    return 0.5 * (features @ w - target) ** 2


def update(w, log_rate, sample):
    return w - jnp.exp(log_rate) * jax.grad(loss)(w, sample)


def stream(key):
    """Targets of a linear map that walks at random in the first half and stands still, under noise, in the second."""
    keys = jax.random.split(key, 3)
    moves = 0.1 * jax.random.normal(keys[0], (2 * STEPS, 5)) * (jnp.arange(2 * STEPS) < STEPS)[:, None]
    noise = jnp.where(jnp.arange(2 * STEPS) < STEPS, 0.0, 2.0) * jax.random.normal(keys[1], (2 * STEPS,))
    features = jax.random.normal(keys[2], (2 * STEPS, 5))
    return features, (features * moves.cumsum(axis=0)).sum(axis=1) + noise


def run(samples, log_rate, meta_rate):
    """Follow the stream; returns the error before each update, and the rate."""

    def step(carry, pair):
        w, log_rate = carry
        sample, following = pair

        def judged(log_rate):
            moved = update(w, log_rate, sample)
            return loss(moved, following), moved

        slope, moved = jax.grad(judged, has_aux=True)(log_rate)  # through the update
        error = loss(moved, following)
        log_rate = log_rate - meta_rate * jnp.clip(slope, -1.0, 1.0)
        return (moved, log_rate), (error, jnp.exp(log_rate))

    now, following = (jax.tree.map(lambda leaf, s=s: leaf[s], samples) for s in (slice(-1), slice(1, None)))
    return jax.lax.scan(step, (jnp.zeros(5), log_rate), (now, following))[1]


def main():
    samples = stream(jax.random.key(0))
    follow = jax.jit(run)
    print(f"{'rate':>12} {'error while it moves':>22} {'error in the noise':>20}")
    for rate in RATES:
        errors, _ = follow(samples, jnp.log(rate), 0.0)
        print(f"{rate:>12} {errors[:STEPS].mean():>22.3f} {errors[STEPS + STEPS // 2 :].mean():>20.3f}")
    errors, rates = follow(samples, jnp.log(0.001), META_RATE)
    print(f"{'self-tuned':>12} {errors[:STEPS].mean():>22.3f} {errors[STEPS + STEPS // 2 :].mean():>20.3f}")
    print(f"Started at 0.001, its rate was {rates[STEPS - 1]:.3f} when the target moved, {rates[-1]:.4f} in the noise.")


if __name__ == "__main__":
    main()
