"""Stable-Baselines3 at its defaults on the tasks of `selftune bench learning`, at equal steps, judged the same way.

    make peers                                        # once: .venv-peers
    .venv-peers/bin/python benchmarks/stable_baselines.py --only CartPole-v1/ppo --seeds 1

Goes on where it was interrupted; writes results/stable_baselines.json. One thread; episodes of evaluation as there: 20,
without chance.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np

TASKS = {
    "CartPole-v1/a2c": 300_000,
    "CartPole-v1/ppo": 300_000,
    "CartPole-v1/dqn": 150_000,
    "Acrobot-v1/a2c": 500_000,
    "Acrobot-v1/ppo": 500_000,
    "Pendulum-v1/ppo": 300_000,
    "Pendulum-v1/sac": 30_000,
    "LunarLander-v3/ppo": 1_000_000,
    "HalfCheetah-v5/ppo": 1_000_000,
    "HalfCheetah-v5/sac": 300_000,
}
EPISODES = 20


def run(task: str, steps: int, seed: int) -> dict[str, float]:
    """One run, and its evaluation."""
    import gymnasium
    import stable_baselines3  # pyright: ignore[reportMissingImports]
    import torch  # pyright: ignore[reportMissingImports]
    from stable_baselines3.common.evaluation import evaluate_policy  # pyright: ignore[reportMissingImports]

    torch.set_num_threads(1)
    env, agent = task.split("/")
    begin = time.perf_counter()
    model = getattr(stable_baselines3, agent.upper())("MlpPolicy", env, seed=seed, device="cpu")
    model.learn(steps)
    seconds = time.perf_counter() - begin
    world = gymnasium.make(env)
    world.reset(seed=1_000_000)
    returns, _ = evaluate_policy(model, world, EPISODES, deterministic=True, return_episode_rewards=True, warn=False)
    return {"evaluation": float(np.mean(returns)), "lowest_episode": float(np.min(returns)), "seconds": round(seconds)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", default=list(TASKS), choices=list(TASKS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("results/stable_baselines.json"))
    options = parser.parse_args()
    results = json.loads(options.out.read_text()) if options.out.exists() else {}
    for seed in range(options.seeds):
        for task in options.only:
            told = results.setdefault(task, {"steps": TASKS[task], "runs": {}})
            if str(seed) in told["runs"]:
                continue
            told["runs"][str(seed)] = run(task, TASKS[task], seed)
            told["median"] = float(np.median([one["evaluation"] for one in told["runs"].values()]))
            options.out.write_text(json.dumps(results, indent=1) + "\n")
            print(task, "seed", seed, told["runs"][str(seed)], flush=True)


if __name__ == "__main__":
    main()
