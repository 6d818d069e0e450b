import errno
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from selftune.errors import RunFolderError
from selftune.runner import locking
from selftune.runner.locking import lock

HOLD = """
import sys
from selftune.runner.locking import lock
with lock(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""

HOLD_AND_FORK = """
import os, signal, sys
from selftune.runner.locking import lock
with lock(sys.argv[1]):
    if os.fork() == 0:
        print(os.getpid(), flush=True)
    signal.pause()
"""


def start(code, *arguments):
    """A process, and the first line that it prints."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    process = subprocess.Popen([sys.executable, "-W", "error", "-c", code, *map(str, arguments)], **pipes)
    return process, process.stdout.readline().strip()


def test_two_processes_cannot_hold_one_folder_and_a_killed_one_lets_go(tmp_path):
    holder, told = start(HOLD, tmp_path)
    assert told == "held"
    with pytest.raises(RunFolderError, match=rf"written by process {holder.pid} on .*Wait until that run ends"):
        lock(tmp_path).__enter__()
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    with lock(tmp_path):
        pass


def test_a_forked_child_does_not_keep_what_its_parent_held(tmp_path):
    holder, child = start(HOLD_AND_FORK, tmp_path)
    try:
        with pytest.raises(RunFolderError, match=f"process {holder.pid}"):
            lock(tmp_path).__enter__()
        holder.kill()
        holder.wait()
        with lock(tmp_path):
            os.kill(int(child), 0)  # it lives
    finally:
        os.kill(int(child), signal.SIGKILL)
        holder.communicate()


def test_a_second_opening_in_this_process_is_refused(tmp_path):
    def enter():
        with lock(tmp_path):
            raise AssertionError("two hold one folder")

    with lock(tmp_path):
        with pytest.raises(RunFolderError, match=f"process {os.getpid()}"):
            enter()
        with ThreadPoolExecutor(1) as thread, pytest.raises(RunFolderError, match=f"process {os.getpid()}"):
            thread.submit(enter).result()


def test_it_is_released_at_the_end_and_on_an_error(tmp_path):
    folder = tmp_path / "deep" / "run"
    with pytest.raises(ZeroDivisionError), lock(folder):
        _ = 1 / 0
    before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0
    for _ in range(3):
        with lock(str(folder)):
            pass
    assert [file.name for file in folder.iterdir()] == [".lock"]
    assert not before or len(os.listdir("/proc/self/fd")) == before


def test_folders_are_held_apart(tmp_path):
    with lock(tmp_path / "a"), lock(tmp_path / "b"):
        pass


def test_a_file_in_the_way_is_told(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(RunFolderError, match=r"cannot be written.*Give a folder"):
        lock(tmp_path / "run").__enter__()


def test_a_file_system_without_locks_is_told(tmp_path, monkeypatch):
    def take(descriptor):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(locking, "_take", take)
    with pytest.raises(RunFolderError, match=r"cannot be locked \(No locks available\).*local disk"):
        lock(tmp_path).__enter__()


def test_a_full_disk_costs_only_the_name_of_the_holder(tmp_path, monkeypatch):
    def write(descriptor, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", write)
    with lock(tmp_path), pytest.raises(RunFolderError, match="written by another process; expected"):
        lock(tmp_path).__enter__()
