"""An `OnlineAgent` for a million steps: does memory grow, does anything recompile, how long does a step take?

    python benchmarks/online_soak.py --steps 1000000
    python benchmarks/online_soak.py --steps 100000 --learning background

The world is a cart pole in a few lines of NumPy, so that what is measured is the agent.
"""

import argparse
import gc
import json
import logging
import time
from pathlib import Path

import jax
import numpy as np

from selftune import OnlineAgent
from selftune.spaces import Box, Discrete

PAGE = 4096


class Pole:
    """Barto, Sutton and Anderson's cart pole, one of it."""

    def __init__(self, seed: int):
        self._chance = np.random.default_rng(seed)
        self.reset()

    def reset(self) -> np.ndarray:
        """Upright, nearly."""
        self._state, self._steps = self._chance.uniform(-0.05, 0.05, 4), 0
        return self._state.astype(np.float32)

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool]:
        """A fiftieth of a second."""
        x, v, angle, spin = self._state
        force = 10.0 if action == 1 else -10.0
        sine, cosine = np.sin(angle), np.cos(angle)
        push = (force + 0.05 * spin**2 * sine) / 1.1
        turn = (9.8 * sine - cosine * push) / (0.5 * (4.0 / 3.0 - 0.1 * cosine**2 / 1.1))
        slide = push - 0.05 * turn * cosine / 1.1
        self._state = np.array([x + 0.02 * v, v + 0.02 * slide, angle + 0.02 * spin, spin + 0.02 * turn])
        self._steps += 1
        fell = abs(self._state[0]) > 2.4 or abs(self._state[2]) > 0.2095
        return self._state.astype(np.float32), 1.0, bool(fell), self._steps >= 500


def resident() -> float:
    """Megabytes of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE / 1e6


def listening(lines: list[str]) -> logging.Handler:
    """What JAX logs, as lines."""
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    return handler


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--agent", default="a2c")
    parser.add_argument("--learning", choices=["inline", "background"], default="inline")
    parser.add_argument("--pace", type=float, default=0.0, help="seconds between two steps, as a control loop has")
    parser.add_argument("--out", type=Path, default=None)
    options = parser.parse_args()
    agent = OnlineAgent(Box((4,)), Discrete(2), options.agent, learning=options.learning)
    world, compiled = Pole(0), []
    action = agent.reset(world.reset())
    seconds, memory = np.zeros(options.steps), []
    warm = options.steps // 100
    for step in range(options.steps):
        if step == warm:
            jax.config.update("jax_log_compiles", True)
            logging.getLogger("jax").addHandler(listening(compiled))
            logging.getLogger("jax").propagate = False
        if step % (options.steps // 10) == 0:
            gc.collect()
            memory.append(resident())
            print(f"{step} steps: {memory[-1]:.1f} MB, {agent.updates} updates, {agent.dropped} dropped", flush=True)
        observation, reward, terminated, truncated = world.step(action)
        begin = time.perf_counter()
        action = agent.step(observation, reward, terminated, truncated)
        seconds[step] = time.perf_counter() - begin
        if action is None:
            action = agent.reset(world.reset())
        if options.pace:
            time.sleep(options.pace)
    gc.collect()
    memory.append(resident())
    agent.close()
    told = seconds[warm:] * 1e3
    median = float(np.median(told))
    result = {
        "agent": options.agent,
        "learning": options.learning,
        "steps": options.steps,
        "median_ms": median,
        "p99_9_ms": float(np.percentile(told, 99.9)),
        "p99_99_ms": float(np.percentile(told, 99.99)),
        "p99_99_over_median": float(np.percentile(told, 99.99)) / median,
        "longest_ms": float(told.max()),
        "growth_mb_per_100k_steps": (memory[-1] - memory[1]) / (options.steps * 0.9) * 1e5,
        "compilations_after_warm_up": len([line for line in compiled if "Compiling" in line]),
        "updates": agent.updates,
        "dropped": agent.dropped,
    }
    print(json.dumps(result, indent=1))
    if options.out:
        options.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
