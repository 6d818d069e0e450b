"""How fast, and what self-tuning costs: ratios from alternating runs, medians.

    python benchmarks/throughput.py                 # everything that is installed here
    python benchmarks/throughput.py --peers         # Stable-Baselines3 too, in .venv-peers (make peers)

Each measurement is a whole training run, end to end, without its compilation: steps after the first row over the time
after it.
"""

import argparse
import json
import statistics
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import selftune as st

HOST = [
    ("CartPole-v1", "a2c", 150_000),
    ("CartPole-v1", "ppo", 150_000),
    ("HalfCheetah-v5", "ppo", 80_000),
]
NATIVE = [("cartpole", "a2c", 3_000_000), ("cartpole", "ppo", 2_000_000)]
PEER = """
import sys, time
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env
import torch
model = PPO("MlpPolicy", make_vec_env("CartPole-v1", n_envs=int(sys.argv[1]), seed=0), device="cpu")
model.learn(8192)
begin = time.perf_counter(); before = model.num_timesteps
model.learn(40960, reset_num_timesteps=False)
print((model.num_timesteps - before) / (time.perf_counter() - begin))
"""


def speed(env: str, agent: str, steps: int, tune: list[str] | None) -> float:
    """Steps a second of one training run."""
    with tempfile.TemporaryDirectory() as scratch:
        run = st.train(env, agent, tune=tune, steps=steps, out=Path(scratch) / "run", progress=False)
        first, last = run.rows[0], run.rows[-1]
        return (last["step"] - first["step"]) / (last["wall_time"] - first["wall_time"])


def alternate(rounds: int, **measures: Callable[[], float]) -> dict[str, list[float]]:
    """Each measure in turn, several times."""
    told: dict[str, list[float]] = {name: [] for name in measures}
    for _ in range(rounds):
        for name, measure in measures.items():
            told[name].append(measure())
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("results/throughput.json"))
    options = parser.parse_args()
    results = {}
    for env, agent, steps in [*HOST, *NATIVE]:
        told = alternate(
            options.rounds,
            self_tuned=lambda e=env, a=agent, n=steps: speed(e, a, n, None),
            fixed=lambda e=env, a=agent, n=steps: speed(e, a, n, []),
        )
        tuned, fixed = (statistics.median(told[name]) for name in ("self_tuned", "fixed"))
        results[f"{env}/{agent}"] = {"self_tuned": tuned, "fixed": fixed, "ratio": tuned / fixed, "runs": told}
        print(
            f"{env:16} {agent:5} self-tuned {tuned:9.0f} /s   fixed {fixed:9.0f} /s   ratio {tuned / fixed:.2f}",
            flush=True,
        )
        write(options.out, results)
    if options.peers:
        ours = [speed("CartPole-v1", "ppo", 150_000, None) for _ in range(options.rounds)]
        command = [".venv-peers/bin/python", "-c", PEER, "16"]
        theirs = [float(subprocess.check_output(command, text=True).split()[-1]) for _ in range(options.rounds)]
        ratio = statistics.median(ours) / statistics.median(theirs)
        results["CartPole-v1/ppo/stable-baselines3"] = {"ours": ours, "theirs": theirs, "ratio": ratio}
        print(f"CartPole-v1 self-tuned PPO over Stable-Baselines3's plain PPO, 16 environments each: {ratio:.1f}")
        write(options.out, results)


def write(out: Path, results: dict) -> None:
    """Everything so far."""
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
