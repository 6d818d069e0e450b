"""An agent of Stable-Baselines3 at its defaults, untuned. Driven by `libraries`, without selftune.

python stable_baselines.py ENV AGENT NUM_ENVS

The line `version` is answered by the package's version, every other one by the environment steps a second of one more
round: a rollout, and the updates from it.
"""

# pyright: reportMissingImports=false
import json
import sys
import time

import stable_baselines3
from stable_baselines3.common.env_util import make_vec_env


def main() -> None:
    """Answer until there are no more lines."""
    env, agent, num_envs = sys.argv[1:]
    worlds = make_vec_env(env, n_envs=int(num_envs), seed=0)
    model = getattr(stable_baselines3, agent.upper())("MlpPolicy", worlds, device="cpu", seed=0)
    model.learn(1)  # warm: one round

    def speed() -> float:
        begin, before = time.perf_counter(), model.num_timesteps
        model.learn(1, reset_num_timesteps=False)
        return (model.num_timesteps - before) / (time.perf_counter() - begin)

    for line in sys.stdin:
        print(json.dumps(stable_baselines3.__version__ if line.strip() == "version" else speed()), flush=True)


if __name__ == "__main__":
    main()
