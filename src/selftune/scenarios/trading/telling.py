"""The story: what was tried, what came out, and what it does not show."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from selftune.experiments.statistics import Interval
from selftune.scenarios.story import Ask, Picture, Say, Story, Table
from selftune.scenarios.trading import figures
from selftune.scenarios.trading.findings import Finding, finding
from selftune.scenarios.trading.market import Market
from selftune.scenarios.trading.measures import drawdown
from selftune.scenarios.trading.packaged import packaged
from selftune.scenarios.trading.teaching import Goal
from selftune.scenarios.trading.trial import BARE, CONTEXTUAL, FIXED, TUNED, Tracks, Trial, traders, tried
from selftune.scenarios.trading.walking import Clock

DEVELOPMENT_ENDS = np.datetime64("2007-01-01")
"""Everything that was chosen by hand was chosen on the two indices before this day."""
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
    """
    say(f"resampling for the intervals: {sum(len(tracks.by_name) for tracks in all_tracks)} ways to trade")
    found = [{name: finding(tracks, name, resamples) for name in tracks.by_name} for tracks in all_tracks]
    tables, pictures, rows = [], [], []
    for tracks, by_name in zip(all_tracks, found, strict=True):
        tables += [*_comparison(tracks, by_name), _following(tracks, by_name)]
        pictures += _pictures(tracks)
        rows += _rows(tracks, by_name)
    return Story(
        title="Trading: does an agent's caution follow the market?",
        summary=tuple(_summary(all_tracks, found)),
        tables=tuple(tables),
        pictures=tuple(pictures),
        limits=tuple(_limits(all_tracks)),
        rows=tuple(rows),
    )


def _summary(all_tracks: list[Tracks], found: list[dict[str, Finding]]) -> Iterator[str]:
    for tracks, by_name in zip(all_tracks, found, strict=True):
        yield _answer(tracks, by_name)
    first, by_name = all_tracks[0], found[0]
    if CONTEXTUAL in by_name:
        shown = by_name[CONTEXTUAL]
        yield (
            f"Shown volatility as a context, and left to learn whether to fear it, risk aversion on "
            f"{first.trial.prices.name}: rank correlation {_plain(shown.follows['risk_aversion'])} (as high in "
            f"{shown.by_chance:.0%} of cases when shifted), of changes {_plain(shown.follows['changes'])}; certain "
            f"return against the fixed trader {_percent(shown.above_fixed)} a year."
        )
    tuned, fixed = by_name[TUNED], by_name[FIXED]
    best = max(by_name.keys() - traders(first.trial).keys(), key=lambda name: by_name[name].utility)
    yield (
        f"Simple rules are hard to beat: {best} learns nothing, and was worth {_percent(by_name[best].utility)} a "
        f"year on {first.trial.prices.name}; the trader that tunes itself {_percent(tuned.utility)}, the same one "
        f"fixed {_percent(fixed.utility)}."
    )
    yield (
        f"The trader that tunes itself had {tuned.invested:.0%} of its wealth invested on average, the fixed one "
        f"{fixed.invested:.0%}: part of any difference is how much they held while prices rose or fell."
    )
    if figures.crosses_the_crisis(first):
        yield _through_the_crisis(first)
    if {"turnover", "turnover_cost"} <= tuned.follows.keys():
        yield (
            f"Trading frequency against volatility: {_plain(tuned.follows['turnover'])} for the trader that tunes "
            f"itself, {_plain(fixed.follows['turnover'])} for the fixed one; the price on turnover, which is the "
            f"tuned part of it, {_plain(tuned.follows['turnover_cost'])}."
        )
    yield (
        "How it works: the trader holds assets and cash, may sell short, always pays costs and slippage, and sees "
        "prices one period late. Its risk aversion and its price on turnover are moved by the gradient of what its "
        "wealth turned out to be worth on rows it had not learned from. But for the variant, it is not shown "
        "volatility. Its judge sees returns about their mean, with a stated premium in place of the mean: that of a "
        "month is luck."
    )
    if BARE in by_name:
        bare = by_name[BARE]
        yield (
            f"Judged by returns as they came, luck included: rank correlation of risk aversion with volatility "
            f"{_plain(bare.follows['risk_aversion'])}, above the fixed trader {_percent(bare.above_fixed)} a year."
        )


def _answer(tracks: Tracks, by_name: dict[str, Finding]) -> str:
    tuned = by_name[TUNED]
    risk, changes, gain = tuned.follows["risk_aversion"], tuned.follows["changes"], tuned.above_fixed
    assert gain is not None
    assert tuned.by_chance is not None
    level = _sign(
        risk,
        "was high when volatility was high",
        "cannot be said to have followed volatility",
        "was low when volatility was high",
    )
    moves = _sign(changes, "went with", "did not go with", "went against")
    luck = _sign(gain, "more than luck explains", "which luck alone may do", "a loss that luck does not explain")
    return (
        f"On {tracks.trial.prices.name}, {_span(tracks)}, the trader's risk aversion {level} (rank correlation "
        f"{_plain(risk)}; shifted in time it is as high in {tuned.by_chance:.0%} of cases), its changes over a quarter "
        f"{moves} those of volatility ({_plain(changes)}); that it tuned itself changed the certain return by "
        f"{_percent(gain)} a year against the same trader fixed, {luck}."
    )


def _through_the_crisis(tracks: Tracks) -> str:
    track = tracks.by_name[TUNED]
    before, after = (int(np.searchsorted(tracks.times, day)) for day in figures.CRISIS)
    risk = track.eta["risk_aversion"].mean(axis=0)
    invested = track.invested.mean(axis=0)
    return (
        f"Through the crisis of 2008, from {figures.CRISIS[0]} to {figures.CRISIS[1]}: its risk aversion went from "
        f"{risk[before]:.2f} to {risk[after]:.2f}, what it had invested from {invested[before]:.0%} to "
        f"{invested[after]:.0%}, and its wealth fell by {drawdown(track.net[:, before:after]).mean():.0%} at worst."
    )


def _limits(all_tracks: list[Tracks]) -> Iterator[str]:
    yield "No promise of profit: these are back-tests, on prices that everyone knows by now."
    yield (
        "Everything chosen by hand (signals, windows, learning rates, how the judge sees returns) was chosen on the "
        "two indices before 2007. What is reported of the indices begins there; nothing was chosen on other prices."
    )
    yield (
        "Traders that differ in their first policy see one and the same history. Intervals resample long blocks of it; "
        "they know nothing of histories that did not happen, and nothing is corrected for the number of comparisons."
    )
    yield "Cash earns nothing, shorting costs nothing but the trade, and no order moves the price for the next."
    yield (
        "What assets are believed to earn over cash is stated, not measured; a wrong belief costs the self-tuned and "
        "the fixed trader alike."
    )
    for tracks in all_tracks:
        if tracks.trial.prices.about:
            yield f"{tracks.trial.prices.name}: {tracks.trial.prices.about}"


def _comparison(tracks: Tracks, by_name: dict[str, Finding]) -> tuple[Table, Table]:
    name, market, goal = tracks.trial.prices.name, tracks.trial.market, tracks.trial.goal
    worth = tuple(
        (way, _percent(one.utility), _percent(one.above_fixed), f"{one.growth:.1%}", f"{one.invested:.0%}")
        for way, one in by_name.items()
    )
    risk = tuple(
        (way, _plain(one.sharpe), _plain(one.sortino), _percent(one.drawdown), _plain(one.turnover, 1))
        for way, one in by_name.items()
    )
    note = (
        f"{_span(tracks)}. The certain return a year that is worth as much to someone of relative risk aversion "
        f"{goal.aversion:g}, after costs: {1e4 * market.cost:g} basis points and {market.slippage:.0%} of a period's "
        "volatility on every trade. Means over first policies, with 95% intervals over resampled blocks."
    )
    return (
        Table(f"{name}: what it was worth", ("", "utility", "above fixed", "growth", "invested"), worth, note),
        Table(
            f"{name}: risk", ("", "Sharpe", "Sortino", "drawdown", "turnover a year"), risk, "The same rows and blocks."
        ),
    )


def _following(tracks: Tracks, by_name: dict[str, Finding]) -> Table:
    kinds = ("risk_aversion", "changes", "turnover_cost", "turnover", "invested")
    rows = tuple(
        (name, *(_plain(one.follows[kind]) if kind in one.follows else "" for kind in kinds))
        for name, one in by_name.items()
    )
    heads = ("", *(WORDS.get(kind, kind) for kind in kinds))
    note = (
        "Spearman's rank correlation, one value a period, with volatility realised over the 20 rows before; changes "
        "are those of both over 60 rows."
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


def _span(tracks: Tracks) -> str:
    return f"{np.datetime_as_string(tracks.times[0], 'D')} to {np.datetime_as_string(tracks.times[-1], 'D')}"


def _sign(value: Interval, above: str, neither: str, below: str) -> str:
    return above if value.low > 0 else below if value.high < 0 else neither


def _plain(value: Interval, digits: int = 2) -> str:
    return f"{value.estimate:.{digits}f} ({value.low:.{digits}f} to {value.high:.{digits}f})"


def _percent(value: Interval | None) -> str:
    return "" if value is None else f"{value.estimate:.1%} ({value.low:.1%} to {value.high:.1%})"
