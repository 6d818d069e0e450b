"""What all scenarios share: names, the page, the skeleton, the command."""

import io
import json

import plotly.graph_objects as go
import pytest
from rich.console import Console

from selftune.cli import main, scenes
from selftune.cli.scenes import shown
from selftune.errors import SettingError
from selftune.scenarios import SCENARIOS, Ask, Picture, Story, Table, eject, tell, write_story

STORY = Story(
    "A <title>",
    ("First & foremost.",),
    (Table("Numbers", ("who", "how much"), (("a < b", "1"),), "A note."),),
    (Picture("Seen", go.Figure(go.Scatter(x=[0, 1], y=[1, 2])), "A caption."),),
    ("Nothing is proved.",),
    ({"who": "a", "how_much": 1.0},),
)


def test_a_story_is_a_page_and_rows_for_machines(tmp_path):
    page = write_story(STORY, tmp_path / "new" / "folder", "selftune scenario a")
    text = page.read_text()
    for told in (
        "A &lt;title&gt;",
        "First &amp; foremost.",
        "a &lt; b",
        "A note.",
        "A caption.",
        "Nothing is proved.",
        "scenario a<",
    ):
        assert told in text
    assert "http" not in text.replace("http://www.w3.org", "").split("<script>")[0]
    told = json.loads((page.parent / "results.json").read_text())
    assert told["rows"] == [{"who": "a", "how_much": 1.0}]
    assert told["command"] == "selftune scenario a"


def test_an_unknown_scenario_is_refused_with_the_known_ones():
    with pytest.raises(SettingError, match="did you mean 'education'"):
        tell("educatoin", Ask())


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_skeleton_is_copied_whole_and_never_over_something(tmp_path, name, capsys):
    main(["scenario", name, "--eject", str(tmp_path / "own")])
    assert {"README.md", "main.py"} <= {file.name for file in (tmp_path / "own").iterdir()}
    assert "wrote" in capsys.readouterr().out
    with pytest.raises(SettingError, match="something already"):
        eject(name, tmp_path / "own")


@pytest.mark.parametrize("seed", [-1, 2**31])
def test_a_seed_out_of_range_is_refused_before_anything_runs(seed):
    with pytest.raises(SettingError, match="expected a whole number from 0"):
        tell("education", Ask(seed=seed))


def test_a_skeleton_cannot_go_below_a_file(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(SettingError, match="cannot be made"):
        eject("education", tmp_path / "file" / "own")


def test_a_quick_run_does_not_replace_the_report_of_a_whole_one(tmp_path, monkeypatch):
    monkeypatch.setattr(scenes, "tell", lambda *_: STORY)
    console = Console(file=io.StringIO())
    shown("education", True, 0, tmp_path, console)
    shown("education", False, 0, tmp_path, console)
    with pytest.raises(SettingError, match="holds what `selftune scenario education` told, the whole experiment"):
        shown("education", True, 3, tmp_path, console)
    shown("education", False, 1, tmp_path, console)
    (tmp_path / "results.json").write_text("[]")
    shown("education", True, 3, tmp_path, console)
    assert json.loads((tmp_path / "results.json").read_text())["command"].endswith("--quick --seed 3")


def test_what_runs_nothing_takes_no_other_options(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["scenario", "education", "--eject", str(tmp_path / "own"), "--quick"])
    assert "--eject runs nothing" in " ".join(capsys.readouterr().err.split())


def test_a_scenario_that_ends_without_a_report_leaves_the_earlier_one(tmp_path, monkeypatch):
    earlier = write_story(STORY, tmp_path, "an earlier one").read_text()
    console = Console(file=io.StringIO())
    with pytest.raises(SettingError, match="did you mean 'education'"):
        shown("educatoin", True, 0, tmp_path / "typo", console)
    assert not (tmp_path / "typo").exists()

    def broken(*_):
        assert (tmp_path / "under_way.txt").exists(), "the folder can be written, and says what goes on"
        raise KeyboardInterrupt

    monkeypatch.setattr(scenes, "tell", broken)
    with pytest.raises(KeyboardInterrupt):
        shown("education", True, 0, tmp_path, console)
    assert (tmp_path / "report.html").read_text() == earlier
    assert not (tmp_path / "under_way.txt").exists()
