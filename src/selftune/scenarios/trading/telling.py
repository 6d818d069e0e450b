"""The story: what was tried, what came out, and what it does not show."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from selftune.experiments.statistics import Interval
from selftune.scenarios.story import Ask, Picture, Say, Story, Table
from selftune.scenarios.trading import figures
from selftune.scenarios.trading.findings import Finding, finding
from selftune.scenarios.trading.market import Market
from selftune.scenarios.trading.packaged import SOURCES, packaged
from selftune.scenarios.trading.teaching import Goal
from selftune.scenarios.trading.trial import BARE, CONTEXTUAL, FIXED, TUNED, Tracks, Trial, tried
from selftune.scenarios.trading.walking import Clock

DEVELOPMENT_ENDS = np.datetime64("2007-01-01")
"""Everything that was chosen by hand was chosen on the two indices before this day."""
WORDS = {"risk_aversion": "risk aversion", "turnover_cost": "price on turnover"}


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
    names = (TUNED, FIXED) if ask.quick else (TUNED, FIXED, CONTEXTUAL, BARE)
    return story([tried(trial, names, 4 if ask.quick else 8, ask.seed, say) for trial in trials(ask)])


def story(all_tracks: list[Tracks], resamples: int = 1000) -> Story:
    """The story of some trials.

    Args:
        all_tracks: At least one; the first is what the answer is about.
        resamples: Of each interval.
    """
    found = [{name: finding(tracks, name, resamples) for name in tracks.by_name} for tracks in all_tracks]
    tables, pictures, rows = [], [], []
    for tracks, by_name in zip(all_tracks, found, strict=True):
        tables += [_comparison(tracks, by_name), _following(tracks, by_name)]
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
    first, tuned = all_tracks[0], found[0][TUNED]
    risk, gain = tuned.follows["risk_aversion"], tuned.above_fixed
    assert gain is not None
    yield (
        f"{_verdict(risk, 'Risk aversion rose and fell with volatility', 'Risk aversion moved against volatility')}: "
        f"rank correlation {_plain(risk)} on {first.trial.prices.name}, {_span(first)}; and out of sample "
        f"{_gain(gain)} the same trader with fixed settings, {_points(gain)} a year of certain return."
    )
    yield (
        "The trader buys, sells short and holds cash, always pays costs and slippage, and decides on prices that are "
        "one period old. Nothing told it to fear volatility more than before: its own risk aversion and its price on "
        "turnover are moved by the gradient of what its wealth turned out to be worth on days it had not learned from."
    )
    if (cost := tuned.follows.get("turnover_cost")) and (trades := tuned.follows.get("turnover")):
        yield (
            f"Trading frequency: turnover against volatility {_plain(trades)}, its price on turnover {_plain(cost)}; "
            f"the same trader fixed: turnover {_plain(found[0][FIXED].follows['turnover'])}."
        )
    for tracks, by_name in list(zip(all_tracks, found, strict=True))[1:]:
        other, gained = by_name[TUNED].follows["risk_aversion"], by_name[TUNED].above_fixed
        assert gained is not None
        yield (
            f"On {tracks.trial.prices.name}, {_span(tracks)}: rank correlation of risk aversion with volatility "
            f"{_plain(other)}; utility against the fixed trader {_points(gained)} a year."
        )
    if BARE in found[0]:
        bare = found[0][BARE]
        assert bare.above_fixed is not None
        yield (
            f"Why it works where it works: the judge sees returns about their mean. Judged by returns as they came, "
            f"risk aversion follows the luck of the last month: {_plain(bare.follows['risk_aversion'])} with volatility, "
            f"{_points(bare.above_fixed)} a year against the fixed trader."
        )


def _limits(all_tracks: list[Tracks]) -> Iterator[str]:
    yield "No promise of profit: these are back-tests, on prices that everyone knows by now."
    yield (
        "Everything chosen by hand (signals, windows, learning rates, how the judge sees returns) was chosen on the two "
        "indices before 2007; the numbers here begin with 2007, but for EURUSD, of which nothing was used before."
    )
    yield (
        "Traders that differ in their first policy see the same history. Intervals resample half-years of it; they do not "
        "know of histories that did not happen, and a comparison with a dozen rivals is not corrected for."
    )
    yield "Cash earns nothing, shorting costs nothing but the trade, and no order moves the market for others."
    yield (
        "That an asset earns 5% a year over cash (EURUSD: nothing) is believed, not measured; a wrong belief costs "
        "self-tuned and fixed trader alike."
    )
    for tracks in all_tracks:
        yield f"{tracks.trial.prices.name}: {SOURCES[tracks.trial.prices.name].provenance}"
        if tracks.trial.prices.name == "stocks":
            yield (
                "Five survivors: whoever holds them did well. Their returns say nothing of stock picking, and buy and hold "
                "is flattered most; only differences between traders of the same five can be read."
            )


def _comparison(tracks: Tracks, by_name: dict[str, Finding]) -> Table:
    columns = (
        "",
        "utility a year",
        "against fixed",
        "growth",
        "volatility",
        "Sharpe",
        "Sortino",
        "drawdown",
        "turnover a year",
    )
    rows = tuple(
        (
            name,
            _percent(one.utility),
            "" if one.above_fixed is None else _percent(one.above_fixed),
            f"{one.growth:.1%}",
            f"{one.volatility:.1%}",
            _plain(one.sharpe),
            f"{one.sortino:.2f}",
            _percent(one.drawdown),
            f"{one.turnover:.1f}",
        )
        for name, one in by_name.items()
    )
    market, aversion = tracks.trial.market, tracks.trial.goal.aversion
    note = (
        f"{_span(tracks)}. Utility: the certain return worth as much to someone of relative risk aversion {aversion:g}. "
        f"Costs {1e4 * market.cost:g} basis points and {market.slippage:.0%} of a period's volatility on every trade; "
        "95% intervals over resampled half-years; means over first policies."
    )
    return Table(f"{tracks.trial.prices.name}: how they compare", columns, rows, note)


def _following(tracks: Tracks, by_name: dict[str, Finding]) -> Table:
    kinds = ("risk_aversion", "turnover_cost", "turnover", "invested")
    rows = tuple(
        (name, *(_plain(one.follows[kind]) if kind in one.follows else "" for kind in kinds))
        for name, one in by_name.items()
    )
    heads = ("", *(WORDS.get(kind, kind) for kind in kinds))
    note = "Spearman's rank correlation, one value a period, with volatility realised over the 20 rows before."
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


def _verdict(risk: Interval, rises: str, falls: str) -> str:
    if risk.low > 0:
        return rises
    return falls if risk.high < 0 else "Whether risk aversion followed volatility cannot be told"


def _gain(gain: Interval) -> str:
    if gain.low > 0:
        return "the trader was worth more than"
    return "it was worth less than" if gain.high < 0 else "it cannot be told apart from"


def _plain(value: Interval) -> str:
    return f"{value.estimate:.2f} ({value.low:.2f} to {value.high:.2f})"


def _percent(value: Interval) -> str:
    return f"{value.estimate:.1%} ({value.low:.1%} to {value.high:.1%})"


def _points(value: Interval) -> str:
    return f"{100 * value.estimate:+.1f} percentage points ({100 * value.low:+.1f} to {100 * value.high:+.1f})"
