import json
from dataclasses import replace

import pytest

from selftune.errors import RunFolderError
from selftune.experiments.records import Records, Row, already_measured, tell_kept

ROW = Row("tracking", "idbd", 30_000, 30, 1.5, 1.4, 1.6, "selftune bench published", "1.5 (Sutton 1992)")


def test_rows_are_on_disk_at_once_and_found_again(tmp_path):
    Records(tmp_path / "rows.json").add(ROW)
    again = Records(tmp_path / "rows.json")
    assert again.find("tracking", "idbd", 30_000) == ROW
    assert again.find("tracking", "idbd", 1) is None
    again.add(replace(ROW, ours=1.0))
    assert [row.ours for row in Records(tmp_path / "rows.json").rows] == [1.0]
    assert set(json.loads((tmp_path / "rows.json").read_text())[0]) >= {"experiment", "published", "ours", "command"}


def test_two_that_write_one_file_lose_nothing_of_each_other(tmp_path):
    one, other = Records(tmp_path / "rows.json"), Records(tmp_path / "rows.json")
    one.add(ROW)
    other.add(replace(ROW, row="lms"))
    one.add(replace(ROW, row="rls"))
    assert {row.row for row in Records(tmp_path / "rows.json").rows} == {"idbd", "lms", "rls"}
    other.add(replace(ROW, ours=1.0))
    one.add(replace(ROW, row="autostep"))
    assert one.find(*ROW.key).ours == 1.0, "what was measured last"


def test_what_was_there_before_is_told(tmp_path):
    said = []
    tell_kept(0, 3, tmp_path, said.append)
    assert not said
    tell_kept(2, 3, tmp_path, said.append)
    assert said[0].startswith(f"2 of 3 rows were in {tmp_path} before")


def test_a_row_of_fewer_seeds_is_measured_again_and_one_of_more_is_not(tmp_path):
    records = Records(tmp_path / "rows.json")
    records.add(ROW)
    assert already_measured(records, *ROW.key, seeds=31) is None
    assert already_measured(records, *ROW.key, seeds=30) == already_measured(records, *ROW.key, seeds=1) == ROW


def test_another_file_is_refused_and_kept(tmp_path):
    (tmp_path / "rows.json").write_text('[{"surprise": 1}]')
    with pytest.raises(RunFolderError, match="Move it away"):
        Records(tmp_path / "rows.json")
    assert (tmp_path / "rows.json").read_text() == '[{"surprise": 1}]'
    with pytest.raises(RunFolderError, match="holds no rows of results"):
        Records(tmp_path)
