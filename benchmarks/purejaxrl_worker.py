"""Plain PPO of PureJaxRL on CartPole-v1. Driven by `purejaxrl.py`; runs where flax, distrax and gymnax are installed.

python purejaxrl_worker.py CHECKOUT STEPS

Every line is answered by the environment steps a second of one training run, compiled before.
"""

import json
import sys
import time
from pathlib import Path
from types import ModuleType

import jax

SETTINGS = {
    "ENV_NAME": "CartPole-v1",
    "NUM_ENVS": 16,
    "NUM_STEPS": 128,
    "UPDATE_EPOCHS": 10,
    "NUM_MINIBATCHES": 4,
    "LR": 2.5e-4,
    "ANNEAL_LR": True,
    "GAMMA": 0.99,
    "GAE_LAMBDA": 0.95,
    "CLIP_EPS": 0.2,
    "ENT_COEF": 0.01,
    "VF_COEF": 0.5,
    "MAX_GRAD_NORM": 0.5,
    "ACTIVATION": "tanh",
    "DEBUG": False,
}
"""PureJaxRL's own for this environment, but for the sizes of our PPO."""


def stand_in(name: str, **attributes: object) -> None:
    """A module of that name: the wrappers import brax and navix, and the CartPole of gymnax needs neither."""
    module = ModuleType(name)
    vars(module).update(attributes)
    sys.modules[name] = module


def main() -> None:
    """Answer until there are no more lines."""
    checkout, steps = sys.argv[1:]
    stand_in("brax", envs=None)
    stand_in("brax.envs")
    stand_in("brax.envs.wrappers")
    stand_in("brax.envs.wrappers.training", EpisodeWrapper=None, AutoResetWrapper=None)
    stand_in("navix")
    sys.path.insert(0, str(Path(checkout, "purejaxrl")))
    from ppo import make_train  # pyright: ignore[reportMissingImports]

    train = jax.jit(make_train(SETTINGS | {"TOTAL_TIMESTEPS": float(steps)}))
    key = jax.random.PRNGKey(0)
    jax.block_until_ready(train(key))
    for _ in sys.stdin:
        begin = time.perf_counter()
        jax.block_until_ready(train(key))
        print(json.dumps(float(steps) / (time.perf_counter() - begin)), flush=True)


if __name__ == "__main__":
    main()
