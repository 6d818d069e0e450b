"""Other processes answer line by line, and one that ends is told of."""

import os
import sys

import pytest

from selftune.errors import SettingError
from selftune.experiments.overhead.processes import worker

ECHO = (
    "import json, os, sys\nfor line in sys.stdin: print(json.dumps([line.strip(), os.environ.get('MOOD')]), flush=True)"
)


def test_every_line_is_answered():
    with worker([sys.executable, "-c", ECHO], {"MOOD": "good"}) as ask:
        assert ask("one") == ["one", "good"]
        assert ask("two") == ["two", "good"]
    assert "MOOD" not in os.environ


@pytest.mark.parametrize("program", ["raise SystemExit(3)", "input(); raise SystemExit(3)", "print('hello'); exit(3)"])
def test_a_process_that_ends_instead_is_an_error_with_its_command(program):
    with (
        pytest.raises(SettingError, match=r"ended with status 3 and no answer to 'one'"),
        worker([sys.executable, "-c", program]) as ask,
    ):
        ask("one")
