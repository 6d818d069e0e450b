"""Your own loop around a host environment, with a window of K = 3 updates.

Act and learn forwards, K times, without differentiation (`tuner.act`), and keep the batches. Then replay them under
the gradient from the state the window began in (`tuner.update`), judged by the next rollout. The state that acted is
kept: the replayed one equals it to rounding. The trust region's factors ride along in the batches, so that the replay
takes the same steps.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from rich.console import Console
from rich.progress import track

import selftune as st
from selftune.objectives import Outer, actor_critic_loss, actor_critic_meta_loss, feedforward, policy_divergence

ENVS, LENGTH, K, WINDOWS = 8, 32, 3, 50

env = st.envs.make("CartPole-v1", ENVS)
policy = st.networks.mlp(env.observation_space.encoded_shape, 2, (32, 32), out_scale=0.01)
critic = st.networks.mlp(env.observation_space.encoded_shape, 1, (32, 32), out_scale=0.01)
model, outer = feedforward(policy.apply, lambda p, observation: critic.apply(p, observation)[..., 0]), Outer()

spec = {
    "learning_rate": st.MetaParam(1e-3),
    "discount": st.MetaParam(0.9, st.one_minus()),
    "entropy_cost": st.MetaParam(0.05),
    "trace_decay": 0.95,  # a plain number is a constant
    "value_cost": 0.5,
    "reward_scale": 1.0,
}
learner = st.learner(actor_critic_loss(model, outer), lambda eta: st.optim.adam(eta["learning_rate"]))
tuner = st.tuner(
    spec,
    learner,
    actor_critic_meta_loss(model, outer),
    estimator=st.truncated(K, mode="mixed"),
    optimizer=optax.adam(0.05, eps=1e-15),
    guards=[
        st.guards.trust_region(
            policy_divergence(model), 0.01, lambda s: {"policy": s, "critic": 1.0, "outer_critic": 1.0}
        ),
        st.guards.range({"learning_rate": (1e-6, 0.03)}),
        st.guards.numeric(),
    ],
)


@jax.jit
def act(params, observation, key):
    return jax.random.categorical(key, policy.apply(params["policy"], observation))


def rollout(params, observation, key):
    """[T, B] transitions, where they end, and the returns of finished episodes."""
    steps, finished = [], []
    for step_key in jax.random.split(key, LENGTH):
        action = np.asarray(act(params, observation, step_key))
        step = env.step(action)
        steps.append((observation, action, step.reward, step.terminated, step.truncated, step.next_observation))
        observation, finished = step.observation, [*finished, *step.finished_returns]
    batch = st.Transitions(*(jnp.asarray(np.stack(column)) for column in zip(*steps, strict=True)))
    return batch, observation, finished


def main():
    keys = iter(jax.random.split(jax.random.key(0), 10_000))
    nets = {"policy": policy, "critic": critic, "outer_critic": critic}
    state = learner.init({name: net.init(next(keys)) for name, net in nets.items()}, st.values(spec))
    meta, observation, info = tuner.init(state), env.reset(seed=0), None
    batch, observation, finished = rollout(state.params, observation, next(keys))
    first, console = np.mean(finished), Console()
    for _ in track(range(WINDOWS), "windows", console=console):
        start, acted = state, []
        for _ in range(K):
            state, replay, _ = tuner.act(meta, state, batch)
            acted.append(replay)
            batch, observation, more = rollout(state.params, observation, next(keys))
            finished = [*finished, *more]
        window = jax.tree.map(lambda *leaves: jnp.stack(leaves), *acted)
        meta, _, info = tuner.update(meta, start, window, batch, next(keys))
    assert info is not None
    moved = ", ".join(f"{n} {float(st.values(spec)[n]):.3g} → {float(info.eta[n]):.3g}" for n in info.meta_grad)
    console.print(f"CartPole-v1 in our own loop: return {first:.0f} → {np.mean(finished[-20:]):.0f}; {moved}.")


if __name__ == "__main__":
    main()
