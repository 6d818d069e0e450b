"""A process that drifts, in a control loop of your own, which may be stopped and started again at any time.

A furnace is held at a temperature that changes now and then; half way its burner loses a third of its power. The agent
learns from every tick and tunes itself; what it has learned is saved now and then, and taken up from the file where
there is one. In a plant of your own replace `Furnace`, and wait for the next tick where this loop goes on at once.
"""

import math
import sys
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

import selftune as st
from selftune.spaces import Box

TICKS, SAVE_EVERY = 20_000, 5_000
SEEN = Box((3,))  # too cold by (in 100 degrees), the temperature (likewise, about 500 degrees), the last action
DONE = Box((1,), low=(-1.0,), high=(1.0,))  # the burner, from off to full


class Furnace:
    """Heat comes from a burner and goes through the walls; readings are noisy, and one in a thousand is missing."""

    def __init__(self, seed: int):
        self.random, self.temperature, self.target, self.ticks = np.random.default_rng(seed), 300.0, 500.0, 0

    def tick(self, action: float) -> tuple[np.ndarray, float]:
        """What is seen after a tick, and how far from the target it is, in degrees."""
        self.ticks += 1
        power = 60.0 if self.ticks < TICKS // 2 else 40.0
        self.temperature += 0.5 * power * (1.0 + action) - 0.05 * (self.temperature - 20.0)
        if self.ticks % 200 == 0:
            self.target = self.random.uniform(300.0, 700.0)
        reading = math.nan if self.random.random() < 1e-3 else self.temperature + self.random.normal()
        seen = [(self.target - reading) / 100.0, (reading - 500.0) / 100.0, action]
        return np.array(seen, np.float32), abs(self.target - self.temperature)


def main(file: Path | None = None):
    """Run the loop; with a file, go on from it where it is there, and save into it."""
    console = Console()
    if file is not None and file.exists():
        agent = st.OnlineAgent.load(file)
    else:
        agent = st.OnlineAgent(SEEN, DONE, settings={"rollout_length": 64})
    furnace, errors = Furnace(seed=0), []
    seen, _ = furnace.tick(0.0)
    action = agent.reset(seen)
    for tick in track(range(1, TICKS + 1), "ticks", console=console):
        seen, error = furnace.tick(float(action[0]))
        errors.append(error)
        action = agent.step(seen, -error / 100.0)  # a missing reading is counted, and reads as 0
        if file is not None and tick % SAVE_EVERY == 0:
            agent.save(file)
    told = [np.mean(part) for part in np.array_split(errors, 10)]
    console.print(
        "mean distance from the target in degrees, tenth by tenth: " + ", ".join(f"{one:.0f}" for one in told)
    )
    console.print(f"tuned to {agent.eta}; guards: {dict(agent.guards)}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
