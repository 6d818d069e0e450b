import json
import subprocess
import sys
import threading
from itertools import count, repeat

import pytest

from selftune.agents import a2c
from selftune.agents.settings import ActorCriticSettings
from selftune.envs.opening import open_env
from selftune.envs.own_modules import resume_command
from selftune.errors import SettingError
from selftune.runner import watching
from selftune.runner.host_experiment import host_experiment
from selftune.runner.watching import Watchdog


class Ticks:
    """Stands in for the event that the watchdog waits on: a script of ticks, true where the run beats."""

    def __init__(self, script):
        self._script = iter(script)
        self.taken = 0

    def wait(self, seconds):
        assert seconds == 0.5  # a twentieth of the patience
        beats = next(self._script, None)
        if beats is None:
            return True
        self.taken += 1
        if beats:
            self.watchdog.beat()
        return False


def stalls(script):
    """What a watchdog of patience 10 tells of a script, and after how many ticks it was done."""
    told = []
    watchdog = Watchdog(told.append, patience_seconds=10.0)
    watchdog._done = ticks = Ticks(script)
    ticks.watchdog = watchdog
    watchdog._watch()
    return told, ticks.taken


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ([False] * 19, ([], 19)),
        ([False] * 20, ([10.0], 20)),
        ([False] * 19 + [True] + [False] * 19, ([], 39)),
        ([False] * 19 + [True] + [False] * 20, ([10.0], 40)),
        ([False] * 40, ([10.0], 20)),
        ([True] * 100, ([], 100)),
    ],
    ids=["patient", "stalled", "beaten in time", "stalled later", "told once", "healthy"],
)
def test_a_stall_is_twenty_ticks_without_a_beat(script, expected):
    assert stalls(script) == expected


@pytest.mark.parametrize(("busy", "told"), [(0.25, []), (0.15, [10.0])])
def test_a_process_that_computes_does_not_stand_still(monkeypatch, busy, told):
    """For a quarter of each tick of half a second, or for less than the fifth that counts."""
    monkeypatch.setattr(watching.time, "process_time", count(0.0, 0.5 * busy).__next__)
    assert stalls([False] * 40)[0] == told


def test_environments_on_the_host_beat_at_every_step():
    beats, env = [], open_env("CartPole-v1", 2)
    settings = ActorCriticSettings(num_envs=2, rollout_length=4, hidden=(4,))
    experiment = host_experiment(a2c(env.observation_space, env.action_space, settings=settings), env)
    experiment.advance(experiment.begin(0), 3, lambda: beats.append(1))
    experiment.close()
    assert len(beats) == 12


def test_a_silent_run_is_told_by_the_thread():
    told = threading.Event()
    with Watchdog(lambda seconds: told.set() if seconds == pytest.approx(0.05) else None, patience_seconds=0.05):
        assert told.wait(30)


def test_a_run_that_ends_or_fails_leaves_no_thread_and_hears_nothing():
    def fail():
        with Watchdog(told.append) as watchdog:
            assert threading.active_count() == before + 1
            watchdog.beat()
            raise ZeroDivisionError

    before, told = threading.active_count(), []
    with pytest.raises(ZeroDivisionError):
        fail()
    assert threading.active_count() == before
    assert told == []


def test_a_fired_watchdog_leaves_no_thread():
    before, told = threading.active_count(), threading.Event()
    with Watchdog(lambda seconds: told.set(), patience_seconds=0.05):
        told.wait(30)
    assert threading.active_count() == before


@pytest.mark.parametrize("patience", [0.0, -1.0, float("nan")])
def test_patience_is_above_zero(patience):
    with pytest.raises(SettingError, match="expected seconds above 0"):
        Watchdog(repeat, patience_seconds=patience)


DEADLOCK = """
import sys, threading
from functools import partial
from selftune.runner.watching import Watchdog, end_resumably

def deadlock():
    threading.Lock().acquire(timeout=60) and threading.Event().wait(60)

with Watchdog(partial(end_resumably, sys.argv[1], sys.argv[2]), patience_seconds=0.05):
    deadlock()
"""


@pytest.mark.parametrize("folder", ["a run", "gone"])
def test_a_deadlocked_process_ends_resumably(tmp_path, folder):
    """Also where nothing can be written, for the folder is a file."""
    path = tmp_path / folder
    path.mkdir() if folder == "a run" else path.write_text("")
    command = [sys.executable, "-W", "error", "-c", DEADLOCK, str(path), resume_command(path, "CartPole-v1")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 75
    resume = f"selftune resume '{path}'" if folder == "a run" else f"selftune resume {path}"
    assert ended.stderr.splitlines()[0].endswith(f"ended at the last checkpoint. Go on with: {resume}")
    if folder == "a run":
        (event,) = map(json.loads, (path / "stalled.jsonl").read_text().splitlines())
        assert event["seconds"] == pytest.approx(0.05)
        assert "in deadlock" in "".join(event["stack"])
