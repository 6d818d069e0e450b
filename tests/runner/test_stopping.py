"""Signals that ask a run to end."""

import signal
import subprocess
import sys
import threading

import pytest

from selftune.runner.stopping import stop_requests, uninterrupted

TERMINATED = """
import signal
from selftune.runner.stopping import stop_requests
with stop_requests() as stopped:
    signal.raise_signal(signal.SIGTERM)
    print("goes on,", stopped(), flush=True)
print("never said")
"""


def test_the_first_is_noted_and_the_second_interrupts(usual_ctrl_c):
    with stop_requests() as stopped:
        assert not stopped()
        signal.raise_signal(signal.SIGINT)
        assert stopped()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_what_is_not_to_be_interrupted_is_once_it_has_ended(usual_ctrl_c):
    done = []

    def interrupted(times):
        with uninterrupted():
            for _ in range(times):
                signal.raise_signal(signal.SIGINT)
            done.append(times)

    for times in (1, 2):
        with pytest.raises(KeyboardInterrupt):
            interrupted(times)
    assert done == [1], "a second one interrupts at once"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_handler_of_the_programs_own_stays():
    heard = []
    before = signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
    try:
        with stop_requests() as stopped:
            signal.raise_signal(signal.SIGINT)
            assert not stopped()
    finally:
        signal.signal(signal.SIGINT, before)
    assert heard == [signal.SIGINT]


def test_a_terminated_process_ends_when_it_has_saved():
    ended = subprocess.run([sys.executable, "-c", TERMINATED], capture_output=True, text=True)
    assert ended.stdout == "goes on, True\n"
    assert ended.returncode == -signal.SIGTERM


def test_other_threads_get_no_signals():
    told = []

    def work():
        with stop_requests() as stopped:
            told.append(stopped())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert told == [False]
