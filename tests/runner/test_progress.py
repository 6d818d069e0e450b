"""Long work says how far it is: a bar in a terminal that leaves nothing, a line a minute in a log."""

import io

import pytest
from rich.console import Console

from selftune.runner import progress as module
from selftune.runner.progress import progress


class Clock:
    """Time that only goes on when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


def log() -> Console:
    return Console(file=io.StringIO(), width=30)


def said(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_log_gets_a_line_a_minute(clock: Clock):
    console, passed = log(), []
    for item in progress(range(10), "cartpole hoof", console):
        clock.now += 40.0
        passed.append(item)
    # After two items, 80 s: eight are left, of 40 s each. A line is as long as it is.
    lines = said(console).splitlines()
    assert lines[0] == "cartpole hoof:  20% after 1:20, 5:20 left"
    assert [line.split()[2] for line in lines] == ["20%", "40%", "60%", "80%"]
    assert passed == list(range(10))


def test_short_work_and_what_has_no_title_say_nothing(clock: Clock):
    console = log()
    for _ in progress(range(10), "short", console):
        clock.now += 5.0
    for _ in progress(range(10), None, console):
        clock.now += 500.0
    assert said(console) == ""


def test_a_terminal_gets_a_bar():
    console = Console(file=io.StringIO(), force_terminal=True, width=80)
    assert list(progress(["a", "b"], "work", console)) == ["a", "b"]
    assert "work" in said(console)
