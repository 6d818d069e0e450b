"""What a story says in sentences, and what it says it does not show: all of it from what was run."""

from collections.abc import Iterator, Sequence

import numpy as np

from selftune.scenarios.story import by_interval
from selftune.scenarios.trading import figures
from selftune.scenarios.trading.findings import RARE, SURE, Finding, best_rule, change
from selftune.scenarios.trading.measures import drawdown
from selftune.scenarios.trading.packaged import DEVELOPMENT_ENDS
from selftune.scenarios.trading.trial import BARE, CONTEXTUAL, FIXED, TUNED, Tracks
from selftune.scenarios.trading.walking import Clock
from selftune.scenarios.trading.wording import plain, simple, span


def summary(all_tracks: Sequence[Tracks], found: Sequence[dict[str, Finding]]) -> Iterator[str]:
    """The answer for each trial, and more of the first one.

    Args:
        all_tracks: At least one.
        found: Of each, by the names of its tracks.
    """
    for tracks, by_name in zip(all_tracks, found, strict=True):
        yield _answer(tracks, by_name[TUNED])
    first, by_name = all_tracks[0], found[0]
    if CONTEXTUAL in by_name:
        yield _shown(first, by_name[CONTEXTUAL])
    yield from _beside_others(first, by_name)
    if figures.crosses_the_crisis(first):
        yield _through_the_crisis(first)
    tuned, fixed = by_name[TUNED].follows, by_name[FIXED].follows
    if {"turnover", "turnover_cost"} <= tuned.keys():
        yield (
            f"Trading frequency against volatility: {plain(tuned['turnover'])} for the trader that tunes itself, "
            f"{plain(fixed.get('turnover'))} for the fixed one; the price on turnover, which is the tuned part of it, "
            f"{plain(tuned['turnover_cost'])}{_when_shifted(by_name[TUNED], 'turnover_cost')}."
        )
    yield _how_it_works(all_tracks)
    if BARE in by_name:
        bare = by_name[BARE]
        yield (
            f"Judged by returns as they came, luck included: rank correlation of risk aversion with volatility "
            f"{plain(bare.follows.get('risk_aversion'))}, above the fixed trader {simple(bare.above_fixed)} a year."
        )


def limits(all_tracks: Sequence[Tracks]) -> Iterator[str]:
    """What the evidence does not support."""
    yield "No promise of profit: these are back-tests, on prices of the past."
    yield (
        f"Signals, learning rates, how the judge sees returns and a clock of {', '.join(map(str, Clock()))} rows were "
        f"chosen by hand, on the S&P 500 and the NASDAQ before {DEVELOPMENT_ENDS}."
    )
    yield from map(_chosen, all_tracks)
    yield (
        "Traders that differ in their first policy see one and the same history. Intervals resample blocks of it, ten "
        "at least; with that few, nine in ten of those of mean returns hold what they should, not 95 in a hundred. "
        "Those of correlations with volatility hold it less often, for series as slow as these go together by chance: "
        f"levels are said to go together where at most {RARE:.0%} of cases are as far from 0 when one is shifted in "
        "time. Intervals know nothing of histories that did not happen, and nothing is corrected for the number of "
        "comparisons."
    )
    shorting = " shorting costs nothing but the trade," if _may_sell_short(all_tracks) else ""
    yield f"Cash earns nothing,{shorting} and no order moves the price for the next."
    yield (
        "What assets are believed to earn over cash is stated, not measured; a wrong belief costs the self-tuned and "
        "the fixed trader alike."
    )
    for tracks in all_tracks:
        if tracks.trial.prices.about:
            yield f"{tracks.trial.prices.name}: {tracks.trial.prices.about}"


def _answer(tracks: Tracks, tuned: Finding) -> str:
    risk, changes, gain = tuned.follows.get("risk_aversion"), tuned.follows.get("changes"), tuned.above_fixed
    where, rows = f"On {tracks.trial.prices.name}, {span(tracks)}", len(tracks.times)
    assert gain is not None
    gained = f"that it tuned itself changed the certain return by {simple(gain)} a year against the same trader fixed"
    if rows < SURE:
        return (
            f"{where}, there are {rows} rows: too few to tell anything from luck, for which {SURE} is the least. Rank "
            f"correlation of the trader's risk aversion with volatility {plain(risk)}, of changes over "
            f"{change(tracks)} rows {plain(changes)}; {gained}."
        )
    luck = by_interval(gain, "more than luck explains", "which luck alone may do", "a loss that luck does not explain")
    if risk is None or changes is None:
        return f"{where}, the trader's risk aversion did not move; {gained}, {luck}."
    level = "cannot be said to have followed volatility"
    if tuned.by_chance["risk_aversion"] <= RARE:
        level = f"was {'high' if risk.estimate > 0 else 'low'} when volatility was high"
    moves = by_interval(changes, "went with", "did not go with", "went against")
    return (
        f"{where}, the trader's risk aversion {level} (rank correlation "
        f"{plain(risk)}{_when_shifted(tuned, 'risk_aversion')}), its changes over {change(tracks)} rows {moves} those "
        f"of volatility ({plain(changes)}); {gained}, {luck}."
    )


def _shown(tracks: Tracks, shown: Finding) -> str:
    return (
        f"Shown volatility as a context, and left to learn whether to fear it, risk aversion on "
        f"{tracks.trial.prices.name}: rank correlation {plain(shown.follows.get('risk_aversion'))}"
        f"{_when_shifted(shown, 'risk_aversion')}; of changes {plain(shown.follows.get('changes'))}; certain return "
        f"against the fixed trader {simple(shown.above_fixed)} a year."
    )


def _when_shifted(found: Finding, kind: str) -> str:
    often = found.by_chance.get(kind)
    return "" if often is None else f"; shifted in time it is as far from 0 in {often:.0%} of cases"


def _beside_others(tracks: Tracks, by_name: dict[str, Finding]) -> Iterator[str]:
    tuned, fixed = by_name[TUNED], by_name[FIXED]
    if (best := best_rule(tracks)) and (above := tuned.above_best_rule):
        neither = "Whether the trader beats simple rules cannot be told"
        beaten = by_interval(above, "The trader beat the best simple rule", neither, "Simple rules are hard to beat")
        yield (
            f"{neither if len(tracks.times) < SURE else beaten}: {best} learns nothing, and was worth "
            f"{simple(by_name[best].utility)} a year on {tracks.trial.prices.name}; the trader that tunes itself "
            f"{simple(tuned.utility)}, {simple(above)} against it, and the same one fixed {simple(fixed.utility)}."
        )
    yield (
        f"The trader that tunes itself had {tuned.invested:.0%} of its wealth invested on average, the fixed one "
        f"{fixed.invested:.0%}: part of any difference is how much they held while prices rose or fell."
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


def _how_it_works(all_tracks: Sequence[Tracks]) -> str:
    short = "may sell short" if _may_sell_short(all_tracks) else "never sells short"
    variant = "But for the variant, it" if CONTEXTUAL in all_tracks[0].by_name else "It"
    return (
        f"How it works: the trader holds assets and cash, {short}, always pays costs and slippage, and sees prices one "
        "row late. Its risk aversion and its price on turnover are moved by the gradient of what its wealth turned out "
        f"to be worth on rows it had not learned from. {variant} is not shown volatility. Its judge sees returns about "
        "their mean, with a stated premium in place of the mean: that of so few rows is luck."
    )


def _chosen(tracks: Tracks) -> str:
    """Whether what is reported of some prices was seen when choices were made."""
    name, begins = tracks.trial.prices.name, np.datetime_as_string(tracks.times[0], "D")
    before = tracks.trial.prices.chosen_before
    if before is None:
        same = " Other markets of the same years went into the choices above." if _seen(tracks) else ""
        return (
            f"{name}: nothing was chosen on these prices here, and they are reported from {begins} on.{same} Whatever "
            "is changed after a look at this report is chosen on them."
        )
    if tracks.times[0] >= before:
        return f"{name}: the choices were made on these prices before {before}; they are reported from {begins} on."
    return (
        f"{name}: the choices were made on these prices before {before}, and they are reported from {begins} on. What "
        "is said of the rows between is no evidence: those are the rows that were looked at."
    )


def _seen(tracks: Tracks) -> bool:
    return bool(tracks.times[0] < DEVELOPMENT_ENDS)


def _may_sell_short(all_tracks: Sequence[Tracks]) -> bool:
    return any(tracks.trial.market.short > 0 for tracks in all_tracks)
