"""What is said of intervals, so that no verdict says more than they bear."""

from collections.abc import Mapping

from selftune.envs.worlds.tutoring import LASTS
from selftune.experiments.statistics import Interval
from selftune.scenarios.story import by_interval


def so(times: float | None) -> str:
    """How many times as many, where there is a ratio."""
    return "" if times is None else f", {times:.1f} times as many"


def owed(tuned: Interval | None) -> str:
    """What the tutor's pupils owe to self-tuning, by the ratio to the same tutor fixed."""
    watching = "What is above the fixed pace is owed to watching the pupil, and to knowing how pupils learn"
    return by_interval(
        tuned,
        f"{watching}, and to self-tuning too",
        f"{watching}; that self-tuning has a part in it cannot be said",
        f"{watching}, not to self-tuning",
        than=1.0,
    )


def righted(told: Interval | None) -> str:
    """What self-tuning makes of wrong constants, by the ratio to the tutor who keeps them."""
    return by_interval(
        told,
        "self-tuning recovers a part",
        "self-tuning cannot be said to recover anything",
        "self-tuning leads still farther away",
        than=1.0,
    )


def moves(illness: Mapping[str, float] | None, spurt: Mapping[str, float] | None) -> str:
    """Whether the pace follows a pupil whose rate of learning changes."""
    fell, rose = illness is not None and illness["high"] < 1.0, spurt is not None and spurt["low"] > 1.0
    verdict = {
        (True, True): "rises and falls with the pupil",
        (True, False): "falls with the pupil, but cannot be said to rise",
        (False, True): "rises with the pupil, but cannot be said to fall",
        (False, False): "cannot be said to rise or fall with the pupil",
    }[fell, rose]
    events = {"an illness": illness, "a spurt": spurt}
    after = [
        f"after {LASTS} lessons of {name} it is {interval(told)} times what it was" if told else f"nobody met {name}"
        for name, told in events.items()
    ]
    return f"The pace {verdict}: {'; '.join(after)}"


def interval(told: Mapping[str, float] | None) -> str:
    """An estimate with its interval, as a row has them."""
    return "-" if told is None else cell(told["estimate"], told["low"], told["high"])


def times(told: Interval | None) -> str:
    """A ratio of what was mastered, with its interval."""
    if told is None:
        return "what has no ratio to the other's, which may be nothing,"
    return f"{told.estimate:.2f} times as much (95 % interval {told.low:.2f} to {told.high:.2f})"


def cell(estimate: float | None, low: float | None, high: float | None) -> str:
    """An estimate with its interval; a dash where there is none."""
    return "-" if estimate is None else f"{estimate:.2f} [{low:.2f}, {high:.2f}]"
