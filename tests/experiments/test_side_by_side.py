"""Jobs in threads: their order, what they say, and how they end together."""

import threading
import time

import pytest

from selftune.experiments.side_by_side import cores, side_by_side


def test_jobs_run_at_the_same_time_and_come_in_their_order():
    together, said = threading.Barrier(2, timeout=10), []

    def job(number):
        def work(say):
            together.wait()  # would break if one ran after the other
            time.sleep(0.05 * (1 - number))
            say(f"job {number}")
            return number

        return work

    assert list(side_by_side([job(0), job(1)], said.append, workers=2)) == [0, 1]
    assert said == ["job 1", "job 0"]
    assert cores() >= 1


def test_the_others_stop_when_one_fails():
    stopped, started = threading.Event(), threading.Event()

    def fails(say):
        started.wait(10)
        raise ValueError("no")

    def goes_on(say):
        started.set()
        try:
            while True:
                time.sleep(0.01)
                say("still here")
        finally:
            stopped.set()

    with pytest.raises(ValueError, match="no"):
        list(side_by_side([fails, goes_on, fails], lambda line: None, workers=2))
    assert stopped.is_set()


def test_nobody_who_goes_away_is_worked_for():
    started, ended = threading.Event(), threading.Event()

    def endless(say):
        started.set()
        try:
            while True:
                time.sleep(0.01)
                say("more")
        finally:
            ended.set()

    results = side_by_side([lambda say: started.wait(10), endless], lambda line: None, workers=2)
    assert next(results)
    results.close()
    assert ended.is_set()
