"""A trader that tunes its own risk aversion and price on turnover, beside the same one fixed and simple rules."""

from pathlib import Path

from selftune.scenarios import write_story
from selftune.scenarios.trading import DEVELOPMENT_ENDS, TUNED, Clock, Goal, Market, Trial, packaged, story, tried

HERE = Path(__file__).parent

PRICES = packaged("indices")
MARKET = Market(cost=0.0005, slippage=0.05, short=0.25)
CLOCK = Clock(period=5, window=250, horizon=20)
GOAL = Goal(aversion=3.0, premium=0.05, periods_per_year=PRICES.periods_per_year)
SINCE = DEVELOPMENT_ENDS  # results are counted from here on: on these prices, all was chosen by those before
SEEDS = 2


def main() -> None:
    """Walk forward through the prices, and write what came out."""
    tracks = tried(Trial(PRICES, MARKET, CLOCK, GOAL, SINCE), seeds=SEEDS)
    told = story([tracks])
    print(*told.summary, sep="\n\n")
    trader = tracks.by_name[TUNED]
    print(f"\non {tracks.times[-1]}: invested {trader.invested[:, -1].mean():.0%} of the wealth")
    for name, values in trader.eta.items():
        print(f"{name}: {values[:, 0].mean():.4g} at first, {values[:, -1].mean():.4g} now")
    print(f"report: {write_story(told, HERE / 'report', 'python main.py')}")


if __name__ == "__main__":
    main()
