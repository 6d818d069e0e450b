"""What tests of trading share."""

import numpy as np

from selftune.scenarios.trading.prices import Prices


def made_up(rows=200, assets=2, seed=0):
    """Prices of a random walk whose volatility doubles half-way: made up, and only to see the machine turn."""
    chance = np.random.default_rng(seed)
    deviation = np.where(np.arange(rows) < rows // 2, 0.01, 0.02)[:, None]
    values = 100.0 * np.exp(np.cumsum(deviation * chance.standard_normal((rows, assets)), axis=0))
    times = np.datetime64("2020-01-01", "s") + np.arange(rows) * np.timedelta64(1, "D")
    return Prices("made up", times, tuple("ABCDE"[:assets]), values)
