"""Steps a second of our self-tuned PPO over plain PPO of PureJaxRL, in turns: 16 environments, 128 steps, 10 epochs.

python benchmarks/purejaxrl.py CHECKOUT PYTHON --rounds 3

Apart from `selftune bench overhead --only libraries`, because it asks for a checkout of
https://github.com/luchris429/purejaxrl, and for an interpreter (PYTHON) with flax, distrax and gymnax.
"""

from pathlib import Path

import numpy as np
import tyro

from selftune.experiments.overhead.end_to_end import Case, compiled_once, speed
from selftune.experiments.overhead.processes import worker
from selftune.experiments.overhead.timing import alternate, ratio

WORKER = Path(__file__).with_name("purejaxrl_worker.py")


def main(
    checkout: tyro.conf.Positional[Path], python: tyro.conf.Positional[Path], steps: int = 1_000_000, rounds: int = 3
) -> None:
    """Time whole runs on CartPole, without compilation.

    Args:
        checkout: Of PureJaxRL.
        python: The interpreter that can run it.
        steps: Environment steps of a run.
        rounds: Runs of each.
    """
    with worker([str(python), str(WORKER), str(checkout), str(steps)]) as ask, compiled_once():
        runs = {
            "selftune, self-tuned": lambda: 1 / speed(Case("cartpole", "ppo", steps)),
            "selftune, fixed": lambda: 1 / speed(Case("cartpole", "ppo", steps), tune=[]),
            "PureJaxRL": lambda: 1 / ask("run"),
        }
        seconds = alternate(runs, rounds, "taking turns", warm_up=0)
    for name, laps in seconds.items():
        told = ratio(seconds["PureJaxRL"], laps)
        interval = f"{told.estimate:.2f} [{told.low:.2f}, {told.high:.2f}]"
        print(f"{name:22} {1 / float(np.median(laps)):9,.0f} steps/s   over PureJaxRL's {interval}")


if __name__ == "__main__":
    tyro.cli(main)
