"""Programs that must run in a process of their own: another interpreter, other flags, other devices."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from selftune.errors import SettingError


@contextmanager
def worker(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Iterator[Callable[[str], Any]]:
    """A process that answers every line with a line of JSON.

    It stands still between two questions, so that it can take turns with others.

    Args:
        command: Its program and arguments.
        environment: Variables beside those of this process.

    Yields:
        `ask(line)`, the answer. It raises a SettingError where the process ended instead.
    """
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env={**os.environ, **(environment or {})}, **pipes) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        questions, answers = process.stdin, process.stdout

        def ask(line: str) -> Any:
            try:
                print(line, file=questions, flush=True)
                return json.loads(answers.readline())
            except (BrokenPipeError, json.JSONDecodeError):
                with suppress(BrokenPipeError):
                    questions.close()
                raise SettingError(
                    f"{' '.join(command)} ended with status {process.wait()} and no answer to {line!r}; expected a "
                    "line of JSON. What it said stands above; run it by hand to see more."
                ) from None

        yield ask
