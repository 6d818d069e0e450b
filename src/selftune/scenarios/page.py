"""A story on one page that opens anywhere, and its figures for machines beside it."""

import html
import json
from collections.abc import Iterable
from importlib import resources
from pathlib import Path

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from selftune.experiments.records import circumstances
from selftune.runner import strict_json
from selftune.runner.replacing import write_whole
from selftune.scenarios.story import Picture, Story, Table

COLOURS = ("#0072b2", "#d55e00", "#00875f", "#b5548c", "#a07000", "#4b3fb0", "#882255", "#6b6b6b")
"""Of methods, in their order; told apart by the colour-blind too."""
OWN_STYLE = "section figure { margin-bottom: 16px; } .wide figcaption { display: block; } td { white-space: nowrap; }"
GREY, FAINT = "#808890", "rgba(128,136,144,0.22)"


def write_story(story: Story, folder: Path, command: str) -> Path:
    """Write `report.html` and `results.json`.

    Args:
        story: What came out.
        folder: Where they go; made where it is missing.
        command: What tells it again.

    Returns:
        The page.
    """
    folder.mkdir(parents=True, exist_ok=True)
    told = {"command": command, **circumstances(), "rows": [dict(row) for row in story.rows]}
    text = json.dumps(strict_json.plain(told), indent=1, allow_nan=False) + "\n"
    write_whole(folder / "results.json", text.encode())
    return write_whole(folder / "report.html", page(story, command).encode())


def page(story: Story, command: str) -> str:
    """The page as text."""
    summary = "".join(f"<p>{html.escape(sentence)}</p>" for sentence in story.summary)
    limits = "".join(f"<li>{html.escape(sentence)}</li>" for sentence in story.limits)
    style = (resources.files("selftune.runner") / "reporting.css").read_text("utf-8")
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(story.title)}</title>
<style>{style}{OWN_STYLE}</style>
<script>{get_plotlyjs()}</script></head>
<body><header><h1>{html.escape(story.title)}</h1>{summary}</header>
<main>{"".join(_table(table) for table in story.tables)}
<section class="wide">{"".join(_pictures(story.pictures))}</section>
<section><h2>What this does not show</h2><ul class="told">{limits}</ul></section>
<section><h2>Command</h2><pre>{html.escape(command)}</pre></section>
</main></body></html>
"""


def _table(table: Table) -> str:
    head = "".join(f"<th>{html.escape(column)}</th>" for column in table.columns)
    rows = "".join(
        f"<tr><th>{html.escape(first)}</th>{''.join(f'<td>{html.escape(cell)}</td>' for cell in rest)}</tr>"
        for first, *rest in table.rows
    )
    note = f"<p>{html.escape(table.note)}</p>" if table.note else ""
    body = f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
    return f"<section><h2>{html.escape(table.title)}</h2>{note}{body}</section>"


def _pictures(pictures: Iterable[Picture]) -> Iterable[str]:
    for picture in pictures:
        drawn = _seen_in_the_dark(picture.figure).to_html(
            full_html=False, include_plotlyjs=False, config={"displayModeBar": False}
        )
        told = f"{html.escape(picture.title)}<small>{html.escape(picture.caption)}</small>"
        yield f"<figure><figcaption>{told}</figcaption>{drawn}</figure>"


def _seen_in_the_dark(figure: go.Figure) -> go.Figure:
    """Without a ground of its own, and in greys that are read on white and on black."""
    figure = go.Figure(figure).update_layout(
        template="none", paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)", font_color=GREY
    )
    return figure.update_xaxes(gridcolor=FAINT, zerolinecolor=FAINT).update_yaxes(gridcolor=FAINT, zerolinecolor=FAINT)
