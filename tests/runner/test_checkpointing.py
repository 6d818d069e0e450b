import errno
import json
import os
import resource
import signal
import struct
import subprocess
import sys
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save

from selftune.errors import CheckpointError, SettingError
from selftune.runner import checkpointing, replacing
from selftune.runner.arrays import pack
from selftune.runner.checkpointing import Checkpoints, read_arrays, write_arrays


def state(step=0):
    return {
        "params": {"weight": step + jnp.arange(3.0), "half": jnp.bfloat16(1.5)},
        "rng": jax.random.key(step),
        "done": np.array([True, False]),
    }


def same(left, right):
    left, right = pack(left), pack(right)
    return left.keys() == right.keys() and all(left[name].tobytes() == right[name].tobytes() for name in left)


def saved(folder, *steps, keep=3):
    with Checkpoints(folder, keep) as checkpoints:
        for step in steps:
            checkpoints.save(step, state(step), {"update": step // 32})
    return checkpoints


def file_of(folder, step):
    return folder / "checkpoints" / f"step-{step:012d}.safetensors"


def test_a_checkpoint_comes_back_whole(tmp_path):
    facts = {"update": 3, "best": float("inf"), "speed": np.float32(0.5), "names": ("a", "b")}
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(123_456, state(7), facts)
        checkpoints.wait()
        assert [file.name for file in (tmp_path / "checkpoints").iterdir()] == ["step-000000123456.safetensors"]
    step, tree, told = Checkpoints(tmp_path).latest(jax.eval_shape(state))
    assert step == 123_456
    assert told == {"update": 3, "best": None, "speed": 0.5, "names": ["a", "b"]}
    assert same(tree, state(7))


def test_nothing_is_made_before_the_first_save(tmp_path):
    with Checkpoints(tmp_path / "run") as checkpoints:
        assert checkpoints.steps() == []
        with pytest.raises(CheckpointError, match=r"no whole checkpoint; none was found.*begin the run anew"):
            checkpoints.latest(state())
    assert list(tmp_path.iterdir()) == []


def test_the_newest_is_found_and_only_so_many_are_kept(tmp_path):
    checkpoints = saved(tmp_path, 32, 64, 96, 128)
    assert checkpoints.steps() == [64, 96, 128]
    assert checkpoints.latest(state()).step == 128
    assert saved(tmp_path, 160, keep=1).steps() == [160]


def test_at_least_one_is_kept(tmp_path):
    with pytest.raises(SettingError, match=r"keep=0.*at least 1"):
        Checkpoints(tmp_path, keep=0)


def test_what_stands_beside_the_checkpoints_is_left_alone(tmp_path):
    saved(tmp_path, 32)
    others = ["final.safetensors", "step-best.safetensors", "step-000000000001.txt", ".final.safetensors.1.part"]
    for name in others:
        (tmp_path / "checkpoints" / name).write_text("mine")
    assert saved(tmp_path, 64, keep=1).steps() == [64]
    assert {file.name for file in (tmp_path / "checkpoints").iterdir()} == {*others, file_of(tmp_path, 64).name}


def test_training_goes_on_while_a_checkpoint_is_written(tmp_path, monkeypatch):
    begun, go = threading.Event(), threading.Event()

    def write(file, data):
        begun.set()
        assert go.wait(30)
        return replacing.write_whole(file, data)

    monkeypatch.setattr(checkpointing, "write_whole", write)
    counter, facts = np.arange(3), {"update": 1}
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(32, {"counter": counter}, facts)
        assert begun.wait(30)
        assert checkpoints.steps() == []
        counter[:], facts["update"] = 9, 9
        go.set()
        step, tree, told = checkpoints.latest({"counter": counter})
    assert (step, tree["counter"].tolist(), told) == (32, [0, 1, 2], {"update": 1})


def test_what_cannot_be_stored_is_told_at_once(tmp_path):
    with Checkpoints(tmp_path) as checkpoints, pytest.raises(CheckpointError, match="a is a int"):
        checkpoints.save(1, {"a": 3}, {})


def test_no_thread_is_left(tmp_path):
    before = threading.active_count()
    saved(tmp_path, 32)
    assert threading.active_count() == before


def test_a_truncated_checkpoint_is_passed_over(tmp_path, caplog):
    checkpoints = saved(tmp_path, 32, 64)
    whole = file_of(tmp_path, 64).read_bytes()
    for length in (0, 1, 7, 8, 9, 60, len(whole) // 2, len(whole) - 1):
        file_of(tmp_path, 64).write_bytes(whole[:length])
        caplog.clear()
        step, tree, facts = checkpoints.latest(state())
        assert (step, facts) == (32, {"update": 1})
        assert same(tree, state(32))
        assert "step-000000000064.safetensors is damaged" in caplog.text
    file_of(tmp_path, 64).write_bytes(whole)
    assert checkpoints.latest(state()).step == 64


@pytest.mark.parametrize("mask", [0x01, 0x02, 0x20, 0x80])
def test_no_flipped_byte_changes_what_is_read(tmp_path, mask):
    """Either the file is refused, or the byte was a blank between header and arrays."""
    checkpoints = saved(tmp_path, 64)
    file = file_of(tmp_path, 64)
    whole = file.read_bytes()
    (header,) = struct.unpack("<Q", whole[:8])
    blanks = range(8 + len(whole[8 : 8 + header].rstrip()), 8 + header)
    for place in range(len(whole)):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ mask]) + whole[place + 1 :])
        try:
            step, tree, facts = checkpoints.latest(state())
        except CheckpointError as error:
            assert "1 were found, all damaged" in str(error)  # noqa: PT017
        else:
            assert place in blanks
            assert (step, facts) == (64, {"update": 2})
            assert same(tree, state(64))


def test_numbers_under_another_dtype_are_damage(tmp_path):
    file = write_arrays(tmp_path / "agent", {"x": np.ones(2, np.float32)}, {})
    file.write_bytes(file.read_bytes().replace(b'"F32"', b'"U32"'))
    with pytest.raises(CheckpointError, match="its SHA-256 is not that of its contents"):
        read_arrays(file)


def test_a_renamed_checkpoint_is_passed_over(tmp_path, caplog):
    checkpoints = saved(tmp_path, 32)
    file_of(tmp_path, 64).write_bytes(file_of(tmp_path, 32).read_bytes())
    assert checkpoints.latest(state()).step == 32
    assert "saved at step 32, and renamed" in caplog.text


def test_a_stranger_s_file_is_damage(tmp_path):
    saved(tmp_path, 32)
    file_of(tmp_path, 32).write_bytes(save(pack(state())))
    with pytest.raises(CheckpointError, match="1 were found, all damaged"):
        Checkpoints(tmp_path).latest(state())


def test_what_was_passed_over_as_damaged_goes_when_the_run_has_gone_on(tmp_path):
    saved(tmp_path, 32, 64)
    file_of(tmp_path, 64).write_bytes(b"")
    assert saved(tmp_path, 48, keep=1).steps() == [48]
    assert Checkpoints(tmp_path).latest(state()).step == 48


def test_another_kind_of_run_is_no_damage(tmp_path):
    checkpoints = saved(tmp_path, 32, 64)
    with pytest.raises(CheckpointError, match="extra: the checkpoint has nothing"):
        checkpoints.latest(state() | {"extra": jnp.ones(1)})


def test_another_format_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpointing, "FORMAT", "selftune checkpoint 2")
    saved(tmp_path, 32)
    monkeypatch.undo()
    saved(tmp_path, 16)
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.latest(state()).step == 16  # the save voided what lay behind it
    monkeypatch.setattr(checkpointing, "FORMAT", "selftune checkpoint 2")
    with pytest.raises(CheckpointError, match="format 'selftune checkpoint 1', expected 'selftune checkpoint 2'"):
        Checkpoints(tmp_path).latest(state())


def full_disk(monkeypatch):
    def fsync(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(replacing.os, "fsync", fsync)


def limited(bytes_in_a_file):
    """A true limit of the system, which writing meets in the middle."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_in_a_file, hard))


def unlimited():
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))


@pytest.mark.parametrize("cause", ["full", "limit"])
def test_a_full_disk_costs_a_checkpoint_and_not_the_run(tmp_path, monkeypatch, caplog, cause):
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(32, state(32), {})
        checkpoints.wait()
        full_disk(monkeypatch) if cause == "full" else limited(200)
        try:
            checkpoints.save(64, state(64), {})
            checkpoints.wait()
        finally:
            monkeypatch.undo()
            unlimited()
        told = {"full": "No space left on device", "limit": "File too large"}[cause]
        assert f"No checkpoint at step 64: {file_of(tmp_path, 64)} cannot be written ({told})" in caplog.text
        assert "Training goes on" in caplog.text
        assert [file.name for file in (tmp_path / "checkpoints").iterdir()] == [file_of(tmp_path, 32).name]
        assert same(checkpoints.latest(state()).tree, state(32))
        checkpoints.save(96, state(96), {})
        assert checkpoints.latest(state()).step == 96


def test_others_are_deleted_only_when_the_new_one_is_whole(tmp_path, monkeypatch):
    saved(tmp_path, 32, 64)
    full_disk(monkeypatch)
    assert saved(tmp_path, 48, keep=1).steps() == [32, 64]
    monkeypatch.undo()
    assert saved(tmp_path, 48, keep=1).steps() == [48]


KILLED = """
import os, sys, time
import numpy as np
from pathlib import Path
from selftune.runner.checkpointing import Checkpoints

def hang(*_):
    print("here", flush=True)
    time.sleep(60)

checkpoints = Checkpoints(sys.argv[1])
checkpoints.save(32, {"x": np.arange(32.0)}, {})
checkpoints.wait()
target, name = {"fsync": (os, "fsync"), "replace": (Path, "replace"), "unlink": (Path, "unlink")}[sys.argv[2]]
setattr(target, name, hang)
for step in (64, 96, 128):
    checkpoints.save(step, {"x": np.arange(float(step))}, {})
time.sleep(60)
"""


@pytest.mark.parametrize(("where", "newest"), [("fsync", 32), ("replace", 32), ("unlink", 128)])
def test_a_process_killed_in_the_middle_of_a_save_leaves_a_whole_checkpoint(tmp_path, where, newest):
    command = [sys.executable, "-W", "error", "-c", KILLED, str(tmp_path), where]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "JAX_PLATFORMS": "cpu"})
    assert process.stdout.readline() == "here\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    with Checkpoints(tmp_path) as checkpoints:
        step, tree, _ = checkpoints.latest({"x": np.arange(float(newest))})
        assert (step, tree["x"].tolist()) == (newest, list(range(newest)))
        checkpoints.save(160, {"x": np.arange(2.0)}, {})
    assert len(checkpoints.steps()) == {"fsync": 2, "replace": 2, "unlink": 3}[where]
    assert [file for file in (tmp_path / "checkpoints").iterdir() if file.name.endswith(".part")] == []


def test_a_file_of_its_own(tmp_path):
    file = write_arrays(tmp_path / "deep" / "agent.safetensors", pack(state(5)), {"steps": 5, "bound": np.inf})
    arrays, facts = read_arrays(file)
    assert facts == {"steps": 5, "bound": None}
    assert all(arrays[name].tobytes() == array.tobytes() for name, array in pack(state(5)).items())


def test_a_file_of_its_own_that_is_missing_damaged_or_in_the_way_is_told(tmp_path):
    with pytest.raises(CheckpointError, match=r"agent does not exist; expected a file that selftune saved"):
        read_arrays(tmp_path / "agent")
    (tmp_path / "agent").write_bytes(b"not a tensor in sight")
    with pytest.raises(CheckpointError, match=r"agent is damaged \(.*Take an earlier one"):
        read_arrays(tmp_path / "agent")
    with pytest.raises(CheckpointError, match="cannot be written"):
        write_arrays(tmp_path / "agent" / "below", {}, {})


def test_every_reader_of_safetensors_can_open_one(tmp_path):
    saved(tmp_path, 32)
    data = file_of(tmp_path, 32).read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    assert header["params/weight"]["dtype"] == "F32"
    assert header["__metadata__"].keys() == {"format", "about", "sha256"}
