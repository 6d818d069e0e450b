"""Figures of a bench on one page that opens anywhere."""

import html
from collections.abc import Iterable
from pathlib import Path

import plotly.graph_objects as go

from selftune.errors import SettingError
from selftune.runner.run_folder import write_whole


def page_beside(results: Path) -> Path:
    """Where the page of some results goes.

    Raises:
        SettingError: The results themselves are to go there, or have no name.
    """
    if not results.name or results.suffix == ".html":
        raise SettingError(
            f"--out got {results}: results are JSON and their page goes beside them; expected FILE.json."
        )
    return results.with_suffix(".html")


def write_page(title: str, figures: Iterable[tuple[str, go.Figure]], out: Path) -> Path:
    """Write figures, each under its own heading, with all that is needed to see them.

    Args:
        title: Of the page.
        figures: Heading and figure.
        out: The page.

    Returns:
        `out`.
    """
    parts = []
    for heading, figure in figures:
        shown = figure.to_html(full_html=False, include_plotlyjs=not parts)
        parts.append(f"<h2>{html.escape(heading)}</h2>{shown}")
    body = "".join(parts) or "<p>Nothing was measured.</p>"
    page = f'<!doctype html><meta charset="utf-8"><title>{html.escape(title)}</title>{body}'
    return write_whole(out, page.encode())
