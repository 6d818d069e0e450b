"""Kill a run at random moments, resume it each time, and compare it with one that was left alone.

    python benchmarks/kill_and_resume.py --kills 20

Prints how many of the final arrays and of the logged rows are bitwise equal, time fields aside.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

CLOCK = {"wall_time", "steps_per_second"}
STEPS = 3_000_000
ARGUMENTS = ["--agent", "a2c", "--steps", str(STEPS), "--seed", "3", "--checkpoint-every", "20000"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=None)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as scratch:
        root = options.out or Path(scratch)
        alone, killed = root / "alone", root / "killed"
        subprocess.run(_train(alone), check=True, env=_environment(root), stdout=subprocess.DEVNULL)
        kills = 0
        for moment in sorted(chance.uniform(0.0, 0.95 * STEPS) for _ in range(options.kills)):
            command = _resume(killed) if list(killed.glob("checkpoints/step-*")) else _train(killed)
            process = subprocess.Popen(command, env=_environment(root), stdout=subprocess.DEVNULL)
            before = _newest(killed)
            while (_newest(killed) == before or _newest(killed) < moment) and process.poll() is None:
                time.sleep(0.01)
            time.sleep(chance.uniform(0.0, 0.5))
            if process.poll() is not None:
                break
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
            print(f"kill {kills}: last checkpoint at step {_newest(killed)}", flush=True)
        subprocess.run(_resume(killed), check=True, env=_environment(root), stdout=subprocess.DEVNULL)
        equal, total = _arrays_equal(alone, killed)
        rows, different = _rows_equal(alone, killed)
        print(f"{kills} kills; arrays equal: {equal} of {total}; rows equal: {rows - different} of {rows}")
        sys.exit(0 if equal == total and not different and kills == options.kills else 1)


def _train(out: Path) -> list[str]:
    if out.exists() and not list(out.glob("checkpoints/step-*")):
        import shutil

        shutil.rmtree(out)
    return [sys.executable, "-m", "selftune", "train", "cartpole", *ARGUMENTS, "--out", str(out)]


def _resume(out: Path) -> list[str]:
    return [sys.executable, "-m", "selftune", "resume", str(out)]


def _environment(root: Path) -> dict[str, str]:
    """Programs are compiled once for all processes."""
    cache = {
        "JAX_COMPILATION_CACHE_DIR": str(root / "cache"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    return {**os.environ, **cache}


def _newest(folder: Path) -> int:
    steps = [int(file.stem.removeprefix("step-")) for file in folder.glob("checkpoints/step-*.safetensors")]
    return max(steps, default=0)


def _arrays_equal(left: Path, right: Path) -> tuple[int, int]:
    from safetensors.numpy import load_file

    a, b = (load_file(folder / f"checkpoints/step-{_newest(folder):012d}.safetensors") for folder in (left, right))
    assert a.keys() == b.keys()
    return sum(a[name].tobytes() == b[name].tobytes() and a[name].dtype == b[name].dtype for name in a), len(a)


def _rows_equal(left: Path, right: Path) -> tuple[int, int]:
    first, second = ([json.loads(line) for line in (folder / "metrics.jsonl").open()] for folder in (left, right))
    assert len(first) == len(second), (len(first), len(second))
    pairs = zip(first, second, strict=True)
    return len(first), sum(any(np.any(a[key] != b[key]) for key in a.keys() - CLOCK) for a, b in pairs)


if __name__ == "__main__":
    main()
