"""What `import selftune` and its engine cost over `import jax, optax`, in fresh processes that take turns.

python benchmarks/import_time.py --rounds 10
"""

import subprocess
import sys
import time

import numpy as np
import tyro
from rich.console import Console
from rich.progress import track
from rich.table import Table

STATEMENTS = {
    "jax, optax": "import jax, optax",
    "selftune": "import selftune",
    "selftune's engine": "import selftune; selftune.tuner, selftune.learner, selftune.truncated",
    "selftune.train": "import selftune; selftune.train",
}


def main(rounds: int = 10) -> None:
    """Time whole processes.

    Args:
        rounds: How often each is started.
    """
    seconds = {name: [] for name in STATEMENTS}
    for _ in track(range(rounds + 1), "starting processes"):
        for name, statement in STATEMENTS.items():
            begin = time.perf_counter()
            subprocess.run([sys.executable, "-c", statement], check=True)
            seconds[name].append(time.perf_counter() - begin)
    table = Table("import", "median s", "over jax, optax", title=f"{rounds} processes each, after a first one")
    base = np.array(seconds["jax, optax"][1:])
    for name, laps in seconds.items():
        times = np.array(laps[1:])
        table.add_row(name, f"{np.median(times):.2f}", f"{np.median(times / base):.2f}")
    Console().print(table)


if __name__ == "__main__":
    tyro.cli(main)
