"""A report: one page about one run or several, read from their folders, that opens anywhere and asks nobody.

Everything is in the file: the data, the style, the script and Plotly. A Content-Security-Policy forbids the page
every request, and every script but those whose hashes it names, so that no text from a run can ever act.
"""

import base64
import hashlib
import html
import json
import shlex
from collections.abc import Iterable, Sequence
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

from plotly.offline import get_plotlyjs

from selftune.errors import SettingError
from selftune.runner.figures import COLOURS, Card, Figures
from selftune.runner.run_folder import write_whole
from selftune.runner.series import RunSeries, read
from selftune.runner.telling import comparison, facts, sentences

_POINTS = 100_000  # of all curves together; about 2 MB beside the 4.8 MB of Plotly


def write_report(folders: Sequence[Path], out: Path) -> Path:
    """Write a page about the runs in `folders`, compared where there are several, to the file `out`.

    Args:
        folders: run folders; each is only read, also while the run goes on.
        out: the page; its folder is made, an older page is replaced.

    Returns:
        `out`.

    Raises:
        RunFolderError: a folder holds no run or a damaged one, or `out` cannot be written.
        SettingError: no folder was given.
    """
    if not folders:
        raise SettingError("write_report got no run folder; expected at least one. Give the folder of a run.")
    return write_whole(Path(out), page(read(folders)).encode())


def page(runs: Sequence[RunSeries]) -> str:
    """The HTML page about `runs`."""
    curves = sum(2 * len(run.columns) for run in runs)
    figures = Figures(runs, points=max(30, min(1000, _POINTS // max(curves, 1))))
    script, plotly = _asset("reporting.js"), get_plotlyjs()
    title = " against ".join(dict.fromkeys(_subject(run) for run in runs))
    return Template(_asset("reporting.html")).substitute(
        policy=html.escape(_policy(script, plotly)),
        title=html.escape(title),
        style=_asset("reporting.css"),
        summary=_summary(runs),
        legend=_legend(runs),
        plots=_plots(figures),
        facts=_facts(runs),
        settings=_settings(runs),
        commands=_commands(runs),
        plotly=plotly,
        script=script,
    )


def _subject(run: RunSeries) -> str:
    parts = [str(run.settings[key]) for key in ("env", "agent") if key in run.settings]
    return " · ".join(parts) or run.name


def _policy(*scripts: str) -> str:
    """Nothing is fetched, and only `scripts` run; Plotly sets styles, and draws to an image on demand."""
    hashes = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes)
    return f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:"


def _summary(runs: Sequence[RunSeries]) -> str:
    if len(runs) == 1:
        return _paragraphs(sentences(runs[0]))
    told = "".join(
        f"<li><b {_colour(place)}>{html.escape(run.name)}</b> {html.escape(' '.join(sentences(run)))}</li>"
        for place, run in enumerate(runs)
    )
    return f'{_paragraphs([comparison(runs)])}<ul class="told">{told}</ul>'


def _legend(runs: Sequence[RunSeries]) -> str:
    """A button for each run, where there is a choice."""
    buttons = "".join(
        f'<button class="run" data-run="{place}" aria-pressed="true" {_colour(place)}>{html.escape(run.name)}</button>'
        for place, run in enumerate(runs)
    )
    return f'<nav aria-label="Show or hide a run">{buttons}</nav>' if len(runs) > 1 else ""


def _paragraphs(texts: Iterable[str]) -> str:
    return "".join(f"<p>{html.escape(text)}</p>" for text in texts if text)


def _colour(place: int) -> str:
    return f'style="--colour: var(--run-{place % COLOURS})"'


def _plots(figures: Figures) -> str:
    returned = "Mean over the episodes that ended in an interval; a gap where none did."
    earned = "No episode has ended: the mean reward of a step."
    slope = (
        "Beneath each value its meta-gradient: the slope of the meta-objective along the metaparameter's "
        "unconstrained coordinate. Where it flickers about zero there is little left to gain."
    )
    changed = (
        "What drifted: values, or factors of what they were. A dotted line in every plot marks a change; what changes "
        "too often for lines to be told apart has none."
    )
    returns = figures.returns()
    sections = (
        ("Return", returned, "wide", returns) if returns else ("Reward", earned, "wide", figures.rewards()),
        ("The world", changed, "half", figures.drift()),
        ("Metaparameters", slope, "half", figures.metaparameters()),
        ("Guards", "How often each has fired since the start.", "half", figures.guards()),
        ("Losses and diagnostics", "", "third", [*(figures.rewards() if returns else []), *figures.others()]),
        ("Throughput", "", "wide", figures.throughput()),
    )
    body = "".join(_section(*section) for section in sections if section[-1])
    if not body:
        return "<section><p>There is nothing to draw yet: no row has been logged.</p></section>"
    window = figures.window()
    means = f"Bold: running mean over {window} rows. Faint: as logged. " if window > 1 else ""
    return f'{body}<p class="hint">{means}Drag to zoom every plot, double-click to zoom out.</p>'


def _section(heading: str, lede: str, layout: str, cards: Sequence[Card]) -> str:
    body = "".join(map(_card, cards))
    return f'<section><h2>{heading}</h2>{_paragraphs([lede])}<div class="{layout}">{body}</div></section>'


def _card(card: Card) -> str:
    title = html.escape(card.title)
    note = f"<small>{html.escape(card.note)}</small>" if card.note else ""
    return (
        f'<figure><figcaption>{title}{note}</figcaption><div class="plot" role="img" '
        f'aria-label="{title} over environment steps" style="height: {card.figure["layout"]["height"]}px">'
        f'<script type="application/json">{_inert(card.figure)}</script></div></figure>'
    )


def _inert(figure: Any) -> str:
    """JSON in which no character can end the element around it."""
    text = json.dumps(figure, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _facts(runs: Sequence[RunSeries]) -> str:
    """A row for each run."""
    told = [facts(run) for run in runs]
    head = "".join(f"<th>{html.escape(name)}</th>" for name in told[0])
    rows = "".join(
        f"<tr><th><b {_colour(place)}>{html.escape(run.name)}</b></th>"
        + "".join(f"<td>{html.escape(value)}</td>" for value in values.values())
        + "</tr>"
        for place, (run, values) in enumerate(zip(runs, told, strict=True))
    )
    return _table(head, rows)


def _settings(runs: Sequence[RunSeries]) -> str:
    """A row for each setting; where runs differ, it is marked and comes first."""
    kept = ("seed", "versions")
    columns = [dict(_flat(run.settings | _extended(run) | {key: run.config.get(key) for key in kept})) for run in runs]
    keys = dict.fromkeys(key for column in columns for key in column)
    differing = {key for key in keys if len({column.get(key) for column in columns}) > 1}
    head = "".join(f"<th>{html.escape(run.name)}</th>" for run in runs)
    rows = "".join(
        f"<tr{' class=differs' if key in differing else ''}><th>{html.escape(key)}</th>"
        + "".join(f"<td>{html.escape(column.get(key, '-'))}</td>" for column in columns)
        + "</tr>"
        for key in sorted(keys, key=lambda key: key not in differing)
    )
    return _table(head, rows)


def _extended(run: RunSeries) -> dict[str, Any]:
    """The length of a run that was made longer."""
    longer = run.config.get("extended")
    return {} if longer is None else {"steps": f"{run.settings.get('steps')}, then {longer}"}


def _flat(settings: dict[str, Any], prefix: str = "") -> Iterable[tuple[str, str]]:
    for key, value in settings.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{name}.")
        else:
            yield name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _table(head: str, rows: str) -> str:
    return f'<div class="scroll"><table><thead><tr><th></th>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def _commands(runs: Sequence[RunSeries]) -> str:
    told = []
    for run in runs:
        told.append(str(run.config.get("command", "-")))
        if (longer := run.config.get("extended")) is not None:
            told.append(shlex.join(["selftune", "resume", run.folder, "--steps", str(longer)]))
    return "".join(f"<pre><code>{html.escape(command)}</code></pre>" for command in told)


def _asset(name: str) -> str:
    return resources.files("selftune.runner").joinpath(name).read_text("utf-8")
