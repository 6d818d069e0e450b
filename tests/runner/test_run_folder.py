import errno
import json
import logging
import resource
import shutil
import struct
import subprocess
import sys
from io import FileIO

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.record_writer import masked_crc32c

from selftune.errors import RunFolderError
from selftune.runner import appending
from selftune.runner.run import Run
from selftune.runner.run_folder import RunFolder

SETTINGS = {"env": "CartPole-v1", "agent": "a2c", "init": {"learning_rate": 1e-5}}


def create(path):
    return RunFolder.create(path, SETTINGS, seed=3, command="selftune train CartPole-v1")


def events(folder):
    """Every event in the order written, each checksum verified."""
    found = []
    for file in sorted((folder.path / "events").iterdir()):
        data = file.read_bytes()
        while data:
            (length,) = struct.unpack("<Q", data[:8])
            assert struct.unpack("<I", data[8:12]) == (masked_crc32c(data[:8]),)
            record = data[12 : 12 + length]
            assert struct.unpack("<I", data[12 + length : 16 + length]) == (masked_crc32c(record),)
            found.append(Event.FromString(record))
            data = data[16 + length :]
    return found


def test_config_holds_what_was_asked_and_with_what(tmp_path):
    create(tmp_path / "deep" / "run")
    config = RunFolder.open(tmp_path / "deep" / "run").config
    assert config["settings"] == SETTINGS
    assert (config["seed"], config["command"]) == (3, "selftune train CartPole-v1")
    assert config["versions"]["jax"] == jax.__version__
    assert {"python", "selftune", "optax", "gymnasium"} <= config["versions"].keys()
    assert [file.name for file in (tmp_path / "deep" / "run").iterdir()] == ["config.json"]


def test_config_says_in_text_what_json_cannot(tmp_path):
    settings = {"rate": np.float32(0.5), "net": jnp.tanh, "bound": float("inf"), "half": jnp.bfloat16(1.5)}
    config = RunFolder.create(tmp_path, settings | {"widths": (64, 64)}, seed=0, command="").config["settings"]
    assert (config["rate"], config["bound"], config["half"], config["widths"]) == (0.5, None, 1.5, [64, 64])
    assert "tanh" in config["net"]


def test_a_folder_in_use_is_refused_and_left_alone(tmp_path):
    create(tmp_path).log({"step": 1})
    before = (tmp_path / "config.json").read_bytes()
    with pytest.raises(RunFolderError, match=r"already holds a run.*Give another folder"):
        RunFolder.create(tmp_path, {}, seed=0, command="")
    assert (tmp_path / "config.json").read_bytes() == before


def test_a_folder_with_other_things_is_welcome(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    assert create(tmp_path).rows() == []


def test_a_file_in_the_way_is_told(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(RunFolderError, match="cannot be written"):
        create(tmp_path / "run")


@pytest.mark.parametrize("text", ["{", "[" * 100_000, "\udcff", "1" * 5000])
def test_a_damaged_config_is_told(tmp_path, text):
    (tmp_path / "config.json").write_text(text, errors="surrogateescape")
    with pytest.raises(RunFolderError, match="not valid JSON"):
        RunFolder.open(tmp_path)


def test_a_config_of_another_kind_is_told(tmp_path):
    (tmp_path / "config.json").write_text("[1]")
    with pytest.raises(RunFolderError, match="holds a list; expected an object"):
        RunFolder.open(tmp_path)


def test_a_missing_run_is_told(tmp_path):
    with pytest.raises(RunFolderError, match=r"config.json cannot be read \(No such file.*expected the run's settings"):
        RunFolder.open(tmp_path / "nowhere")


def test_rows_come_back_as_strict_json(tmp_path):
    folder = create(tmp_path)
    folder.log({"step": np.int64(32), "return_mean": jnp.float32(1.5), "loss": float("nan"), "kl": np.inf})
    folder.log({"step": 64, "eta/weights": np.arange(2.0)})
    expected = [{"step": 32, "return_mean": 1.5, "loss": None, "kl": None}, {"step": 64, "eta/weights": [0.0, 1.0]}]
    assert folder.rows() == RunFolder.open(tmp_path).rows() == expected

    def refuse(constant):
        raise AssertionError(constant)

    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line, parse_constant=refuse) for line in lines] == expected


def test_a_row_is_there_for_a_reader_at_once(tmp_path):
    folder = create(tmp_path)
    folder.log({"step": 1})
    assert RunFolder.open(tmp_path).rows() == [{"step": 1}]


@pytest.mark.parametrize("torn", [b'{"step": 3, "re', b"\0\0\0\0", b'{"step": 3', b"3\n", b"\xff"])
def test_a_torn_last_line_is_left_out_and_mended(tmp_path, torn):
    create(tmp_path).log({"step": 1})
    with (tmp_path / "metrics.jsonl").open("ab") as file:
        file.write(torn)
    resumed = RunFolder.open(tmp_path)
    assert resumed.rows() == [{"step": 1}]
    resumed.log({"step": 2})
    assert resumed.rows() == [{"step": 1}, {"step": 2}]


def test_a_file_that_holds_only_a_torn_line_is_mended(tmp_path):
    folder = create(tmp_path)
    (tmp_path / "metrics.jsonl").write_text('{"st')
    folder.log({"step": 1})
    assert folder.rows() == [{"step": 1}]


def test_a_last_line_that_lacks_only_its_newline_is_kept(tmp_path):
    folder = create(tmp_path)
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}')
    folder.log({"step": 2})
    assert folder.rows() == [{"step": 1}, {"step": 2}]


@pytest.mark.parametrize("damaged", ['{"step": 2', "[2]", "", '{"step": 2}{"step": 3}'])
def test_a_damaged_line_in_the_middle_is_told_by_its_number(tmp_path, damaged):
    create(tmp_path)
    (tmp_path / "metrics.jsonl").write_text(f'{{"step": 1}}\n{damaged}\n{{"step": 4}}\n')
    with pytest.raises(RunFolderError, match=r"metrics.jsonl, line 2 is damaged.*Delete the line"):
        RunFolder.open(tmp_path).rows()


def test_nan_written_by_others_is_null(tmp_path):
    create(tmp_path)
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "loss": NaN, "kl": -Infinity}\n')
    assert RunFolder.open(tmp_path).rows() == [{"step": 1, "loss": None, "kl": None}]


def test_cut_drops_what_lies_behind_a_checkpoint(tmp_path):
    folder = create(tmp_path)
    for step in (32, 64, 96):
        folder.log({"step": step})
    folder.cut(64)
    folder.log({"step": 80})
    assert [row["step"] for row in folder.rows()] == [32, 64, 80]
    assert [event.step for event in events(folder) if event.session_log.status == SessionLog.START] == [65]


def test_what_is_to_be_cut_stays_on_disk_until_there_is_a_new_row(tmp_path):
    folder = create(tmp_path)
    for step in (32, 64, 96):
        folder.log({"step": step})
    files = [folder.path / "metrics.jsonl", *(folder.path / "events").iterdir()]
    before = [file.read_bytes() for file in files]
    resumed = RunFolder.open(tmp_path)
    resumed.cut(64)
    assert [row["step"] for row in resumed.rows()] == [32, 64], "where it goes on"
    assert [file.read_bytes() for file in files] == before
    resumed.settle(96)
    assert [file.read_bytes() for file in files] == before, "it stands there, within a row"
    resumed.cut(32)
    resumed.settle(64)
    assert [row["step"] for row in RunFolder.open(tmp_path).rows()] == [32, 64], "what it has not reached is no more"


def test_damaged_rows_are_told_before_a_run_goes_on(tmp_path):
    (create(tmp_path).path / "metrics.jsonl").write_text('{"step": 1}\n{"step"\n{"step": 4}\n')
    with pytest.raises(RunFolderError, match="line 2 is damaged"):
        RunFolder.open(tmp_path).cut(1)


def test_tensorboard_sees_the_finite_scalars(tmp_path):
    folder = create(tmp_path)
    folder.log({"step": 32, "eta/discount": 0.75, "loss": float("nan"), "note": "text", "guard/range": 2})
    first, second = events(folder)
    assert first.file_version == "brain.Event:2"
    assert second.step == 32
    assert {value.tag: value.simple_value for value in second.summary.value} == {
        "step": 32,
        "eta/discount": 0.75,
        "guard/range": 2,
    }


class FullDisk(FileIO):
    """Takes half of what it is given, then nothing."""

    full = False

    def write(self, data):
        if not self.full:
            return super().write(data)
        if len(data) > 8:
            return super().write(data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_costs_rows_and_not_the_run(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(appending, "FileIO", FullDisk)
    monkeypatch.setattr(FullDisk, "full", False)
    folder = create(tmp_path)
    folder.log({"step": 1})
    monkeypatch.setattr(FullDisk, "full", True)
    folder.log({"step": 2})
    folder.log({"step": 3})
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "No space left on device" in caplog.text
    monkeypatch.setattr(FullDisk, "full", False)
    folder.log({"step": 4})
    assert folder.rows() == [{"step": 1}, {"step": 4}]
    assert [event.step for event in events(folder)] == [0, 1, 4]
    assert "works again; 2 rows were lost" in caplog.records[-1].message


def test_a_disk_that_is_full_from_the_start_costs_no_run(tmp_path, monkeypatch, caplog):
    folder = create(tmp_path)
    monkeypatch.setattr(appending, "FileIO", FullDisk)
    monkeypatch.setattr(FullDisk, "full", True)
    folder.log({"step": 1})
    monkeypatch.setattr(FullDisk, "full", False)
    folder.log({"step": 2})
    assert folder.rows() == [{"step": 2}]
    assert [event.file_version for event in events(folder)] == ["brain.Event:2", ""]


def test_a_true_limit_of_the_system_costs_rows_and_not_the_run(tmp_path, caplog):
    folder = create(tmp_path)
    folder.log({"step": 1})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, hard))  # bytes in a file; `{"step": 1}` and its newline are 12
    try:
        folder.log({"step": 2})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    folder.log({"step": 3})
    assert folder.rows() == [{"step": 1}, {"step": 3}]
    assert "could not be logged" in caplog.text


def test_a_new_length_is_recorded_beside_the_old_one(tmp_path):
    create(tmp_path).extend(500)
    config = RunFolder.open(tmp_path).config
    assert (config["extended"], config["seed"]) == (500, 3)
    assert config["settings"] == json.loads(json.dumps(SETTINGS))


def test_a_run_has_finished_when_it_has_taken_the_steps_in_force(tmp_path):
    folder = RunFolder.create(tmp_path, {"steps": 100}, seed=0, command="")
    folder.log({"step": 100})
    for steps, finished in ((200, False), (50, True)):
        folder.extend(steps)
        run = Run(tmp_path)
        assert (run.planned_steps, run.finished) == (steps, finished)


def test_a_run_goes_on_where_tensorboard_cannot_be_told(tmp_path, caplog):
    folder = create(tmp_path)
    for step in (32, 64, 96):
        folder.log({"step": step})
    shutil.rmtree(tmp_path / "events")
    (tmp_path / "events").write_text("in the way")
    resumed = RunFolder.open(tmp_path)
    resumed.cut(64)
    resumed.log({"step": 80})
    assert [row["step"] for row in resumed.rows()] == [32, 64, 80]
    assert "TensorBoard is not told" in caplog.text


def test_importing_loads_no_tensorboard():
    code = (
        "import sys, selftune.runner.run_folder; "
        "assert not {'tensorboardX', 'safetensors', 'plotly', 'rich'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
