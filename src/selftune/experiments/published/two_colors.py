"""Two-colors with an actor-critic: the table of Luketina et al. 2022 (PMLR 199, table 1), and one row of ours.

One stream, 10M steps, the objects swap their roles every 100 000; a row is the return of whole lives, in millions for
10M steps (reward a step times ten, whatever the number of steps). What a row learns is its entropy cost: a number, or a
function of what was experienced of late; by meta-gradients (MG) or bootstrapped ones (BMG).

Which convention is the paper's? Its text places everything anew and names no step cost; replications charge 0.04 and
place the collected object alone. A replication's curves with the cost (actor-critic, MG, BMG: 0.65, 0.87 and 0.96 at
6.4M steps, slopes 0.117, 0.161 and 0.211 a step) go on to 1.07, 1.45 and 1.72 at 10M, times 1.035 where everything is
placed anew; printed are 1.24, 1.58 and 1.74. Without the cost as many collections would be worth about 1.5, 1.9 and
2.3. So the cost was charged, and the text's placement stands: that is the table. Every other convention is a `Stream`
away.
"""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from selftune import estimators, metaparams
from selftune.experiments.published.two_colors_agent import Agent, Method, Settings, agent, networks
from selftune.experiments.published.two_colors_runs import Outcome, first_values, recorded
from selftune.experiments.published.two_colors_stream import Stream, best_return
from selftune.experiments.records import Records, Row
from selftune.experiments.side_by_side import side_by_side
from selftune.experiments.statistics import bootstrap, mean

EXPERIMENT = "two_colors"
COMMAND = "selftune bench published --only two_colors"
FULL, REDUCED = 10_000_000, 1_000_000
"""Steps of a run."""
FULL_SEEDS, REDUCED_SEEDS = range(5), range(2)
TUNING_SEEDS = (1000, 1001)
"""On which `benchmarks/two_colors_tuning.py` looks for numbers; no line of the table runs on them."""
RICH = ("reward", "error", "surprise")
OURS, FIXED = "ours: MG-context from 0.2, clipped", "AC, clipped"
"""Our line, and the best constant where it lives."""
BOOTSTRAPPED = "ours: BMG-context from 0.2, clipped"
"""What was our line before: it tires."""
DEFAULTS = Settings(Stream(respawn_all=True, step_cost=0.04))
"""In the paper's convention."""


class Line(NamedTuple):
    """One row of the table."""

    name: str
    method: Method
    numbers: Mapping[str, float]
    published: tuple[float, float] | None = None
    """Mean and standard deviation over ten seeds, in millions."""


def scalar_cost() -> dict[str, metaparams.MetaParam]:
    """An entropy cost that is learned and depends on nothing."""
    return {"entropy_cost": metaparams.MetaParam(0.5, metaparams.unit)}


def contextual_cost(
    features: Sequence[str], settings: Settings = DEFAULTS, first: float = 0.5
) -> dict[str, metaparams.MetaParam]:
    """An entropy cost as a function of the features of the last rollouts, the same everywhere at first."""
    scope = metaparams.contextual(settings.history * len(features), (64, 64))
    return {"entropy_cost": metaparams.MetaParam(first, metaparams.unit, scope)}


def bootstrapped(unroll: int, target_steps: int, settings: Settings = DEFAULTS) -> Any:
    """BMG that matches policies on the rollout that follows the window."""
    policy = networks(settings)[0]
    return estimators.bootstrapped(
        unroll,
        target_steps,
        estimators.matching.policy_divergence(lambda params, batch: policy.apply(params, batch.observation)),
    )


PLAIN = {
    "entropy_cost": 0.2,
    "learning_rate": 0.1,
    "critic_learning_rate": 0.1,
    "max_grad_norm": 4.0,
    "critic_max_grad_norm": 10.0,
    "meta_learning_rate": 1e-4,
    "trace_decay": 0.0,
}
"""What a line starts from. About one update in a thousand is clipped: without clips 3 of 15 runs of 2M to 4M steps on
tuning seeds were lost to a single giant step, after which the policy was certain for ever (logits of 20 and more) or
the critic had overflowed."""
CLIPPED = {**PLAIN, "max_grad_norm": 1.0, "critic_max_grad_norm": 1.0}
"""Where the clip is a setting like others, found on the tuning seeds: many updates are clipped."""
SCALAR = {**PLAIN, "meta_learning_rate": 1e-2}
"""A step of one number is small beside a step of all the weights of a context network."""


def lines(settings: Settings = DEFAULTS) -> list[Line]:
    """The table, the most important rows first."""
    reward, rich = contextual_cost(("reward",), settings), contextual_cost(RICH, settings)
    target = bootstrapped(7, 9, settings)
    through = estimators.truncated(15)
    sooner = contextual_cost(("reward",), settings, first=0.2)
    return [
        Line("AC", Method(), PLAIN, (1.24, 0.09)),
        Line("BMG-context", Method(("reward",), reward, target), PLAIN, (1.74, 0.03)),
        Line("BMG-rich", Method(RICH, rich, target), PLAIN, (1.79, 0.07)),
        Line("MG-context", Method(("reward",), reward, through, 0.1), PLAIN, (1.58, 0.06)),
        Line(OURS, Method(("reward",), sooner, through, 0.1), CLIPPED),
        Line(BOOTSTRAPPED, Method(("reward",), sooner, target), CLIPPED),
        Line(FIXED, Method(), {**CLIPPED, "entropy_cost": 0.1}),
        Line("BMG", Method((), scalar_cost(), target), SCALAR, (1.32, 0.08)),
        Line("MG", Method((), scalar_cost(), through, 0.1), SCALAR, (1.29, 0.08)),
    ]


def actor_critic_rows(
    reduced: bool,
    records: Records[Row],
    say: Callable[[str], None],
    settings: Settings = DEFAULTS,
    steps: int | None = None,
    seeds: Sequence[int] | None = None,
) -> Iterator[Row]:
    """The rows of the table, each kept in `records` as soon as it is there; those that are there are not run again.

    Args:
        reduced: Short runs of few seeds.
        records: Results; beside their file the states of rows that are under way.
        say: Where progress goes.
        settings: What the rows share.
        steps: Of a run, instead of the usual number.
        seeds: Instead of the usual ones.
    """
    steps = (REDUCED if reduced else FULL) if steps is None else steps
    seeds = (REDUCED_SEEDS if reduced else FULL_SEEDS) if seeds is None else seeds
    command = COMMAND if reduced else f"{COMMAND} --full"
    jobs = [functools.partial(measured, line, settings, steps, seeds, command, records) for line in lines(settings)]
    return side_by_side(jobs, say)


def measured(
    line: Line,
    settings: Settings,
    steps: int,
    seeds: Sequence[int],
    command: str,
    records: Records[Row],
    say: Callable[[str], None],
) -> Row:
    """One row: from the records, or run now and added to them; `command` is what measures it again."""
    build = functools.partial(_built, line.method, settings)
    tell = functools.partial(_row, line, settings, steps, seeds, command)
    return recorded(EXPERIMENT, line, _told(line, settings), settings, steps, seeds, build, tell, records, say)


def _told(line: Line, settings: Settings) -> dict[str, Any]:
    """What makes a line what it is."""
    method, stream = line.method, settings.stream
    return {
        "numbers": {name: number for name, number in line.numbers.items() if name not in method.learned},
        "features": list(method.features),
        "estimator": getattr(method.estimator, "name", None),
        "judge_entropy": method.judge_entropy,
        "meta_eps": method.meta_eps,
        "window": method.window,
        "begins": first_values(method.learned),
        "stream": {name: getattr(stream, name) for name in stream._fields},
        "shared": {name: value for name, value in settings._asdict().items() if name != "stream"},
    }


def _built(method: Method, settings: Settings, numbers: Mapping[str, Any]) -> Agent:
    return agent(method, settings, numbers)


def _row(line: Line, settings: Settings, steps: int, seeds: Sequence[int], command: str, outcome: Outcome) -> Row:
    stream = settings.stream
    returns = 10.0 * outcome.returns
    interval = bootstrap([returns], mean)
    details = {
        "unit": "reward a step times ten: millions for 10M steps",
        "returns": [round(float(value), 4) for value in returns],
        "standard_deviation": round(float(returns.std(ddof=1)), 4) if len(returns) > 1 else None,
        "seeds": list(seeds),
        "best_possible": round(10.0 * float(best_return(bool(stream.respawn_all), float(stream.step_cost))), 3),
        "reward_curve": outcome.curve(),
        "reward_around_flips": outcome.around_flips(outcome.reward, stream.flip_every),
        "entropy_cost_around_flips": outcome.around_flips(outcome.told, stream.flip_every),
    }
    published = None
    if line.published is not None:
        center, deviation = line.published
        published = f"{center:.2f} ({deviation:.2f}), Luketina et al. 2022, table 1, 10M steps"
        details["within_two_deviations"] = bool(abs(interval.estimate - center) <= 2.0 * deviation)
    return Row(EXPERIMENT, line.name, steps, len(seeds), *interval, command, published, details)
