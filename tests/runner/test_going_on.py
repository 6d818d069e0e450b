"""Runs that stop, break or are killed, and go on."""

import json
import logging
import shutil
import signal
from contextlib import nullcontext, suppress

import numpy as np
import pytest

import selftune as st
from selftune.errors import CheckpointError, SettingError
from selftune.runner import checkpointing, chunks, native_experiment, rollouts, training
from selftune.runner.checkpointing import read_arrays
from selftune.runner.plan import Plan, planned
from selftune.runner.run_folder import RunFolder

from .setting import SMALL, last_checkpoint, told, train


@pytest.mark.parametrize("failure", [KeyboardInterrupt, RuntimeError])
def test_a_run_that_breaks_loses_nothing_and_goes_on(tmp_path, monkeypatch, failure):
    calls = iter(range(100))
    collect = rollouts.Rollout.collect

    def broken(self, *given):
        if next(calls) == 2:
            raise failure("in the middle")
        return collect(self, *given)

    monkeypatch.setattr(rollouts.Rollout, "collect", broken)
    path = tmp_path / "run"
    if failure is KeyboardInterrupt:
        assert [row["step"] for row in train(path).rows] == [512, 1024]
    else:
        with pytest.raises(RuntimeError, match="in the middle") as caught:
            train(path)
        assert str(path) in caught.value.__notes__[0]
    kept = last_checkpoint(path)
    assert all(np.isfinite(array).all() for array in kept.values() if array.dtype.kind == "f")
    assert int(kept["update"]) == 2
    resumed = training.resume(path, progress=False)
    assert [row["step"] for row in resumed.rows] == [512, 1024, 1536, 2048]


class Killed(BaseException):
    """No handler is asked: as with kill -9."""


@pytest.mark.parametrize("patience", [training.MOST_SECONDS, 0.0])
def test_a_run_that_is_killed_goes_on_where_the_clock_last_saved_it_or_begins_anew(
    tmp_path, monkeypatch, caplog, patience
):
    """Slow worlds come to few steps; nothing but `patience` asks for a checkpoint in these 2000."""
    calls, collect = iter(range(100)), rollouts.Rollout.collect

    def killed(self, *given):
        if next(calls) == 3:
            raise Killed
        return collect(self, *given)

    path = tmp_path / "run"
    with monkeypatch.context() as patched:
        patched.setattr(training, "MOST_SECONDS", patience)
        patched.setattr(rollouts.Rollout, "collect", killed)
        patched.setattr(checkpointing.Checkpoints, "finish", lambda *given: None)
        with pytest.raises(Killed):
            train(path)
    saved = len(list((path / "checkpoints").glob("step-*"))) if (path / "checkpoints").exists() else 0
    assert saved == (0 if patience else 3)
    assert [row["step"] for row in st.Run(path).rows] == [512, 1024, 1536]
    with caplog.at_level(logging.WARNING, "selftune"):
        resumed = training.resume(path, progress=False)
    assert ("begins anew" in caplog.text) == bool(patience)
    assert [row["step"] for row in resumed.rows] == [512, 1024, 1536, 2048]
    assert resumed.finished
    if not patience:
        return
    for mine, theirs in zip(told(resumed), told(train(tmp_path / "whole")), strict=True):
        assert mine == theirs, "it is the run that never was killed"


@pytest.mark.parametrize("failure", [KeyboardInterrupt, RuntimeError])
def test_a_run_that_stops_within_a_row_tells_of_all_it_did(tmp_path, monkeypatch, failure):
    calls, collect = iter(range(100)), rollouts.Rollout.collect

    def broken(self, *given):
        if next(calls) == 3:
            raise failure("within the second row of two updates")
        return collect(self, *given)

    monkeypatch.setattr(chunks, "ROWS", 2)
    monkeypatch.setattr(rollouts.Rollout, "collect", broken)
    with suppress(RuntimeError):
        train(tmp_path / "run")
    before = st.Run(tmp_path / "run").rows
    assert [row["step"] for row in before] == [1024, 1536]
    after = training.resume(tmp_path / "run", progress=False).rows
    assert [row["step"] for row in after] == [1024, 2048], "one row about both parts"
    assert after[1]["return_episodes"] > before[1]["return_episodes"] > 5


@pytest.mark.parametrize("moment", ["advance", "begin"])
def test_ctrl_c_waits_for_the_end_of_an_update(usual_ctrl_c, tmp_path, monkeypatch, moment):
    """In the middle of one the session is in no one's hands."""
    experiment, calls = native_experiment.native_experiment, iter(range(100))

    def interrupted(*given):
        whole = experiment(*given)

        def advance(session, updates, beat):
            if moment == "advance" and next(calls) == 2:
                signal.raise_signal(signal.SIGINT)
            return whole.advance(session, updates)

        def begin(seed):
            if moment == "begin":
                signal.raise_signal(signal.SIGINT)
            return whole.begin(seed)

        return whole._replace(advance=advance, begin=begin)

    monkeypatch.setattr("selftune.runner.plan.native_experiment", interrupted)
    run = train(tmp_path / "run", "cartpole", settings=SMALL, steps=400)
    done = {"advance": 3, "begin": 0}[moment]
    assert len(run.rows) == done
    assert int(last_checkpoint(run.path)["update"]) == done
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_ctrl_c_inside_an_update_says_what_is_lost(usual_ctrl_c, tmp_path, monkeypatch):
    experiment, calls = native_experiment.native_experiment, iter(range(100))

    def interrupted(*given):
        whole = experiment(*given)

        def advance(session, updates, beat):
            told = whole.advance(session, updates)
            if next(calls) == 2:
                signal.raise_signal(signal.SIGINT)
                signal.raise_signal(signal.SIGINT)
            return told

        return whole._replace(advance=advance)

    monkeypatch.setattr("selftune.runner.plan.native_experiment", interrupted)
    with pytest.raises(KeyboardInterrupt) as caught:
        train(tmp_path / "run", "cartpole", settings=SMALL, steps=400)
    assert f"selftune resume {tmp_path / 'run'}" in caught.value.__notes__[0]


@pytest.mark.parametrize("agent", ["a2c", "impala", "ppo"])
def test_a_native_run_that_was_stopped_goes_on_bitwise(tmp_path, monkeypatch, agent):
    options = {"agent": agent, "settings": SMALL | ({"epochs": 2} if agent == "ppo" else {}), "steps": 400}
    alone = train(tmp_path / "alone", "cartpole", **options)
    log = RunFolder.log

    def stop(self, row):
        log(self, row)
        if row["update"] == 5:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(RunFolder, "log", stop)
        stopped = train(tmp_path / "stopped", "cartpole", **options)
    assert len(stopped.rows) == 5
    resumed = training.resume(stopped.path, progress=False)
    assert told(resumed) == told(alone)
    left, right = (last_checkpoint(one.path) for one in (alone, resumed))
    assert left.keys() == right.keys()
    assert all(left[name].tobytes() == right[name].tobytes() for name in left)


@pytest.mark.parametrize("killed", [True, False])
def test_a_native_run_that_ends_within_a_row_goes_on_bitwise(tmp_path, monkeypatch, killed):
    """Rows of six updates and a checkpoint every two: the tenth is within the second row."""
    monkeypatch.setattr(chunks, "ROWS", 2)
    alone = train(tmp_path / "alone", "cartpole", settings=SMALL, steps=400, checkpoint_every=64)
    assert [row["update"] for row in alone.rows] == [6, 12, 13]
    shutil.copytree(alone.path, tmp_path / "ended")
    saved = sorted((tmp_path / "ended" / "checkpoints").glob("step-*"))
    assert [int(read_arrays(file)[0]["update"]) for file in saved] == [10, 12, 13]
    if killed:
        for file in saved[1:]:
            file.unlink()
    else:
        shutil.rmtree(tmp_path / "ended")
        calls = iter(range(100))
        with monkeypatch.context() as patched:
            patched.setattr(training, "stop_requests", lambda: nullcontext(lambda: next(calls) == 5))
            stopped = train(tmp_path / "ended", "cartpole", settings=SMALL, steps=400, checkpoint_every=64)
        assert [row["update"] for row in stopped.rows] == [6, 10]
    resumed = training.resume(tmp_path / "ended", progress=False)
    assert told(resumed) == told(alone)
    left, right = (last_checkpoint(one.path) for one in (alone, resumed))
    assert all(left[name].tobytes() == right[name].tobytes() for name in left)


def logged(path):
    """All that a run has told, as it lies on disk."""
    return {file: file.read_bytes() for file in (path / "metrics.jsonl", *(path / "events").iterdir())}


def test_a_resume_that_does_nothing_leaves_what_a_run_told_within_a_row(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(chunks, "ROWS", 2)

    def stop_after(chunk):
        calls = iter(range(100))
        monkeypatch.setattr(training, "stop_requests", lambda: nullcontext(lambda: next(calls) == chunk))

    stop_after(5)
    run = train(tmp_path / "run", "cartpole", settings=SMALL, steps=400, checkpoint_every=64)
    assert [row["step"] for row in run.rows] == [192, 320]
    before = logged(run.path)
    with pytest.raises(SettingError, match="has taken 320"):
        training.resume(run.path, steps=100, progress=False)
    assert logged(run.path) == before, "refused"
    stop_after(0)
    assert not training.resume(run.path, progress=False).finished
    assert logged(run.path) == before, "stopped at once"
    resumed = training.resume(run.path, steps=320)
    assert "has taken 320 of 320 steps" in capsys.readouterr().out
    assert resumed.finished
    assert logged(run.path) == before, "nothing is left to do"
    max((run.path / "checkpoints").iterdir()).unlink()
    stop_after(0)
    stopped = training.resume(run.path, progress=False)
    assert not stopped.finished, "its end was told of, and is lost"
    assert [row["step"] for row in stopped.rows] == [192]


def test_a_finished_run_can_be_made_longer(tmp_path, capsys):
    run = train(tmp_path / "run", "cartpole", settings=SMALL, steps=100)
    before = logged(run.path)
    assert [row["step"] for row in training.resume(run.path).rows] == [32, 64, 96, 128], "nothing is left to do"
    assert logged(run.path) == before
    assert f"has taken 128 of 100 steps. To go on: selftune resume {run.path} --steps" in capsys.readouterr().out
    longer = training.resume(run.path, steps=200, progress=False)
    assert [row["step"] for row in longer.rows] == [32, 64, 96, 128, 160, 192, 224]
    plan = planned(json.loads((run.path / "config.json").read_text()))
    assert plan.steps == 200, "whoever resumes it again goes on to there"
    assert plan.build()[2]["settings"]["lifetime"] == 200, "what follows the length of a life follows the new one"
    mine = Plan("cartpole", steps=100, settings=SMALL | {"lifetime": 50}).build()[2]
    plan = planned({"settings": mine, "seed": 0, "extended": 200})
    assert (plan.steps, plan.settings["lifetime"]) == (200, 50), "what was asked for stays"


def test_a_last_checkpoint_that_cannot_be_written_is_an_error(tmp_path, monkeypatch, caplog):
    def full(*given):
        raise CheckpointError("No space.")

    monkeypatch.setattr(checkpointing, "write_arrays", full)
    with pytest.raises(CheckpointError, match="it is the last") as caught:
        train(tmp_path / "run", "cartpole", settings=SMALL, steps=100)
    assert not getattr(caught.value, "__notes__", []), "nothing was kept"
    assert "No space." in caplog.text


def test_a_damaged_checkpoint_costs_only_itself(tmp_path, caplog):
    run = train(tmp_path / "run", "cartpole", settings=SMALL, steps=200, checkpoint_every=64)
    newest = max((run.path / "checkpoints").glob("step-*"))
    newest.write_bytes(newest.read_bytes()[:-100])
    with caplog.at_level(logging.WARNING, "selftune"):
        resumed = training.resume(run.path, progress=False)
    assert "damaged" in caplog.text
    assert resumed.rows[-1]["step"] == 224
    for file in (run.path / "checkpoints").glob("step-*"):
        file.write_bytes(b"")
    for remove in (False, True):
        if remove:
            shutil.rmtree(run.path / "checkpoints")
        with pytest.raises(CheckpointError, match="no whole checkpoint"):
            training.resume(run.path, progress=False)
        assert st.Run(run.path).rows[-1]["step"] == 224, "what they had told is kept"
