"""The bench measures what is missing, writes every row at once, and refuses what it does not know."""

import json
from io import StringIO

import numpy as np
import pytest
from rich.console import Console

from selftune.errors import SettingError
from selftune.experiments import published
from selftune.experiments.published import measuring
from selftune.experiments.published.rendering import table
from selftune.experiments.records import Row


@pytest.fixture
def counted(monkeypatch):
    """An experiment of two rows, and which were measured."""
    measured = []

    def rows(found):
        for name in ("one", "two"):
            if not found(name, 10, 3):
                measured.append(name)
                yield measuring.row_of_runs(
                    "counted", name, 10, [1.0, 2.0, 3.0], "2", {"curve": np.array([1.23456789])}
                )

    of = published._of("counted", rows)
    monkeypatch.setattr(published, "EXPERIMENTS", {"counted": published.Experiment(of, of)})
    return measured


def test_rows_are_measured_once(tmp_path, counted):
    said = []
    published.bench_published(tmp_path / "rows.json", say=said.append)
    assert counted == ["one", "two"]
    told = json.loads((tmp_path / "rows.json").read_text())
    assert told[0]["command"] == "selftune bench published --only counted"
    assert (told[0]["ours"], told[0]["seeds"]) == (2.0, 3)
    assert told[0]["details"]["curve"] == [1.23457]
    assert "jax" in told[0]["details"]["versions"]
    (tmp_path / "rows.json").write_text(json.dumps(told[1:]))
    published.bench_published(tmp_path / "rows.json", say=said.append)
    assert counted == ["one", "two", "one"]
    assert len(said) == 4
    assert said[-1].startswith("1 of 2 rows were in "), "those that are kept are said to be"


def test_the_full_size_is_not_satisfied_by_rows_of_the_reduced_one(tmp_path, monkeypatch):
    def size(runs):
        def rows(found):
            if not found("one", 10, runs):
                yield measuring.row_of_runs("sized", "one", 10, np.ones(runs))

        return published._of("sized", rows)

    monkeypatch.setattr(published, "EXPERIMENTS", {"sized": published.Experiment(size(3), size(20))})
    said = []
    seeds = [
        published.bench_published(tmp_path / "rows.json", full=full, say=said.append)[0].seeds
        for full in (False, True, False)
    ]
    assert seeds == [3, 20, 20]
    assert ["were in" in line for line in said] == [False, False, True], "what is measured again is not kept"


def test_what_is_no_number_is_null():
    row = measuring.row_of_runs("one", "two", 1, [1.0], None, {"settings": [0.123456789, np.nan], "count": 3})
    assert row.details == {"settings": [0.123457, None], "count": 3}


def test_an_unknown_experiment_is_refused_with_those_there_are(tmp_path):
    with pytest.raises(SettingError, match="tracking"):
        published.bench_published(tmp_path / "rows.json", ["trackin"])


def test_a_terminal_of_eighty_columns_has_room_for_every_number():
    rows = [
        Row("two_colors", "ours: MG-context, 0.2", 9_999_840, 5, -0.123456, -0.234567, -0.0123456, "", None, {}),
        Row("gradients", "exact [bold]", 640, 30, 1.0, 1.0, 1.0, "", "1.29 (0.08), Luketina et al., 10M steps", {}),
        Row("gradients", "once", 8, 1, 0.75, 0.75, 0.75, "", None, {}),
    ]
    console = Console(width=80, file=StringIO())
    console.print(table(rows))
    shown = console.file.getvalue()
    assert "…" not in shown
    assert "0.75 [" not in shown, "a single run has no interval"
    for told in ("10M", "-0.123 [-0.235, -0.0123]", "640", "1 [1, 1]", "[bold]", "(0.08)"):
        assert told in shown
