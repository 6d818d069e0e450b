"""Trading: risk aversion and the price on turnover follow what happens in the market, on real prices, walking forward.

trial  = Trial(packaged("indices"), Market(), since=DEVELOPMENT_ENDS)
tracks = tried(trial)
found  = finding(tracks, "self-tuned")       numbers and their intervals
told   = story([tracks])                     sentences, tables and pictures
"""

from selftune.scenarios.trading.findings import Finding, finding
from selftune.scenarios.trading.market import Market
from selftune.scenarios.trading.packaged import DEVELOPMENT_ENDS, SOURCES, packaged
from selftune.scenarios.trading.prices import Prices, checked, gathered
from selftune.scenarios.trading.reading import read_csv
from selftune.scenarios.trading.teaching import Goal
from selftune.scenarios.trading.telling import story
from selftune.scenarios.trading.trial import FIXED, TUNED, Tracks, Trial, tried
from selftune.scenarios.trading.walking import Clock

__all__ = [
    "DEVELOPMENT_ENDS",
    "FIXED",
    "SOURCES",
    "TUNED",
    "Clock",
    "Finding",
    "Goal",
    "Market",
    "Prices",
    "Tracks",
    "Trial",
    "checked",
    "finding",
    "gathered",
    "packaged",
    "read_csv",
    "story",
    "tried",
]
