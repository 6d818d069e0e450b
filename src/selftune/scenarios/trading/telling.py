"""The story: what was tried, what came out, and what it does not show."""

from collections.abc import Iterator
from typing import Any

from selftune.errors import SettingError
from selftune.experiments.statistics import Interval
from selftune.scenarios.story import Ask, Picture, Say, Story, Table
from selftune.scenarios.trading import figures, sentences
from selftune.scenarios.trading.findings import Finding, block, change, finding
from selftune.scenarios.trading.market import Market
from selftune.scenarios.trading.packaged import DEVELOPMENT_ENDS, packaged
from selftune.scenarios.trading.teaching import Goal
from selftune.scenarios.trading.trial import BARE, CONTEXTUAL, FIXED, TUNED, Tracks, Trial, tried
from selftune.scenarios.trading.walking import Clock
from selftune.scenarios.trading.wording import percent, plain, simple, span

WORDS = {"risk_aversion": "risk aversion", "changes": "its changes", "turnover_cost": "price on turnover"}


def trials(ask: Ask) -> list[Trial]:
    """What is tried: the indices alone if it is to be quick."""
    indices, daily = packaged("indices"), Goal()
    shown = [Trial(indices, Market(), Clock(), daily, DEVELOPMENT_ENDS)]
    if not ask.quick:
        eurusd = packaged("eurusd")
        hourly = Goal(premium=0.0, periods_per_year=round(eurusd.periods_per_year))
        shown += [
            Trial(packaged("stocks"), Market(), Clock(), daily, DEVELOPMENT_ENDS),
            Trial(eurusd, Market(cost=0.00005, short=1.0), Clock(24, 480, 96), hourly),
        ]
    return shown


def tell(ask: Ask, say: Say = print) -> Story:
    """Run the trials and say what came out.

    Args:
        ask: How much of it.
        say: Where a line goes whenever something is known.

    Raises:
        MissingExtraError: A package that ships prices is not installed.
    """
    names = (TUNED, FIXED, CONTEXTUAL) if ask.quick else (TUNED, FIXED, CONTEXTUAL, BARE)
    return story([tried(trial, names, 4 if ask.quick else 8, ask.seed, say) for trial in trials(ask)], say=say)


def story(all_tracks: list[Tracks], resamples: int = 1000, say: Say = print) -> Story:
    """The story of some trials.

    Args:
        all_tracks: At least one; the first is what the answer is about.
        resamples: Of each interval.
        say: Where a line goes whenever something is known.

    Raises:
        SettingError: There is no trader that tunes itself among the tracks, or not the same one fixed.
    """
    for tracks in all_tracks:
        if missing := {TUNED, FIXED} - tracks.by_name.keys():
            raise SettingError(
                f"{tracks.trial.prices.name}: got tracks of {', '.join(tracks.by_name)}; expected {min(missing)!r} "
                f"among them, for a story compares {TUNED!r} with {FIXED!r}. Name both in `tried(trial, names=…)`."
            )
    say(f"resampling for the intervals: {sum(len(tracks.by_name) for tracks in all_tracks)} ways to trade")
    found = [{name: finding(tracks, name, resamples) for name in tracks.by_name} for tracks in all_tracks]
    tables, pictures, rows = [], [], []
    for tracks, by_name in zip(all_tracks, found, strict=True):
        tables += [*_comparison(tracks, by_name), _following(tracks, by_name)]
        pictures += _pictures(tracks)
        rows += _rows(tracks, by_name)
    return Story(
        title="Trading: does an agent's caution follow the market?",
        summary=tuple(sentences.summary(all_tracks, found)),
        tables=tuple(tables),
        pictures=tuple(pictures),
        limits=tuple(sentences.limits(all_tracks)),
        rows=tuple(rows),
    )


def _comparison(tracks: Tracks, by_name: dict[str, Finding]) -> tuple[Table, Table]:
    name = tracks.trial.prices.name
    worth = tuple(
        (way, simple(one.utility), simple(one.above_fixed), f"{one.growth:.1%}", f"{one.invested:.0%}")
        for way, one in by_name.items()
    )
    risk = tuple(
        (way, plain(one.sharpe), plain(one.sortino), percent(one.drawdown), plain(one.turnover, 1))
        for way, one in by_name.items()
    )
    heads = ("", "certain return", "above fixed", "growth", "invested")
    return (
        Table(f"{name}: what it was worth", heads, worth, _worth_note(tracks)),
        Table(
            f"{name}: risk", ("", "Sharpe", "Sortino", "drawdown", "turnover a year"), risk, "The same rows and blocks."
        ),
    )


def _worth_note(tracks: Tracks) -> str:
    (_, market, clock, goal, _), rows = tracks.trial, len(tracks.times)
    together = block(rows)
    return (
        f"{span(tracks)}. The certain return a year that is worth as much to someone of relative risk aversion "
        f"{goal.aversion:g}, after costs: {1e4 * market.cost:g} basis points and {market.slippage:.0%} of a row's "
        f"volatility on every trade. Up to {market.short:.0%} of the wealth may be sold short. Traders learn every "
        f"{clock.period} rows from the last {clock.window}, and are judged by {clock.horizon}. Means over first "
        f"policies, with 95% intervals over resampled blocks of {together} rows, {rows // together} of {rows:,} rows; "
        f"{goal.periods_per_year:g} rows count as a year."
    )


def _following(tracks: Tracks, by_name: dict[str, Finding]) -> Table:
    kinds = ("risk_aversion", "changes", "turnover_cost", "turnover", "invested")
    rows = tuple(
        (
            name,
            *(
                f"{plain(one.follows[kind])}; {one.by_chance[kind]:.0%}" if kind in one.follows else ""
                for kind in kinds
            ),
        )
        for name, one in by_name.items()
    )
    heads = ("", *(WORDS.get(kind, kind) for kind in kinds))
    note = (
        "Spearman's rank correlation, one value a period, with volatility realised over the 20 rows before; changes "
        f"are those of both over {change(tracks)} rows. Last, how often it is as far from 0 when one of the two is "
        "shifted in time."
    )
    return Table(f"{tracks.trial.prices.name}: what followed volatility", heads, rows, note)


def _pictures(tracks: Tracks) -> list[Picture]:
    return [figures.followed(tracks), figures.wealth(tracks), figures.falls(tracks)]


def _rows(tracks: Tracks, by_name: dict[str, Finding]) -> Iterator[dict[str, Any]]:
    for name, one in by_name.items():
        told = {
            field: value._asdict() if isinstance(value, Interval) else value for field, value in one._asdict().items()
        }
        told["follows"] = {kind: value._asdict() for kind, value in one.follows.items()}
        yield {
            "prices": tracks.trial.prices.name,
            "from": str(tracks.times[0]),
            "to": str(tracks.times[-1]),
            "name": name,
        } | told
