"""The robotics scenario: a trained policy, a change of the world, and who finds its feet again how soon."""

from collections.abc import Mapping, Sequence
from typing import Any

from selftune.scenarios.robotics import figures
from selftune.scenarios.robotics.bouts import FIXED, FULL, QUICK, TUNED, Extent, Fought, fight
from selftune.scenarios.robotics.control_loop import Kept, keep_rates
from selftune.scenarios.robotics.measures import SHARE, Cost, cost, row
from selftune.scenarios.robotics.robots import HALF_CHEETAH, ICE, STEADY
from selftune.scenarios.robotics.sentences import earned, earned_most, happened, ratio, sentence, verdict
from selftune.scenarios.robotics.strip import before_at_after
from selftune.scenarios.story import Ask, Picture, Say, Story, Table

NAMES: Mapping[str, str] = {
    FIXED: "fixed agent",
    TUNED: "self-tuned",
    "kl_adaptive": "KL-adaptive rate",
    "reset_on_change": "fixed agent, starts anew on a change",
}


def tell(ask: Ask, say: Say = print, extent: Extent | None = None) -> Story:
    """Change the world of trained robots, and of one in a control loop.

    Args:
        ask: The walker, ice or not, three seeds when quick; else all robots, PPO and SAC, every change and
            every rival.
        say: Where a line goes whenever something is known.
        extent: How much is measured instead.
    """
    chosen = extent or (QUICK if ask.quick else FULL)
    fought = [fight(bout, chosen, ask, say) for bout in chosen.bouts]
    kept = keep_rates(HALF_CHEETAH, chosen.ticks, ask.seed, say)
    return story(fought, kept, before_at_after(fought[0], ICE, TUNED), ask)


def story(fought: Sequence[Fought], kept: Sequence[Kept], strip: Any, ask: Ask) -> Story:
    """What came out.

    Args:
        fought: What came of each bout; the first is told in the summary.
        kept: How the control loops kept their rates.
        strip: A figure of the robot before, at and after the change.
        ask: What was asked.
    """
    rows = [told for one in fought for told in rows_of(one, ask.seed)]
    return Story(
        title="The ground becomes slippery",
        summary=tuple(_summary(fought[0], rows, kept, ask.seed)),
        tables=(*(_table(one, rows) for one in fought), _loops(kept)),
        pictures=tuple(_pictures(fought, strip)),
        limits=LIMITS,
        rows=(*rows, *({"control_loop": one.rate, **one._asdict()} for one in kept)),
    )


LIMITS = (
    "The robots are MuJoCo's. A walker that falls ends its episode; the half cheetah has no sense of falling: it may "
    "run on its back, and nothing ends the episode.",
    "MuJoCo's half cheetah needs hardly any friction: with none at all the trained policy still gains speed, which no "
    "real robot could. Ice is therefore a mild change for it and a hard one for the walker.",
    "Of each robot one policy was trained, once; all runs begin with it. Seeds differ in the episodes and in the "
    "drawing of actions.",
    "A few seeds give wide intervals, and a percentile interval over three of them is not to be trusted much.",
    f"A run that is not back at {SHARE:.0%} of its speed when it ends counts with its length: the true recovery is "
    "longer.",
)


def rows_of(one: Fought, seed: int) -> list[Mapping[str, Any]]:
    """A row for each change and method of a bout, beside the fixed agent of the same seeds."""
    told = []
    for kind in one.courses:
        costs = _costs(one, kind)
        told += [
            row(one.bout.robot.env, one.bout.agent, kind, NAMES[name], own, costs[FIXED], seed)
            for name, own in costs.items()
        ]
    return told


def _costs(one: Fought, kind: str) -> dict[str, list[Cost]]:
    """Of each method's courses under a change."""
    return {
        name: [cost(course, one.before, one.window) for course in courses]
        for name, courses in one.courses[kind].items()
    }


def _summary(first: Fought, rows: Sequence[Mapping[str, Any]], kept: Sequence[Kept], seed: int) -> list[str]:
    robot, agent = first.bout.robot.env, first.bout.agent

    def figures_of(kind: str, method: str) -> Mapping[str, Any]:
        same = {"robot": robot, "agent": agent, "change": kind, "method": NAMES[method]}
        return next(told for told in rows if all(told[name] == value for name, value in same.items()))

    told = [sentence(kind, figures_of(kind, TUNED), figures_of(kind, FIXED)) for kind in first.courses]
    if ICE in first.courses:
        told.insert(1, verdict(figures_of(ICE, TUNED), figures_of(ICE, FIXED)))
    hard = [kind for kind in first.courses if kind not in (ICE, STEADY)]
    for kind in hard:
        if best := earned_most(_costs(first, kind), seed):
            told.append(earned(kind, len(first.courses[kind]), figures_of(kind, best)))
    missed, ticks = sum(one.missed for one in kept), sum(one.ticks for one in kept)
    rates = ", ".join(f"{one.rate:g}" for one in kept)
    return [
        *told,
        f"The half cheetah in a control loop at {rates} ticks a second: {missed} of {ticks} actions came too late.",
    ]


def _table(one: Fought, rows: Sequence[Mapping[str, Any]]) -> Table:
    columns = (
        "change", "method", "recovery, thousand steps", "times the fixed agent's", "reward, times the fixed agent's",
        "speed before", "lowest", "at the end", "recovered", "falls in 100k", "on its back",
    )  # fmt: skip
    mine = [told for told in rows if told["robot"] == one.bout.robot.env and told["agent"] == one.bout.agent]
    cells = tuple(
        (
            told["change"],
            told["method"],
            f"{told['recovery'] / 1000:.0f}" if told["change"] != STEADY else "-",
            (ratio(told, "recovery") or "-") if told["change"] != STEADY else "-",
            ratio(told, "reward") or "-",
            f"{told['before']:.2f}",
            f"{told['lowest']:.2f}",
            f"{told['last']:.2f}",
            f"{told['recovered']:.0%}" if told["change"] != STEADY else "-",
            f"{told['falls']:.1f}",
            f"{told['on_back']:.0%}",
        )
        for told in mine
    )
    seeds = mine[0]["seeds"]
    note = (
        f"{seeds} seeds; speeds are means of an episode in m/s. Recovery: steps after the change until the mean of an "
        f"episode, after one that was slower, is at {SHARE:.0%} of that before the change. Reward is counted after the "
        "change. Ratios are of equal seeds, with 95 % bootstrap intervals."
    )
    return Table(f"{one.bout.robot.env}, {one.bout.agent.upper()}", columns, cells, note)


def _loops(kept: Sequence[Kept]) -> Table:
    columns = ("ticks a second", "ticks", "missed deadlines", "median, ms", "slowest, ms", "learned", "let go")
    cells = tuple(
        (
            f"{one.rate:g}", str(one.ticks), str(one.missed), f"{one.median:.2f}", f"{one.slowest:.1f}",
            str(one.updates), str(one.dropped),
        )
        for one in kept
    )  # fmt: skip
    note = (
        "The self-tuned agent as OnlineAgent, learning in a thread of its own, by the clock on the wall. A deadline "
        "is missed when the action comes after the next tick should have begun; let go are stretches of experience "
        "that came before the last one was learned from."
    )
    return Table("In a control loop", columns, cells, note)


def _pictures(fought: Sequence[Fought], strip: Any) -> list[Picture]:
    told = []
    for one in fought:
        for kind, courses in one.courses.items():
            named = {NAMES[name]: runs for name, runs in courses.items()}
            drawn = figures.speeds(named, one.before, one.window, kind != STEADY)
            title = f"{one.bout.robot.env}, {one.bout.agent.upper()}: {happened(one.bout.robot.env, kind)}"
            told.append(Picture(title, drawn, "Medians over seeds, bands from the lowest to the highest."))
            if kind != STEADY:
                moved = figures.metaparameters(courses[TUNED], one.before)
                told.append(Picture("What was tuned meanwhile", moved, "Each seed, and the median"))
    caption = "Eight poses, 0.2 s apart, from the faint to the dark: the policy as it came, and the self-tuned."
    return [told[0], Picture("Before, at, after", strip, caption), *told[1:]]
