"""One robot of `selftune scenario robotics` in its full extents, alone: `python benchmarks/robotics_bout.py`.

Rows go to `results/robotics_bouts.json`, each with the command that makes it; rows of the same robot, agent, changes
and extents are replaced.
"""

import json
import shlex
import sys
from dataclasses import replace
from pathlib import Path

import tyro

from selftune.errors import SettingError
from selftune.experiments.records import circumstances
from selftune.scenarios.robotics.bouts import FIXED, FULL, TUNED, Fought, fight
from selftune.scenarios.robotics.robots import ICE, STEADY
from selftune.scenarios.robotics.telling import rows_of
from selftune.scenarios.story import Ask

OUT = Path(__file__).parent.parent / "results" / "robotics_bouts.json"
SAME = ("robot", "agent", "change", "method", "seeds", "steps_before", "steps_after")


def main(
    robot: str = "Walker2d-v5",
    agent: str = "ppo",
    changes: tuple[str, ...] = (ICE, STEADY),
    methods: tuple[str, ...] = (FIXED, TUNED),
    seeds: int = FULL.seeds,
    before: int = FULL.before,
    after: int = FULL.after,
    seed: int = 0,
    out: Path = OUT,
) -> None:
    """Run a bout.

    Args:
        robot: Whose.
        agent: Who moves it, "ppo" or "sac", as in the full setting.
        changes: What happens.
        methods: Names of tuners, "fixed" among them.
        seeds: How many, from 1000 on.
        before: Environment steps before the change.
        after: And after it.
        seed: Other seeds.
        out: Where the rows go.
    """
    known = {(bout.robot.env, bout.agent): bout for bout in FULL.bouts}
    if (robot, agent) not in known:
        raise SettingError(f"{robot} with {agent}: the full setting has {', '.join(map(' with '.join, known))}.")
    bout = replace(known[robot, agent], kinds=changes, methods=methods)
    fought = fight(bout, FULL._replace(before=before, after=after, seeds=seeds), Ask(quick=False, seed=seed), print)
    record(fought, before, after, seed, out)


def record(fought: Fought, before: int, after: int, seed: int, out: Path) -> None:
    """Write what came of a bout among the rows that are there."""
    command = shlex.join(["python", "benchmarks/robotics_bout.py", *sys.argv[1:]])
    about = {"steps_before": before, "steps_after": after, "seed": seed, "command": command, **circumstances()}
    rows = [{**told, **about} for told in rows_of(fought, seed)]
    there = json.loads(out.read_text()) if out.exists() else []
    mine = [[row[name] for name in SAME] for row in rows]
    out.write_text(json.dumps([row for row in there if [row[n] for n in SAME] not in mine] + rows, indent=1) + "\n")
    for row in rows:
        print(f"{row['change']}, {row['method']}: recovery {row['recovery_ratio']}, reward {row['reward_ratio']}")


if __name__ == "__main__":
    tyro.cli(main)
