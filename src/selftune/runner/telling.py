"""What became of a run, in plain sentences computed from its numbers."""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from selftune.runner.readable import count, duration, finite, has_horizon, label, number
from selftune.runner.series import RunSeries


def final_return(run: RunSeries) -> float:
    """Mean return of the episodes that ended in the last fifth of the steps; NaN where none did."""
    return _final(run, "return_mean", run.columns.get("return_episodes", np.ones_like(run.steps)))


def final_reward(run: RunSeries) -> float:
    """Mean reward of a step in the last fifth of the steps; NaN where no row tells it."""
    return _final(run, "reward_mean", np.diff(run.steps, prepend=0.0))


def _final(run: RunSeries, name: str, weights: Float[np.ndarray, " rows"]) -> float:
    """The mean of a column over the rows of the last fifth of the steps."""
    values = run.columns.get(name, np.full_like(run.steps, np.nan))
    late = np.isfinite(values) & (run.steps > 0.8 * max(run.steps[-1:], default=0.0))
    return float(np.average(values[late], weights=weights[late])) if weights[late].sum() > 0 else math.nan


def best_return(run: RunSeries) -> float:
    """The highest logged return."""
    return float(np.nanmax(run.columns["return_mean"])) if "return_mean" in run.columns else math.nan


def facts(run: RunSeries) -> dict[str, str]:
    """The run in one row of a table."""
    time = run.columns.get("wall_time", np.zeros(0))
    return {
        "return, last fifth": number(final_return(run)),
        "best return": number(best_return(run)),
        "environment steps": f"{run.steps[-1]:,.0f}" if run.steps.size else "0",
        "time": duration(float(np.nanmax(time))) if time.size else "-",
        "guards fired": f"{sum(fired(run).values()):,}",
    }


def fired(run: RunSeries) -> dict[str, int]:
    """How often each guard fired."""
    return {name: round(float(np.nansum(column))) for name, column in run.named("guard")}


def sentences(run: RunSeries) -> list[str]:
    """The return, the metaparameters, the guards: a sentence each."""
    if not run.steps.size:
        return ["Nothing has been logged yet."]
    return [_returned(run), *_moved(run), _guarded(run)]


def comparison(runs: Sequence[RunSeries]) -> str:
    """Which run reached the highest return, and how far the others came."""
    if len({(run.settings.get("env"), str(run.settings.get("drift"))) for run in runs}) > 1:
        return "These runs were made in different worlds; their returns cannot be compared."
    ranked = sorted((run for run in runs if math.isfinite(final_return(run))), key=final_return, reverse=True)
    if len(ranked) < 2:
        return ""
    first, *rest = ranked
    others = _listed([f"{number(final_return(run))} ({run.name})" for run in rest])
    return f"{first.name} reached the highest return, {number(final_return(first))}, against {others}."


def _returned(run: RunSeries) -> str:
    steps, planned = run.steps[-1], run.config.get("extended", run.settings.get("steps"))
    part = f" of {count(planned)} planned" if isinstance(planned, int | float) and planned > steps else ""
    taken, reached = f"{count(steps)}{part} environment steps", final_return(run)
    if math.isnan(best_return(run)):
        told, reward = f"No episode ended in {taken}.", final_reward(run)
        return told if math.isnan(reward) else f"{told} A step brought {number(reward)} on average of their last fifth."
    best = f"the best it logged is {number(best_return(run))}."
    if math.isnan(reached):
        last = number(_last(run.columns["return_mean"]))
        return f"The last episodes that ended had a return of {last}; none ended in the last fifth of {taken}; {best}"
    return f"The agent reached a return of {number(reached)}, its mean over the last fifth of {taken}; {best}"


def _moved(run: RunSeries) -> list[str]:
    ends = {name: (_start(run, name, column), _last(column)) for name, column in run.named("eta")}
    moved = [_way(name, *way, _homeward(run, name)) for name, way in ends.items() if _differs(name, *way)]
    if not ends:
        return []
    if not moved:
        return ["Its metaparameters stayed where they were."]
    still = [f"the {label(name)}" for name, way in ends.items() if not _differs(name, *way)]
    left = f" It left {_listed(still)} where {'it was' if len(still) == 1 else 'they were'}." if still else ""
    return [f"It moved {_listed(moved)}.{left}"]


def _way(name: str, start: float, end: float, homeward: str) -> str:
    horizon = ""
    if has_horizon(name) and max(start, end) < 1:
        horizon = f" (horizon {number(1 / (1 - start))} to {number(1 / (1 - end))} steps)"
    return f"the {label(name)} from {number(start)}{homeward} to {number(end)}{horizon}"


def _homeward(run: RunSeries, name: str) -> str:
    """Of what began at a beginner's start: where the leak draws it, whatever the meta-gradient says."""
    homes = run.settings.get("home")
    home = finite(homes.get(name)) if isinstance(homes, dict) else math.nan
    return f" (a beginner's start, drawn to {number(home)})" if math.isfinite(home) else ""


def _guarded(run: RunSeries) -> str:
    times = {name: total for name, total in fired(run).items() if total}
    if not times:
        return "No guard had to step in."
    parts = [f"{label(name)} {'once' if total == 1 else f'{total:,} times'}" for name, total in times.items()]
    return f"Guards stepped in: {_listed(parts)}."


def _start(run: RunSeries, name: str, column: Float[np.ndarray, " rows"]) -> float:
    """Where the settings say that the metaparameter began, else its first row."""
    init = run.settings.get("init")
    said = finite(init.get(name)) if isinstance(init, dict) else math.nan
    return said if math.isfinite(said) else float(column[np.isfinite(column)][0])


def _last(column: Float[np.ndarray, " rows"]) -> float:
    return float(column[np.isfinite(column)][-1])


def _differs(name: str, start: float, end: float) -> bool:
    """Whether the way is worth telling: more than 2 %, of the horizon where there is one."""
    if has_horizon(name):
        start, end = 1 - start, 1 - end
    return not math.isclose(start, end, rel_tol=0.02)


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def outcome(returns: Float[np.ndarray, " E"], lengths: Int[np.ndarray, " E"], ended: Bool[np.ndarray, " E"]) -> str:
    """What came of an evaluation's episodes, in one line.

    Args:
        returns: Of each; what is no number is counted and left out.
        lengths: In steps.
        ended: Whether each came to an end; where none did, the world has no episodes, and rewards are told.
    """
    known, count = np.isfinite(returns), len(returns)
    left_out = "" if known.all() else f" ({count - known.sum()} of {count} earned no number, and are left out)"
    if not known.any():
        return f"none of {count} episodes earned a number: a reward in each was not finite"
    if not ended.any():
        reward = (returns[known] / lengths[known]).mean()
        return f"reward {reward:.6g} a step, on average of {lengths.max():,} steps in each of {count} copies{left_out}"
    cut = "" if ended.all() else f" ({(~ended).sum()} of {count} did not end within {lengths.max():,} steps)"
    low, mean, high = (f"{fold(returns[known]):.6g}" for fold in (np.min, np.mean, np.max))
    return f"return {mean} on average of {known.sum()} episodes, {low} at worst, {high} at best{cut}{left_out}"
