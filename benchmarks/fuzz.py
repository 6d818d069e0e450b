"""Hand selftune some hundreds of hostile inputs, and see that each ends well.

    python benchmarks/fuzz.py --seed 0

Well is: a finished run; or an error of selftune's that says what was got, what was expected and what to do; or the
environment's own exception, with a note saying how to go on and everything learned on disk. Bad is anything else: a
bare traceback, a hang, a lost run, a number that is not finite in a saved file. Prints each bad case and a table; the
exit status is 1 if there is any.
"""

import argparse
import contextlib
import faulthandler
import io
import json
import logging
import random
import re
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hostile_cases
import jax
import numpy as np
from rich.console import Console
from rich.table import Table

from selftune.agents.catalogue import AGENTS
from selftune.errors import SelftuneError
from selftune.runner import compiled as compiling, host_experiment, online
from selftune.runner.checkpointing import CheckpointError, read_arrays

LIMIT = 120
"""Seconds for one case, compilation included."""

ADVICE = re.compile(
    r"expected|Known: |did you mean|choose|Give|give |Take|take |Restore|Delete|delete|Free|Wait|call |install|Turn|"
    r"Flatten|Make|Go on|go on|Set |Pass|Look|Convert|Mend|What can be tuned|tuned: "
)
"""What a message must have: what was expected, or what to do."""


class _TimeUpError(BaseException):
    """A case took too long; not an `Exception`, so that nobody takes it for the environment's."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", default=list(hostile_cases.CATEGORIES))
    parser.add_argument("--grep", default="", help="only cases whose name matches")
    parser.add_argument("--every", type=int, default=1, help="only every n-th case")
    parser.add_argument("--verbose", action="store_true", help="tell how every case ended")
    options = parser.parse_args()
    counts = {}
    with tempfile.TemporaryDirectory() as scratch:
        _share_compiled_programs(Path(scratch) / "cache")
        for category in options.only:
            cases = hostile_cases.CATEGORIES[category](random.Random(f"{options.seed} {category}"))
            counts[category], begin = Counter(), time.monotonic()
            for number, (name, run) in enumerate(cases):
                if number % options.every or not re.search(options.grep, name):
                    continue
                folder = Path(scratch, category, str(number))
                folder.mkdir(parents=True)
                verdict, told = judge(run, folder)
                counts[category][verdict] += 1
                if verdict == "bad" or options.verbose:
                    print(f"{verdict:9}{category} {number} · {name} · {' '.join(told.split())}", flush=True)
            counts[category]["seconds"] = round(time.monotonic() - begin)
    sys.exit(_tell(counts))


def judge(run: Callable[[Path], Any], folder: Path) -> tuple[str, str]:
    """How a case ended: "finished", "error" or "bad"; and what is to be said of it."""
    said = io.StringIO()
    try:
        with contextlib.chdir(folder), _limited(), contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            run(folder)
        verdict, told, trouble = "finished", "", ""
    except SelftuneError as error:
        told = "\n".join([str(error), *getattr(error, "__notes__", ())])
        verdict, trouble = "error", _unclear(told)
    except SystemExit as error:
        told, verdict = said.getvalue(), "error" if error.code else "finished"
        trouble = _unclear(told) if error.code == 1 else "" if error.code in (0, 2, None) and told else "said nothing"
    except _TimeUpError:
        verdict, told, trouble = "bad", f"took more than {LIMIT} s", "hang"
    except BaseException as error:
        notes = " ".join(getattr(error, "__notes__", ()))
        told = f"{type(error).__name__}: {error} [{notes}] at {_place(error)}"
        verdict, trouble = "error", _lost(error, notes, folder)
    trouble = trouble or _unsound(folder)
    return ("bad", f"{trouble}: {told}") if trouble else (verdict, told)


def _share_compiled_programs(folder: Path) -> None:
    """Agents that are alike are built once, so that hundreds of runs compile a few dozen programs."""
    jax.config.update("jax_disable_most_optimizations", True)
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    warnings.simplefilter("ignore")
    logging.getLogger("selftune").setLevel(logging.CRITICAL)

    def once(make: Callable[..., Any]) -> Callable[..., Any]:
        made: dict[str, Any] = {}

        def build(*spaces: Any, **options: Any) -> Any:
            key = repr((spaces, options))
            if key not in made:
                agent = make(*spaces, **options)
                made[key] = agent._replace(init=jax.jit(agent.init), decide=jax.jit(agent.decide))
            return made[key]

        return build

    shared: dict[int, Any] = {}

    def compile_once(agent: Any) -> Any:
        return shared.setdefault(id(agent), compiling.compiled(agent))

    known: Any = AGENTS
    known |= {name: (once(make), default) for name, (make, default) in AGENTS.items()}
    host_experiment.compiled = online.compiled = compile_once


@contextlib.contextmanager
def _limited() -> Iterator[None]:
    """No case takes longer; one that does not even hear the alarm ends the fuzz, with its stack."""

    def ring(*_: Any) -> None:
        raise _TimeUpError

    signal.signal(signal.SIGALRM, ring)
    signal.alarm(LIMIT)
    faulthandler.dump_traceback_later(4 * LIMIT, exit=True, file=sys.stderr)
    try:
        yield
    finally:
        signal.alarm(0)
        faulthandler.cancel_dump_traceback_later()


def _unclear(message: str) -> str:
    return "" if len(message) >= 30 and ADVICE.search(message) else "an unclear message"


def _lost(error: BaseException, notes: str, folder: Path) -> str:
    """An exception that is not selftune's: it must be the environment's and say so, and what was learned must be there.

    Ctrl-C before anything was learned needs neither.
    """
    runs = [file.parent for file in folder.rglob("config.json")]
    whole = [run for run in runs if any(_arrays(file) is not None for file in run.glob("checkpoints/step-*"))]
    if isinstance(error, KeyboardInterrupt) and not whole:
        return ""
    if "The environment raised this" not in notes:
        return "a bare traceback"
    if whole and "selftune resume" not in notes:
        return "nothing says how to resume"
    return "a lost run" if "selftune resume" in notes and not whole else ""


def _unsound(folder: Path) -> str:
    """Numbers that are not finite, in whatever was saved; damaged files are the damage's affair."""
    for file in folder.rglob("*.safetensors"):
        arrays = _arrays(file) or {}
        broken = [name for name, array in arrays.items() if array.dtype.kind == "f" and not np.isfinite(array).all()]
        if broken:
            return f"{file.name} holds what is not finite in {', '.join(broken[:4])}"
    for file in folder.rglob("metrics.jsonl"):
        if file.parent.name == "damaged":
            continue
        words = [word for line in _lines(file) for word in ("NaN", "Infinity") if word in line]
        if words:
            return f"{file.name} says {words[0]}"
        torn = [line for line in _lines(file) if not _json(line)]
        if torn:
            return f"{file.name} has a line that is no JSON: {torn[0][:40]!r}"
    return ""


def _arrays(file: Path) -> dict[str, np.ndarray] | None:
    try:
        return read_arrays(file)[0]
    except CheckpointError:
        return None


def _lines(file: Path) -> list[str]:
    return file.read_bytes().decode(errors="replace").splitlines() if file.is_file() else []


def _json(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def _place(error: BaseException) -> str:
    """Where selftune was when it was raised."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "/selftune/" in frame.filename]
    return " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames[::-1][:3])


def _tell(counts: dict[str, Counter]) -> int:
    table = Table("category", "cases", "errors", "finished", "bad", "seconds")
    total = Counter()
    for category, count in counts.items():
        total += count
        table.add_row(category, *_row(count))
    table.add_row("all", *_row(total))
    Console().print(table)
    return int(total["bad"] > 0)


def _row(count: Counter) -> list[str]:
    ends = [count[name] for name in ("error", "finished", "bad")]
    return [str(number) for number in (sum(ends), *ends, count["seconds"])]


if __name__ == "__main__":
    main()
