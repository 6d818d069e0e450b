import html.parser
import json
import re
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import pytest
from plotly.offline import get_plotlyjs

from selftune.errors import RunFolderError, SettingError
from selftune.runner import axes, series
from selftune.runner.reporting import write_report
from selftune.runner.run_folder import RunFolder
from selftune.runner.series import RunSeries
from selftune.runner.telling import comparison, facts, sentences

HOSTILE = "<script>document.title='owned'</script><img src=x onerror=alert(1)>\"'&amp;{x}"


def rows(count=200, tuned=True):
    """A run that finds a longer horizon and a larger rate; fixed, it stays where it began."""
    for update in range(count + 1):
        done = update / count * tuned
        yield {
            "step": 100 * update,
            "update": update,
            "wall_time": 0.5 * update,
            "return_mean": None if 40 <= update < 60 else 10.0 + 90.0 * done,
            "return_episodes": 3,
            "steps_per_second": 200.0,
            "eta/learning_rate": 1e-5 * 100**done,
            "eta/discount": 1 - 0.1 * 0.1**done,
            "eta/value_cost": 0.5,
            "meta_grad/learning_rate": (-1.0) ** update if tuned else None,
            "guard/trust_region": int(update % 20 == 19) if tuned else 0,
            "guard/numeric": 0,
            "policy_loss": 0.1,
        }


def write(path, rows, **settings):
    settings = {"env": "CartPole-v1", "agent": "a2c", "steps": 20_000, "init": {"learning_rate": 1e-5}} | settings
    folder = RunFolder.create(path, settings, seed=1, command="selftune train CartPole-v1 --seed 1")
    lines = [json.dumps(row) + "\n" for row in rows]
    (path / "metrics.jsonl").write_text("".join(lines))
    return folder


class Page(html.parser.HTMLParser):
    """What a browser makes of a page: its tags, its text, its scripts by kind."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.text, self.figures, self.scripts = [], [], "", [], []
        self._sink = None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag == "script":
            self._sink = self.figures if ("type", "application/json") in attrs else self.scripts
        elif tag == "style":
            self._sink = []

    def handle_endtag(self, tag):
        self._sink = None

    def handle_data(self, data):
        if self._sink is None:
            self.text += data
        else:
            self._sink.append(data)

    @property
    def plots(self):
        return [json.loads(figure) for figure in self.figures]


def read(path):
    return Page(path.read_text("utf-8"))


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A tuned run against a fixed one."""
    path = tmp_path_factory.mktemp("runs")
    write(path / "tuned", rows())
    write(path / "fixed", rows(tuned=False), tune=[])
    return write_report([path / "tuned", path / "fixed"], path / "deep" / "report.html")


def test_the_page_asks_nobody(report):
    text = report.read_text("utf-8")
    page = Page(text)
    assert not {"link", "iframe", "img", "object", "embed", "base", "form", "a"} & set(page.tags)
    assert not [value for _, name, value in page.attributes if name in ("src", "href", "srcset", "action", "data")]
    ours = text.replace(get_plotlyjs(), "")
    assert not re.findall(r"https?:|//[a-z]|@import|url\(|fetch|XMLHttpRequest|WebSocket|import\(", ours)
    policies = [value for tag, name, value in page.attributes if tag == "meta" and name == "content"]
    [policy] = [value for value in policies if "default-src" in value]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "img-src data: blob:" in policy
    assert not re.search(r"https?:|\*|connect-src|unsafe-eval|script-src[^;]*unsafe", policy)


def test_plotly_is_there_once_and_the_page_is_small(report):
    text = report.read_text("utf-8")
    assert text.count("plotly.js v") == 1
    assert len(text.encode()) < 8e6
    assert len(Page(text).scripts) == 2


def test_every_figure_is_one_that_plotly_accepts(report):
    page = read(report)
    assert len(page.plots) == 6  # return, learning rate, discount, trust region, policy loss, throughput
    for figure in page.plots:
        assert go.Figure(figure).layout.xaxis.title.text == "environment steps"
        assert go.Figure(figure).layout.yaxis.title.text


def test_each_run_has_a_colour_and_a_button(report):
    page = read(report)
    drawn = {(trace["name"], trace["line"]["color"], trace["meta"]) for plot in page.plots for trace in plot["data"]}
    assert drawn == {("tuned", "var(--run-0)", 0), ("fixed", "var(--run-1)", 1)}
    assert [value for tag, name, value in page.attributes if name == "data-run"] == ["0", "1"]
    style = report.read_text("utf-8").split("<style>")[1].split("</style>")[0]
    assert style.count("--run-7:") == 2  # light and dark


def test_rows_with_null_make_a_gap(report):
    returns = read(report).plots[0]
    assert returns["layout"]["height"] == 380
    for trace in returns["data"]:
        gap = [step for step, value in zip(trace["x"], trace["y"], strict=True) if value is None]
        assert gap == list(range(4000, 6000, 100))


def test_a_discount_is_spaced_by_its_horizon_and_spoken_as_itself(report):
    [figure] = [figure for figure in read(report).plots if "customdata" in figure["data"][0]]
    trace, axis = figure["data"][0], figure["layout"]["yaxis"]
    assert (trace["y"][0], trace["y"][-1]) == (10, 100)  # 1 / (1 - 0.9) and 1 / (1 - 0.99)
    assert (trace["customdata"][0], trace["customdata"][-1]) == ("0.9", "0.99")
    assert axis["type"] == "log"
    assert axis["ticktext"] == ["0.99", "0.97", "0.9"]
    np.testing.assert_allclose(axis["tickvals"], [100, 100 / 3, 10])


def test_a_rate_that_spans_decades_is_spaced_by_factors_above_its_meta_gradient(report):
    [figure] = [figure for figure in read(report).plots if "yaxis2" in figure["layout"]]
    assert figure["layout"]["yaxis"]["type"] == "log"
    assert figure["layout"]["yaxis"]["ticktext"] == ["1e-05", "0.0001", "0.001"]
    assert figure["layout"]["yaxis2"]["title"]["text"] == "meta-gradient"
    assert {trace["yaxis"] for trace in figure["data"]} == {"y", "y2"}
    values = figure["data"][0]
    assert (values["y"][0], values["y"][-1]) == (1e-5, 1e-3)


def test_guards_are_added_up_and_the_idle_are_left_out(report):
    [figure] = [figure for figure in read(report).plots if figure["layout"]["yaxis"]["title"]["text"] == "times fired"]
    tuned, fixed = figure["data"]
    assert (tuned["y"][18], tuned["y"][19], tuned["y"][-1], fixed["y"][-1]) == (0, 1, 10, 0)


def test_the_page_says_what_happened(report):
    text = read(report).text
    # the last fifth of the tuned run: returns 82.45, 82.9 .. 100, three episodes each
    assert "tuned reached the highest return, 91.2, against 10 (fixed)." in text
    assert "It moved the learning rate from 1e-05 to 0.001 and the discount from 0.9 to 0.99 (horizon 10 to 100" in text
    assert "It left the value cost where it was." in text
    assert "Guards stepped in: trust region 10 times." in text
    assert "Its metaparameters stayed where they were. No guard had to step in." in text
    assert "selftune train CartPole-v1 --seed 1" in text
    assert "versions.jax" in text


def test_the_page_says_which_start_was_a_beginners_and_where_it_is_drawn(tmp_path):
    write(tmp_path / "run", rows(), home={"learning_rate": 0.002, "value_cost": 0.5, "unheard": "x"})
    text = read(write_report([tmp_path / "run"], tmp_path / "report.html")).text
    assert "learning rate from 1e-05 (a beginner's start, drawn to 0.002) to 0.001 and the discount from 0.9" in text
    assert text.count("beginner") == 1


def test_an_old_return_is_not_called_that_of_the_last_fifth(tmp_path):
    """Who stays alive through the last fifth is known by an early death only."""
    early = [
        row | ({} if number < 4 else {"return_mean": None, "return_episodes": 0}) for number, row in enumerate(rows())
    ]
    write(tmp_path / "run", early)
    text = read(write_report([tmp_path / "run"], tmp_path / "report.html")).text
    assert "The last episodes that ended had a return of 11.3" in text  # 10 + 90 * 3 / 200
    assert "none ended in the last fifth of" in text
    assert "its mean over the last fifth" not in text
    write(tmp_path / "other", rows(tuned=False))
    old, other = series.read([tmp_path / "run", tmp_path / "other"])
    assert (facts(old)["return, last fifth"], facts(old)["best return"]) == ("-", "11.3")
    assert comparison([old, other]) == "", "nothing to compare"


def test_a_reward_counts_for_as_many_steps_as_its_row_tells_of(tmp_path):
    """Of 1000 steps those after 800: 190 at 1 and 10 at 20 are 390 in 200 steps."""
    told = [{"step": step, "reward_mean": reward} for step, reward in ((800, 9.0), (990, 1.0), (1000, 20.0))]
    write(tmp_path / "run", told)
    [run] = series.read([tmp_path / "run"])
    assert "A step brought 1.95 on average" in sentences(run)[0]


def test_settings_that_differ_come_first_and_are_marked(report):
    text = report.read_text("utf-8")
    first = text.split("<h2>Settings</h2>")[1].split("<tbody>")[1].split("</tr>")[0]
    assert first == "<tr class=differs><th>tune</th><td>-</td><td>[]</td>"
    assert text.count("class=differs") == 1


def test_hostile_text_is_inert(tmp_path):
    hostile = [
        {"step": step, "return_mean": step, HOSTILE: step, f"eta/{HOSTILE}": step, f"guard/{HOSTILE}": 1}
        for step in range(5)
    ]
    name = "<b onclick=alert(1)>&amp;"
    write(tmp_path / name, hostile, env=HOSTILE, agent=HOSTILE, init={HOSTILE: HOSTILE}, **{HOSTILE: [HOSTILE]})
    write(tmp_path / "other", hostile, env=HOSTILE)
    write(tmp_path / "benign", rows(5))
    write(tmp_path / "another", rows(5), agent="dqn")
    page = read(write_report([tmp_path / name, tmp_path / "other"], tmp_path / "report.html"))
    known = read(write_report([tmp_path / "benign", tmp_path / "another"], tmp_path / "benign.html"))
    assert set(page.tags) <= set(known.tags)
    assert {(tag, attribute) for tag, attribute, _ in page.attributes} <= {
        (tag, attribute) for tag, attribute, _ in known.attributes
    }
    assert len(page.scripts) == 2
    assert HOSTILE in page.text
    for figure in page.figures:
        assert not set("<>&") & set(figure)
    for trace in page.plots[0]["data"]:
        assert "<" not in trace["name"]  # Plotly reads a few tags in its texts


def test_two_folders_of_one_name_are_told_apart(tmp_path):
    write(tmp_path / "a" / "run", rows(5))
    write(tmp_path / "b" / "run", rows(5))
    page = read(write_report([tmp_path / "a" / "run", tmp_path / "b" / "run"], tmp_path / "report.html"))
    assert {trace["name"] for trace in page.plots[0]["data"]} == {str(tmp_path / "a/run"), str(tmp_path / "b/run")}


@pytest.mark.parametrize("logged", [None, "", '{"step": 1, "retu'])
def test_a_run_without_rows_gives_a_page_that_says_so(tmp_path, logged):
    write(tmp_path / "run", [])
    (tmp_path / "run" / "metrics.jsonl").unlink()
    if logged is not None:
        (tmp_path / "run" / "metrics.jsonl").write_text(logged)
    page = read(write_report([tmp_path / "run"], tmp_path / "report.html"))
    assert "Nothing has been logged yet." in page.text
    assert "no row has been logged" in page.text
    assert page.figures == []
    assert "selftune train CartPole-v1" in page.text


@pytest.mark.parametrize(
    "row",
    [
        {"step": 512},
        {"step": 512, "return_mean": None, "eta/discount": None},
        {"step": 512, "return_mean": -500.0, "eta/discount": 1.0, "loss": 0.0},
        {"step": 0, "return_mean": 0.0, "eta/learning_rate": 0.0},
        {"return_mean": 1.0},
        {"step": "x", "return_mean": {"a": 1}},
        {"step": 10**400, "return_mean": 1.0},
    ],
)
def test_a_run_of_one_odd_row_gives_a_page(tmp_path, row):
    write(tmp_path / "run", [row])
    assert "CartPole-v1 · a2c" in read(write_report([tmp_path / "run"], tmp_path / "report.html")).text


def test_a_run_that_stopped_early_says_so(tmp_path):
    write(tmp_path / "run", rows(10))
    text = read(write_report([tmp_path / "run"], tmp_path / "report.html")).text
    assert "over the last fifth of 1k of 20k planned environment steps" in text


def test_a_config_of_odd_shape_is_shown(tmp_path):
    write(tmp_path / "run", rows(5))
    (tmp_path / "run" / "config.json").write_text('{"settings": 3, "versions": null, "extra": {"a": {}}}')
    assert "run" in read(write_report([tmp_path / "run"], tmp_path / "report.html")).text


def test_damage_and_mistakes_are_told(tmp_path):
    with pytest.raises(RunFolderError, match="cannot be read"):
        write_report([tmp_path / "nowhere"], tmp_path / "report.html")
    with pytest.raises(SettingError, match="expected at least one"):
        write_report([], tmp_path / "report.html")
    write(tmp_path / "run", rows(5))
    with pytest.raises(RunFolderError, match="cannot be written"):
        write_report([tmp_path / "run"], tmp_path / "run")
    for nameless in ("", ".", "/"):
        with pytest.raises(RunFolderError, match="expected a file"):
            write_report([tmp_path / "run"], Path(nameless))


def test_many_long_runs_stay_small(tmp_path):
    values = np.random.default_rng(0).normal(size=(3000, 40)).round(8).tolist()
    keys = [f"diagnostic {place}" for place in range(40)]
    for name in "abc":
        long = ({"step": 100 * place} | dict(zip(keys, row, strict=True)) for place, row in enumerate(values))
        write(tmp_path / name, long)
    page = write_report([tmp_path / name for name in "abc"], tmp_path / "report.html")
    assert page.stat().st_size < 8e6
    assert len(read(page).plots) == 40


def test_axes_carry_three_to_seven_round_numbers():
    assert axes.spaced("value", np.array([1e-6, 1.0]))["ticktext"][::2] == ["1e-06", "0.0001", "0.01", "1"]
    assert axes.spaced("value", np.array([0.1, 2.0]))["ticktext"] == ["0.1", "0.3", "1"]
    assert "type" not in axes.spaced("value", np.array([0.1, 0.9]))
    assert "type" not in axes.spaced("value", np.array([-1.0, 100.0]))
    for low, high in ((0.8, 0.996), (0.9, 0.95), (0.0, 0.9999), (0.3, 0.99999)):
        assert axes.spans_horizons(np.array([low, high]))
        assert 3 <= len(axes.horizons("value", np.array([low, high]))["ticktext"]) <= 7
    assert not axes.spans_horizons(np.array([0.99, 1.0]))
    assert not axes.spans_horizons(np.array([0.99, 0.9901]))


def test_spikes_do_not_flatten_a_meta_gradient():
    values = np.append(np.linspace(-1, 1, 1000), 1e6)
    low, high = axes.robust("meta-gradient", values)["range"]
    assert (round(low, 1), round(high, 1)) == (-1.5, 1.5)
    assert "range" not in axes.robust("meta-gradient", values[:-1])


def run(name, **columns):
    return RunSeries(name, {}, {key: np.array(column, float) for key, column in columns.items()})


def test_sentences_bend_to_what_is_known():
    assert sentences(run("a", step=[])) == ["Nothing has been logged yet."]
    assert sentences(run("a", step=[100]))[0] == "No episode ended in 100 environment steps."
    fired = run("a", step=[1, 2], return_mean=[5, np.nan], **{"guard/numeric": [1, 0], "guard/range": [3, np.nan]})
    assert sentences(fired)[1] == "Guards stepped in: numeric once and range 3 times."
    assert sentences(fired)[0].startswith(
        "The last episodes that ended had a return of 5; none ended in the last fifth"
    )
    assert comparison([fired, run("b", step=[1])]) == ""
    better = RunSeries(
        "c", {"settings": {"env": "cartpole"}}, {"step": np.array([1.0]), "return_mean": np.array([9.0])}
    )
    assert comparison([fired, better]).startswith("These runs were made in different worlds")
    alike = RunSeries("d", {"settings": {"env": "cartpole"}}, {"step": np.array([1.0]), "return_mean": np.array([5.0])})
    assert comparison([alike, better]) == "c reached the highest return, 9, against 5 (d)."


def test_a_run_that_was_given_another_length_is_measured_by_that(tmp_path):
    folder = write(tmp_path / "longer", rows(300))
    folder.extend(40_000)
    shown = read(write_report([folder.path], tmp_path / "a.html")).text
    assert "of 30k of 40k planned environment steps" in shown
    assert "then 40000" in shown
    assert f"selftune resume {folder.path} --steps 40000" in shown
    folder = write(tmp_path / "shorter", rows(10))
    folder.extend(1000)
    assert "planned" not in read(write_report([folder.path], tmp_path / "b.html")).text
