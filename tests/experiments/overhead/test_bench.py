"""The bench measures what is missing, writes every row at once, and keeps its promises or says so."""

import json

import pytest

from selftune.cli import main
from selftune.errors import SettingError
from selftune.experiments.overhead.bench import PARTS, Part, bench_overhead
from selftune.experiments.overhead.measuring import Block, Measured
from selftune.experiments.overhead.promises import PROMISES, verdicts
from selftune.experiments.overhead.rendering import tables
from selftune.experiments.records import Records
from selftune.experiments.statistics import Interval

ONE = Interval(1.5, 1.25, 2.0)


def part(asked, rounds=5, fail=None):
    """A part of two rows, and the names that it was asked for."""

    def measure(names):
        for name in names:
            if name == fail:
                raise KeyboardInterrupt
            asked.append(name)
            yield Measured(name, ONE, {"flops": 1.25})

    def blocks(say):
        say("something cannot be measured here")
        yield Block("counted: [8]", ("one", "two"), 10, rounds, "time over nothing", measure)

    return {"counted": Part(blocks, blocks)}


def test_rows_are_measured_once_and_written_with_their_circumstances(tmp_path):
    out, asked, said = tmp_path / "rows.json", [], []
    rows = bench_overhead(out, say=said.append, parts=part(asked))
    assert [(row.row, row.ours, row.ci_low, row.ci_high, row.seeds) for row in rows] == [
        ("one", 1.5, 1.25, 2.0, 5),
        ("two", 1.5, 1.25, 2.0, 5),
    ]
    told = json.loads(out.read_text())[0]
    assert told["command"] == "selftune bench overhead --only counted"
    assert told["details"]["unit"] == "time over nothing"
    assert "jax" in told["details"]["versions"]
    assert "cores" in told["details"]["machine"]
    assert len(said) == 3
    assert bench_overhead(out, ["counted"], say=said.append, parts=part(asked)) == rows
    assert asked == ["one", "two"]
    assert said[-1].startswith("2 of 2 rows were in ")


@pytest.mark.parametrize("elsewhere", [{"machine": "aarch64, 96 cores, gpu"}, {"versions": "selftune 0.0.1"}])
def test_what_was_measured_elsewhere_says_nothing_about_here(tmp_path, elsewhere):
    out, asked = tmp_path / "rows.json", []
    bench_overhead(out, say=lambda line: None, parts=part(asked))
    told = json.loads(out.read_text())
    told[1]["details"] |= elsewhere
    out.write_text(json.dumps(told))
    said = []
    rows = bench_overhead(out, ["counted", "counted"], say=said.append, parts=part(asked))
    assert asked == ["one", "two", "two"]
    assert said[1].startswith("counted: [8]: two again, since")
    assert said[-1].startswith("1 of 2 rows were in ")
    assert elsewhere.items() & rows[1].details.items() == set()


def test_a_table_shows_rows_of_one_size(tmp_path):
    out, other = tmp_path / "rows.json", part([])["counted"]
    bench_overhead(out, say=lambda line: None, parts={"counted": other})
    longer = Part(lambda say: [block._replace(steps=99) for block in other.full(say)], other.full)
    rows = bench_overhead(out, say=lambda line: None, parts={"counted": longer})
    assert [row.steps for row in rows] == [99, 99]
    assert len(Records(out).rows) == 4


def test_what_was_interrupted_goes_on_where_it_was(tmp_path):
    out, asked = tmp_path / "rows.json", []
    with pytest.raises(KeyboardInterrupt):
        bench_overhead(out, say=lambda line: None, parts=part(asked, fail="two"))
    assert [row.row for row in Records(out).rows] == ["one"]
    bench_overhead(out, say=lambda line: None, parts=part(asked))
    assert asked == ["one", "two"]


def test_more_rounds_take_the_place_of_fewer_and_not_the_other_way_round(tmp_path):
    out, asked = tmp_path / "rows.json", []
    for rounds in (5, 9, 5):
        rows = bench_overhead(out, full=rounds == 9, say=lambda line: None, parts=part(asked, rounds))
    assert asked == ["one", "two"] * 2
    assert [row.seeds for row in rows] == [9, 9]
    assert rows[0].command == "selftune bench overhead --only counted --full"


def test_an_unknown_part_is_refused_with_those_there_are(tmp_path):
    with pytest.raises(SettingError, match=r"no part 'update'; did you mean 'updates'\? Known: agents, compilation, e"):
        bench_overhead(tmp_path / "rows.json", ["agents", "update"])
    assert not (tmp_path / "rows.json").exists()


def test_every_part_of_the_protocol_is_there_in_both_sizes():
    assert list(PARTS) == ["updates", "agents", "end_to_end", "libraries", "compilation", "scaling"]
    for one in (part for name, part in PARTS.items() if name != "libraries"):
        for blocks in one:
            names = [(block.experiment, name, block.steps) for block in blocks(print) for name in block.rows]
            assert len(names) == len(set(names)) > 0


def test_tables_have_the_columns_that_rows_fill(tmp_path):
    [table] = tables(bench_overhead(tmp_path / "rows.json", say=lambda line: None, parts=part([])))
    assert [column.header for column in table.columns] == ["", "time over nothing [95 %]", "FLOPs"]
    assert table.row_count == 2


def promised(excess):
    """A part that measures what is promised, each figure at its limit times `excess`."""

    def measure(setting, names):
        for name in names:
            details = {"flops": 0.0, "temporary_mib": 100.0}
            for promise in PROMISES:
                if (promise.setting, promise.row) == (setting, name):
                    details[promise.figure] = excess * promise.limit * (100.0 if promise.over else 1.0)
            yield Measured(name, ONE, details)

    def blocks(say):
        for setting in dict.fromkeys(promise.setting for promise in PROMISES):
            own = [promise for promise in PROMISES if promise.setting == setting]
            names = dict.fromkeys(name for promise in own for name in (promise.row, promise.over) if name)
            yield Block(setting.experiment, tuple(names), 1, 1, "time", lambda names, s=setting: measure(s, names))

    return Part(blocks, blocks)


def test_promises_are_checked_on_rows():
    assert verdicts([]) == []


@pytest.mark.parametrize(("excess", "status"), [(0.99, None), (1.01, 1)])
def test_a_broken_promise_is_said_and_ends_in_status_1(tmp_path, monkeypatch, capsys, excess, status):
    monkeypatch.setitem(PARTS, "updates", promised(excess))
    words = ["bench", "overhead", "--only", "updates", "--out", str(tmp_path / "rows.json")]
    if status is None:
        main(words)
    else:
        with pytest.raises(SystemExit) as end:
            main(words)
        assert end.value.code == status
    printed = capsys.readouterr().out
    assert ("NO" in printed) == bool(status)
    assert printed.count("yes") == (0 if status else len(PROMISES))
