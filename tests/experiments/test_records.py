import json
from dataclasses import replace

import pytest

from selftune.errors import RunFolderError
from selftune.experiments.records import Records, Row, already_measured

ROW = Row("tracking", "idbd", 30_000, 30, 1.5, 1.4, 1.6, "selftune bench published", "1.5 (Sutton 1992)")


def test_rows_are_on_disk_at_once_and_found_again(tmp_path):
    Records(tmp_path / "rows.json").add(ROW)
    again = Records(tmp_path / "rows.json")
    assert again.find("tracking", "idbd", 30_000) == ROW
    assert again.find("tracking", "idbd", 1) is None
    again.add(replace(ROW, ours=1.0))
    assert [row.ours for row in Records(tmp_path / "rows.json").rows] == [1.0]
    assert set(json.loads((tmp_path / "rows.json").read_text())[0]) >= {"experiment", "published", "ours", "command"}


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
